#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {

// DeepSeek R1 and its distillates, Qwen 3, QwQ, Hunyuan, GLM 4.5, MiniMax and most others.
extern const ReasoningFormat kThinkReasoning;
const ReasoningFormat kThinkReasoning{
    .name = "think",
    .begin = "<think>",
    .end = "</think>",
    .template_mark = "</think>",
};

}  // namespace inferneo::text
