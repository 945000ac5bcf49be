// links: inferneo_text
// A SentencePiece model or a list of ranks and a text in one input, divided by the last zero byte:
// whatever loads must encode the text to ids that it knows, and stream them as it decodes them.
#include <cstdint>
#include <string_view>

#include "text/tokenizer.h"
#include "tokenizer_checks.h"

using namespace inferneo;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.rfind('\0');
  const std::string_view file = input.substr(0, zero);
  const std::string_view sample = zero == input.npos ? input : input.substr(zero + 1);
  for (const std::string_view config : {"", R"({"legacy": false, "pat_str": "\\w+|\\W+"})"}) {
    const auto loaded = text::Tokenizer::from_file(file, "o200k.tiktoken", config);
    if (!loaded.has_value()) return 0;
    check_sample(**loaded, sample);
  }
  return 0;
}
