// Time points that stay at the end of time instead of wrapping around.
// Thread: any.
#pragma once

#include "base/clock.h"

namespace inferneo::manager {

inline TimePoint later(TimePoint time, Duration by) {
  return by >= TimePoint::max() - time ? TimePoint::max() : time + by;
}

}  // namespace inferneo::manager
