// What is put around the ids of a text: start and end tokens.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "request/token.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

// A part of what two texts become: one of them, or a token.
struct PairPart {
  enum class Kind : std::uint8_t { kFirst, kSecond, kToken };
  Kind kind = Kind::kToken;
  TokenId id = 0;     // of kToken
  bool late = false;  // of the second segment (its type is 1)
};

struct PostProcessor {
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;
  // Each text once, the second segment behind the first one. Empty: texts have no form as a pair.
  std::vector<PairPart> pair;

  // Reads `post_processor` of tokenizer.json: TemplateProcessing, BertProcessing,
  // RobertaProcessing, ByteLevel (which changes no ids), and sequences of them.
  static Result<PostProcessor> parse(const JsonView& document);
};

}  // namespace inferneo::text
