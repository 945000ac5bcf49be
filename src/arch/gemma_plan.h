// What the Gemma families have in common.
// Thread: any (pure functions).
#pragma once

#include "arch/decoder.h"

namespace inferneo::arch {

// Sizes, norms and the scale of embeddings. Failures: those of plan_decoder.
Result<DecoderPlan> plan_gemma(const formats::ModelMeta& meta, double theta = 10000);

// From the second generation on: norms before and behind attention and feed-forward, and a scale
// of attention that the configuration says.
void plan_gemma_layers(const formats::ModelMeta& meta, DecoderPlan& plan);

}  // namespace inferneo::arch
