#include "device/payoff.h"

#include <algorithm>

namespace inferneo::device {
namespace {

double seconds(Payoff::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void Payoff::record(Duration alone, Duration actual, TimePoint now) {
  // About e^(-actual / memory), without the exponential.
  const double kept = seconds(kMemory) / (seconds(kMemory) + seconds(actual));
  alone_ = alone_ * kept + seconds(alone);
  actual_ = actual_ * kept + seconds(actual);
  if (actual_ < seconds(kEvidenceMin)) return;
  if (actual_ <= (1 - kSavingMin) * alone_) {
    good_time_ += actual;
    if (good_time_ >= kTrustAfter) rest_ = kRestMin;
    return;
  }
  rest_until_ = now + rest_;
  rest_ = std::min<Duration>(2 * rest_, kRestMax);
  good_time_ = Duration(0);
  alone_ = 0;
  actual_ = 0;
}

}  // namespace inferneo::device
