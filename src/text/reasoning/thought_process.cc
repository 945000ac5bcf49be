#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {

// IBM Granite 3.2 writes sentences instead of marks.
extern const ReasoningFormat kThoughtProcessReasoning;
const ReasoningFormat kThoughtProcessReasoning{
    .name = "granite",
    .begin = "Here is my thought process:",
    .end = "Here is my response:",
    .template_mark = "Here is my thought process:",
};

}  // namespace inferneo::text
