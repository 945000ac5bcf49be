// What tool_choice and strict tools force: the constraint that makes a reply a call, or each of its
// calls one that keeps to its tool's schema.
// Thread: front (compilation).
#pragma once

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/structured_output.h"
#include "text/tools/tool_format.h"

namespace inferneo::gateway::endpoints {

// `calls_only`: no text beside the calls, whether a call is forced or not. Null when nothing is
// forced: tool_choice "auto" without a strict tool and without `calls_only`. Failures: as
// compile_tool_calls.
Result<ConstraintPtr> tool_constraint(const manager::ServedModel& model,
                                      const ChatRequest& chat,
                                      const text::ToolFormat& format,
                                      bool calls_only);

}  // namespace inferneo::gateway::endpoints
