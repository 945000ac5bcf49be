// What is put around the ids of a text, or of a pair of texts: start, end and dividing tokens.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "request/token.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

// A place in the form of a pair: a token, or all ids of one of the texts, and the token type of
// what stands there.
struct PairPart {
  enum class Kind : std::uint8_t { kToken, kFirst, kSecond };

  Kind kind = Kind::kToken;
  TokenId id = -1;
  std::uint8_t type = 0;
};

struct PostProcessor {
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;
  // The form of a pair. Without a form of its own the second text follows the first.
  std::vector<PairPart> pair = {{PairPart::Kind::kFirst, -1, 0}, {PairPart::Kind::kSecond, -1, 1}};

  // Reads `post_processor` of tokenizer.json: TemplateProcessing, BertProcessing,
  // RobertaProcessing, ByteLevel (which changes no ids), and sequences of them, of which the last
  // with a form of pairs decides theirs.
  static Result<PostProcessor> parse(const JsonView& document);
};

}  // namespace inferneo::text
