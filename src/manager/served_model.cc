#include "manager/served_model.h"

#include <utility>

namespace inferneo::manager {
namespace {

// Passes a request's output on and counts what became of it.
class CountingSink final : public request::OutputSink {
 public:
  CountingSink(std::shared_ptr<request::OutputSink> sink, std::shared_ptr<VersionUse> use)
      : sink_(std::move(sink)), use_(std::move(use)) {}

  void on_delta(request::OutputDelta&& delta) override {
    if (delta.finish == request::FinishReason::kError) has_fault_ = true;
    sink_->on_delta(std::move(delta));
  }

  void on_end(const request::Usage& usage,
              const request::RequestTiming& timing,
              const Status& status) override {
    count(usage, timing, status);
    sink_->on_end(usage, timing, status);
  }

 private:
  void count(const request::Usage& usage,
             const request::RequestTiming& timing,
             const Status& status) {
    using observe::Outcome;
    observe::OutcomeRecorder& outcomes = use_->outcomes;
    if (status.code() == StatusCode::kCancelled) return outcomes.count(Outcome::kCancelled);
    if (!status.ok()) return outcomes.count(has_fault_ ? Outcome::kNonFinite : Outcome::kFailed);
    outcomes.count(Outcome::kSucceeded);
    if (usage.completion_tokens < 1) return;
    outcomes.observe_first_token(to_seconds(timing.first_token));
    if (usage.completion_tokens < 2) return;
    outcomes.observe_inter_token(to_seconds(timing.total - timing.first_token) /
                                 (usage.completion_tokens - 1));
  }

  const std::shared_ptr<request::OutputSink> sink_;
  const std::shared_ptr<VersionUse> use_;
  bool has_fault_ = false;
};

// A refusal that says something about the version, not about the request.
bool is_refusal(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted ||
         status.code() == StatusCode::kUnavailable;
}

}  // namespace

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
  const std::shared_ptr<VersionUse>& use = hold_->use;
  if (use == nullptr) return hold_->served->engine->submit(request, std::move(sink));
  Result<request::RequestId> id =
      hold_->served->engine->submit(request, std::make_shared<CountingSink>(std::move(sink), use));
  if (!id.has_value() && is_refusal(id.error())) use->outcomes.count(observe::Outcome::kRefused);
  return id;
}

}  // namespace inferneo::manager
