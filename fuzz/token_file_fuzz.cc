// links: inferneo_text
// A SentencePiece model or a list of ranks and a text in one input, divided by the last zero byte:
// whatever loads must encode the text to ids that it knows, and stream them as it decodes them.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace {

using namespace inferneo;

void check_decoding(const text::Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip) {
  std::string streamed;
  text::Detokenizer detokenizer(tokenizer, skip);
  for (const TokenId id : ids) {
    detokenizer.push(id, streamed);
    CHECK(utf8::is_valid(streamed));
  }
  detokenizer.finish(streamed);
  CHECK(utf8::is_valid(streamed));
  CHECK(streamed == tokenizer.decode(ids, skip));
}

void check_encoding(const text::Tokenizer& tokenizer, std::string_view input, bool added) {
  const text::EncodeOptions options = {.add_special_tokens = added, .parse_added_tokens = added};
  const std::vector<TokenId> ids = tokenizer.encode(input, options);
  for (const TokenId id : ids) CHECK(tokenizer.has_token(id));
  CHECK(ids == tokenizer.encode(input, options));
  check_decoding(tokenizer, ids, !added);
  const text::EncodedPair pair =
      tokenizer.encode_pair(input, input.substr(input.size() / 2), options);
  CHECK(pair.ids.size() == pair.types.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.rfind('\0');
  const std::string_view file = input.substr(0, zero);
  const std::string_view sample = zero == input.npos ? input : input.substr(zero + 1);
  for (const std::string_view config : {"", R"({"legacy": false, "pat_str": "\\w+|\\W+"})"}) {
    const auto loaded = text::Tokenizer::from_file(file, "o200k.tiktoken", config);
    if (!loaded.has_value()) return 0;
    check_encoding(**loaded, sample, true);
    check_encoding(**loaded, sample, false);
    std::vector<TokenId> ids;
    for (const char c : sample) ids.push_back(static_cast<signed char>(c));
    check_decoding(**loaded, ids, false);
  }
  return 0;
}
