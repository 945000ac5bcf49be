// links: inferneo_text
// Compiles arbitrary bytes as a grammar text and follows what it allows.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "constraint_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto constraint = fuzz::compiler().grammar(input);
  if (!constraint.has_value()) return 0;
  const std::uint32_t seed = fuzz::seed_of(data, size);
  for (std::uint32_t i = 0; i < 3; ++i) (void)fuzz::follow(*constraint, seed + i);
  return 0;
}
