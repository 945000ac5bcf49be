// links: inferneo_text
// Compiles arbitrary bytes as a regular expression, as the form of a whole text and as the pattern
// of a string, and follows what they allow.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "constraint_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::uint32_t seed = fuzz::seed_of(data, size);
  const auto whole = fuzz::compiler().regex(input);
  if (whole.has_value()) {
    (void)fuzz::follow(*whole, seed);
    (void)fuzz::follow(*whole, seed + 1);
  }
  text::Value schema;
  schema.set("type", "string");
  schema.set("pattern", input);
  const auto pattern = fuzz::compiler().json_schema(schema, false);
  if (pattern.has_value()) (void)fuzz::follow(*pattern, seed);
  return 0;
}
