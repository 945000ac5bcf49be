// Layers of experts as configurations describe them.
// Thread: any (pure functions).
#pragma once

#include "arch/decoder.h"

namespace inferneo::arch {

// Numbers of experts and which layers have them; the family fills in how they are chosen.
// Failures: invalid_argument naming the hyperparameter.
Status plan_experts(const formats::ModelMeta& meta, DecoderPlan& plan);

// Mixtral's: the weights of the chosen experts are the softmax of their logits.
Status plan_mixtral_experts(const formats::ModelMeta& meta, DecoderPlan& plan);

// Qwen's: weights are those of a softmax over all experts.
Status plan_qwen_experts(const formats::ModelMeta& meta, DecoderPlan& plan);

}  // namespace inferneo::arch
