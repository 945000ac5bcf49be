// Log probabilities of a raw row: what the model said before any penalty or temperature.
// Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <span>

#include "sample/row.h"
#include "sample/sampler.h"

namespace inferneo::sample {

// Fills `out` with the log softmax at `id` and the `top_count` most likely tokens (at most
// limits::kTopLogprobsMax and the size of the row), most likely first, ties by lower id. A
// logit of -inf gives -inf. Precondition: scan.finite and id inside the row.
void score(std::span<const float> row,
           const RowScan& scan,
           TokenId id,
           std::int32_t top_count,
           Sampled& out);

}  // namespace inferneo::sample
