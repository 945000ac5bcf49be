// What tool_choice and strict tools force: the constraint that makes a reply a call, or each of its
// calls one that keeps to its tool's schema.
// Thread: front (compilation).
#pragma once

#include <string_view>

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/structured_output.h"
#include "text/tools/tool_format.h"

namespace inferneo::gateway::endpoints {

// Null when nothing is forced: tool_choice "auto" without a strict tool. `begin_after` as
// ToolCallRules. Failures: as compile_tool_calls.
Result<ConstraintPtr> tool_constraint(const manager::ServedModel& model,
                                      const ChatRequest& chat,
                                      const text::ToolFormat& format,
                                      std::string_view begin_after);

}  // namespace inferneo::gateway::endpoints
