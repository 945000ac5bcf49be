// What `run` and `chat` share on the way between a person and a model.
// Thread: main, except write_piece (output thread).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "manager/manager.h"
#include "request/token.h"
#include "text/chat_template.h"
#include "text/value.h"

namespace inferneo::app {

// {"role": role, "content": content}
text::Value chat_message(std::string_view role, std::string_view content);

// Renders with the model's template and encodes. Precondition: the model has a template.
Result<std::vector<TokenId>> chat_tokens(const manager::ServedModel& served,
                                         const text::ChatInput& input);

// A model without a tokenizer can only be served by token ids: failed_precondition.
Status require_tokenizer(const manager::ServedModel& served);

// Writes to stdout at once.
void write_piece(std::string_view piece);

// On a terminal that shows answers, only warnings are logged unless more was asked for.
void quiet_log(const Config& config, bool verbose);

}  // namespace inferneo::app
