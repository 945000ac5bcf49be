// links: inferneo_text
// A tokenizer document and a text in one input, divided by the first zero byte: whatever loads must
// encode the text to ids that it knows, and stream them as it decodes them.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer.h"
#include "tokenizer_checks.h"

using namespace inferneo;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view document = input.substr(0, zero);
  const std::string_view sample = zero == input.npos ? input : input.substr(zero + 1);
  const auto loaded = text::Tokenizer::from_json(document);
  if (!loaded.has_value()) return 0;
  const text::Tokenizer& tokenizer = **loaded;
  check_sample(tokenizer, sample);
  for (TokenId id = -1; id <= 40; ++id) {
    if (tokenizer.has_token(id)) CHECK(tokenizer.find_token(tokenizer.token_name(id)).has_value());
  }
  return 0;
}
