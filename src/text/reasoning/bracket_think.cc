#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {

// Mistral's Magistral.
extern const ReasoningFormat kBracketThinkReasoning;
const ReasoningFormat kBracketThinkReasoning{
    .name = "mistral",
    .begin = "[THINK]",
    .end = "[/THINK]",
    .template_mark = "[/THINK]",
};

}  // namespace inferneo::text
