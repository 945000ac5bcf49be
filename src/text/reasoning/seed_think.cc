#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {

// ByteDance Seed-OSS.
extern const ReasoningFormat kSeedThinkReasoning;
const ReasoningFormat kSeedThinkReasoning{
    .name = "seed",
    .begin = "<seed:think>",
    .end = "</seed:think>",
    .template_mark = "seed:think",
};

}  // namespace inferneo::text
