#include "manager/eviction.h"

#include <algorithm>
#include <cmath>

namespace inferneo::manager {
namespace {

// Spec: the order of GreedyDual-Size-Frequency (Cherkasova, HP Labs 98-69), without its ageing
// term: popularity ages by itself here.
double loss_per_byte(const EvictionCandidate& candidate) {
  // One request more, so that models nobody has asked for yet differ by their reload cost.
  const double loss = (candidate.popularity + 1) * std::max(candidate.reload_seconds, 1e-3);
  return loss / static_cast<double>(std::max<std::uint64_t>(candidate.bytes, 1));
}

bool goes_before(const EvictionCandidate& a, const EvictionCandidate& b, EvictionOrder order) {
  if (order == EvictionOrder::kCost) {
    const double loss_a = loss_per_byte(a);
    const double loss_b = loss_per_byte(b);
    if (loss_a != loss_b) return loss_a < loss_b;
  }
  if (a.last_used != b.last_used) return a.last_used < b.last_used;
  return a.id < b.id;
}

}  // namespace

std::vector<std::uint32_t> choose_evictions(std::vector<EvictionCandidate> candidates,
                                            std::uint64_t bytes,
                                            std::size_t count,
                                            EvictionOrder order) {
  std::sort(candidates.begin(), candidates.end(), [order](const auto& a, const auto& b) {
    return goes_before(a, b, order);
  });
  std::vector<EvictionCandidate> chosen;
  std::uint64_t won = 0;
  for (const EvictionCandidate& candidate : candidates) {
    if (won >= bytes && chosen.size() >= count) break;
    won += candidate.bytes;
    chosen.push_back(candidate);
  }
  if (won < bytes || chosen.size() < count) return {};
  // The most valuable ones first: what is not needed any more stays.
  for (std::size_t i = chosen.size(); i-- > 0;) {
    if (chosen.size() > count && won - chosen[i].bytes >= bytes) {
      won -= chosen[i].bytes;
      chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  std::vector<std::uint32_t> ids;
  for (const EvictionCandidate& candidate : chosen) ids.push_back(candidate.id);
  return ids;
}

void Popularity::note(std::uint64_t request_count, TimePoint now) {
  value_ = at(now) + static_cast<double>(request_count - std::min(request_count, seen_));
  seen_ = request_count;
  at_ = now;
}

double Popularity::at(TimePoint now) const {
  const double half_lives = to_seconds(now - at_) / to_seconds(kHalfLife);
  return value_ == 0 ? 0 : value_ * std::exp2(-std::max(half_lives, 0.0));
}

}  // namespace inferneo::manager
