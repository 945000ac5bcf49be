// Windows of the Qwen families.
// Thread: any (pure function).
#pragma once

#include "arch/decoder.h"

namespace inferneo::arch {

// Windows, where they are switched on, in the layers from max_window_layers on.
void plan_late_windows(const formats::ModelMeta& meta, DecoderPlan& plan);

}  // namespace inferneo::arch
