// Prompts of text completions with a suffix: the model writes what belongs between two texts. Works
// where the vocabulary has the tokens that models are trained with for that.
// Thread: any; runs on front threads.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "manager/manager.h"
#include "request/token.h"

namespace inferneo::gateway::endpoints {

// Prefix and suffix between the model's marks, in the order prefix, suffix, middle.
// Failures: unsupported at "suffix" when the vocabulary has no such marks.
Result<std::vector<TokenId>> fill_in_middle_prompt(const manager::ServedModel& model,
                                                   std::string_view prefix,
                                                   std::string_view suffix,
                                                   bool add_special_tokens);

}  // namespace inferneo::gateway::endpoints
