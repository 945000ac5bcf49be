// The messages and tools of a chat request, checked and brought into the shape that chat templates
// read: every content is one string, tool call arguments are objects where they can be.
// Thread: any.
#pragma once

#include "base/result.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// `value` is the request's list. Parts of a content are joined by line breaks, as other servers do;
// the role "developer" becomes "system", which is what templates know.
// Failures: invalid_argument or unsupported whose where() is the place ("messages[2].content").
Result<text::Value> take_messages(text::Value& value);

// Failures: as above, with places like "tools[0].function.name".
Result<text::Value> take_tools(text::Value& value);

}  // namespace inferneo::gateway::endpoints
