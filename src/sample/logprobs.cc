#include "sample/logprobs.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace inferneo::sample {
namespace {

// Leaves the raw logits of the largest elements in out.top, sorted.
void select_top(std::span<const float> row, std::int32_t wanted, Sampled& out) {
  const auto limit =
      static_cast<std::size_t>(std::clamp<std::int64_t>(wanted, 0, limits::kTopLogprobsMax));
  const std::size_t count = std::min(limit, row.size());
  out.top_count = static_cast<std::int32_t>(count);
  if (count == 0) return;
  std::size_t filled = 0;
  for (std::size_t id = 0; id < row.size(); ++id) {
    // Ids come in rising order, so an equal element never displaces one already held.
    if (filled == count && !(row[id] > out.top[count - 1].logprob)) continue;
    std::size_t at = filled < count ? filled++ : count - 1;
    for (; at > 0 && row[id] > out.top[at - 1].logprob; --at) out.top[at] = out.top[at - 1];
    out.top[at] = {static_cast<TokenId>(id), row[id]};
  }
}

}  // namespace

void score(std::span<const float> row,
           const RowScan& scan,
           TokenId id,
           std::int32_t top_count,
           Sampled& out) {
  DCHECK(scan.finite && id >= 0 && static_cast<std::size_t>(id) < row.size());
  const double normaliser = log_sum_exp(row, scan.max);
  const auto logprob = [&](float logit) {
    return static_cast<float>(std::min(0.0, static_cast<double>(logit) - normaliser));
  };
  out.logprob = logprob(row[static_cast<std::size_t>(id)]);
  select_top(row, top_count, out);
  for (std::int32_t i = 0; i < out.top_count; ++i) {
    TopLogprob& entry = out.top[static_cast<std::size_t>(i)];
    entry.logprob = logprob(entry.logprob);
  }
}

Sampled score_row(std::span<const float> logits, TokenId id, std::int32_t top_count) {
  Sampled out;
  out.id = id;
  const RowScan scan = scan_row(logits);
  out.finite = scan.finite && id >= 0 && static_cast<std::size_t>(id) < logits.size();
  if (out.finite) score(logits, scan, id, top_count, out);
  return out;
}

}  // namespace inferneo::sample
