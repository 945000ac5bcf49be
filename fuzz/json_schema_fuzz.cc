// links: inferneo_text
// Compiles arbitrary JSON as a schema and follows what it allows. Complete outputs must be JSON.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "constraint_walk.h"
#include "text/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto schema = text::parse_json(input);
  if (!schema.has_value()) return 0;
  const auto constraint = fuzz::compiler().json_schema(*schema, size % 2 == 0);
  if (!constraint.has_value()) return 0;
  const std::uint32_t seed = fuzz::seed_of(data, size);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const fuzz::Walk walk = fuzz::follow(*constraint, seed + i);
    if (!walk.complete) continue;
    const auto parsed = text::parse_json(walk.text);
    // Free names may repeat, and free values may nest beyond what the reader takes.
    CHECK(parsed.has_value() || parsed.error().message().find("twice") != std::string::npos ||
          parsed.error().code() == StatusCode::kResourceExhausted);
  }
  return 0;
}
