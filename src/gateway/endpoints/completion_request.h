// The body of POST /v1/completions, bound and checked.
// Thread: any (values).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "gateway/endpoints/generation_params.h"
#include "request/token.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

using TextOrIds = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest : GenerationParams {
  std::vector<TextOrIds> prompts;
  std::string suffix;  // empty: the text goes on at the end of the prompt
  bool echo = false;
};

// Failures: invalid_argument or unsupported whose where() is the field.
Result<CompletionRequest> bind_completion_request(text::Value::Dict body);
// Rows of the reference.
std::vector<FieldRow> completion_field_rows();

// A non-empty list of ids, at least 0. Failures: invalid_argument.
Result<std::vector<TokenId>> read_token_ids(const text::Value& value);

}  // namespace inferneo::gateway::endpoints
