// What is put around the ids of a text: start and end tokens.
// Thread: any (values).
#pragma once

#include <vector>

#include "base/result.h"
#include "request/token.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

struct PostProcessor {
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;

  // Reads `post_processor` of tokenizer.json: TemplateProcessing, BertProcessing,
  // RobertaProcessing, ByteLevel (which changes no ids), and sequences of them.
  static Result<PostProcessor> parse(const JsonView& document);
};

}  // namespace inferneo::text
