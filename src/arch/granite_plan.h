// What the Granite families have in common.
// Thread: any (pure function).
#pragma once

#include "arch/decoder.h"

namespace inferneo::arch {

// Biases, multipliers and the order of rotary pairs.
void plan_granite(const formats::ModelMeta& meta, DecoderPlan& plan);

}  // namespace inferneo::arch
