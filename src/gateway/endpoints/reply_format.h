// Which formats take a model's replies apart: chosen by its chat template, or as configured.
// Thread: any (values).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "manager/manager.h"
#include "text/reasoning/reasoning_format.h"
#include "text/tools/tool_format.h"

namespace inferneo::gateway::endpoints {

// Entries of the configuration: "hermes" for all models, "name=hermes" for one. "auto" is by
// template, "none" (reasoning only) leaves replies whole.
struct ReplyFormatChoice {
  std::vector<std::string> tools;
  std::vector<std::string> reasoning;
};

// Failures: invalid_argument naming the entry and the known formats.
Status check_reply_formats(const ReplyFormatChoice& choice);

// Precondition: a checked choice. Never null.
const text::ToolFormat* tool_format_of(const ReplyFormatChoice& choice,
                                       const manager::ServedModel& model);
// Null when the model does not reason.
const text::ReasoningFormat* reasoning_format_of(const ReplyFormatChoice& choice,
                                                 const manager::ServedModel& model);

// Whether the vocabulary holds one of the format's marks as a special token, which would be left
// out of the text.
bool has_special_marks(const text::ToolFormat* tools,
                       const text::ReasoningFormat* reasoning,
                       const text::Tokenizer& tokenizer);

}  // namespace inferneo::gateway::endpoints
