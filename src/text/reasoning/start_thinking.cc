#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {

// Cohere's Command A Reasoning.
extern const ReasoningFormat kStartThinkingReasoning;
const ReasoningFormat kStartThinkingReasoning{
    .name = "cohere",
    .begin = "<|START_THINKING|>",
    .end = "<|END_THINKING|>",
    .template_mark = "<|END_THINKING|>",
};

}  // namespace inferneo::text
