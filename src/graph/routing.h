// The choice of experts for one row.
// Thread: any (pure function).
#pragma once

#include <cstdint>

#include "graph/ops.h"

namespace inferneo::graph {

// Equal scores go to the expert of the lower number. `logits` is overwritten. Shape: logits and
// correction (or null) [expert_count], out as RouteOp's.
void choose_experts(const Routing& routing,
                    float* logits,
                    std::int64_t expert_count,
                    const float* correction,
                    float* out) noexcept;

}  // namespace inferneo::graph
