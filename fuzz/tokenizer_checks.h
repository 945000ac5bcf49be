// What holds for every tokenizer that loads, whatever file it came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace inferneo {

inline void check_decoding(const text::Tokenizer& tokenizer,
                           const std::vector<TokenId>& ids,
                           bool skip) {
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

inline void check_encoding(const text::Tokenizer& tokenizer, std::string_view input, bool added) {
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

// `sample` with and without added tokens, and its bytes as ids.
inline void check_sample(const text::Tokenizer& tokenizer, std::string_view sample) {
  check_encoding(tokenizer, sample, true);
  check_encoding(tokenizer, sample, false);
  std::vector<TokenId> ids;
  for (const char c : sample) ids.push_back(static_cast<signed char>(c));
  check_decoding(tokenizer, ids, false);
}

}  // namespace inferneo
