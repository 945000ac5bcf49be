// What GPT-2 and its descendants share: learned positions, layer norms, biases everywhere, a plain
// feed-forward, and the names of tensors.
// Thread: any (pure function).
#pragma once

#include <string_view>

#include "arch/decoder.h"

namespace inferneo::arch {

// `activation`: unless the configuration names one. How q, k and v lie is left to the caller.
Result<DecoderPlan> plan_gpt2(const formats::ModelMeta& meta, std::string_view activation);

}  // namespace inferneo::arch
