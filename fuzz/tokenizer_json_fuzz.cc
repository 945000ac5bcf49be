// links: inferneo_text
// A tokenizer document and a text in one input, divided by the first zero byte: whatever loads must
// encode the text to ids that it knows, and stream them as it decodes them.
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
  for (const TokenId id : pair.ids) CHECK(tokenizer.has_token(id));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view document = input.substr(0, zero);
  const std::string_view sample = zero == input.npos ? input : input.substr(zero + 1);
  const auto loaded = text::Tokenizer::from_json(document);
  if (!loaded.has_value()) return 0;
  const text::Tokenizer& tokenizer = **loaded;
  check_encoding(tokenizer, sample, true);
  check_encoding(tokenizer, sample, false);
  std::vector<TokenId> ids;
  for (const char c : sample) ids.push_back(static_cast<signed char>(c));
  check_decoding(tokenizer, ids, false);
  for (TokenId id = -1; id <= 40; ++id) {
    if (tokenizer.has_token(id)) CHECK(tokenizer.find_token(tokenizer.token_name(id)).has_value());
  }
  return 0;
}
