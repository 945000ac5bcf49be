#include "manager/served_model.h"

#include <utility>

namespace inferneo::manager {
VersionUse::Reading VersionUse::read() const {
  Reading reading;
  reading.lease_count = lease_count_.load(std::memory_order_acquire);
  reading.request_count = request_count_.load(std::memory_order_relaxed);
  reading.last_used = TimePoint(Duration(last_used_.load(std::memory_order_relaxed)));
  const Duration::rep keep_alive = keep_alive_.load(std::memory_order_relaxed);
  if (keep_alive != kNoKeepAlive) reading.keep_alive = Duration(keep_alive);
  return reading;
}

void VersionUse::take(std::optional<Duration> keep_alive) {
  lease_count_.fetch_add(1, std::memory_order_seq_cst);
  request_count_.fetch_add(1, std::memory_order_relaxed);
  last_used_.store(clock_.now().time_since_epoch().count(), std::memory_order_relaxed);
  if (keep_alive) {
    keep_alive_.store(std::max(*keep_alive, Duration::zero()).count(), std::memory_order_relaxed);
  }
}

void VersionUse::give_back() {
  last_used_.store(clock_.now().time_since_epoch().count(), std::memory_order_relaxed);
  if (lease_count_.fetch_sub(1, std::memory_order_seq_cst) != 1 || !on_idle_) return;
  // Someone waits for the memory, or the last request asked for it to be given back at once.
  if (idle_wanted_.load(std::memory_order_seq_cst) ||
      keep_alive_.load(std::memory_order_relaxed) == 0) {
    on_idle_();
  }
}

Lease::Lease(std::shared_ptr<ServedModel> served,
             std::shared_ptr<VersionUse> use,
             std::optional<Duration> keep_alive) {
  if (use != nullptr) use->take(keep_alive);
  hold_ = std::make_shared<const Hold>(std::move(served), std::move(use));
}

// The model first: who hears that it is idle may count on the pin being gone.
Lease::Hold::~Hold() {
  served.reset();
  if (use != nullptr) use->give_back();
}

Result<request::RequestId> Lease::submit(request::GenerateRequest& request,
                                         std::shared_ptr<request::OutputSink> sink) const {
  return hold_->served->engine->submit(request, std::move(sink));
}

}  // namespace inferneo::manager
