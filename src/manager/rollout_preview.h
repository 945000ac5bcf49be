// What a rollout would do, computed from its policy and the traffic of now.
// Thread: any (pure function).
#pragma once

#include "manager/rollout.h"

namespace inferneo::manager {

// Fills in stages and total of `preview`, whose other members are known.
void preview_stages(const RolloutPolicy& policy, RolloutPreview& preview);

}  // namespace inferneo::manager
