#include "gateway/endpoints/vector_job.h"

#include <cmath>
#include <mutex>
#include <utility>

#include "base/str.h"

namespace inferneo::gateway::endpoints {
namespace {

// Why 32: half of what a model computes at the same time by default, so that other requests of the
// model go on beside a long list.
constexpr std::size_t kInFlightMax = 32;

class VectorRun final : public std::enable_shared_from_this<VectorRun> {
 public:
  VectorRun(TimePoint deadline, VectorJob job, UseVectors use)
      : deadline_(deadline), job_(std::move(job)), use_(std::move(use)) {
    vectors_.values.resize(job_.texts.size());
    ids_.resize(job_.texts.size());
  }

  // Submits as many texts as may be in flight. Thread: any.
  void go_on();
  void abandon() { end(std::nullopt); }

 private:
  class TextSink final : public request::OutputSink {
   public:
    TextSink(std::shared_ptr<VectorRun> run, std::size_t text)
        : run_(std::move(run)), text_(text) {}
    void on_delta(request::OutputDelta&&) override {}
    void on_vector(std::vector<float>&& values) override { run_->take(text_, std::move(values)); }
    void on_end(const request::Usage& usage,
                const request::RequestTiming&,
                const Status& status) override {
      run_->finish_text(usage, status);
    }

   private:
    const std::shared_ptr<VectorRun> run_;
    const std::size_t text_;
  };

  // Submits the next text; nothing when it must wait for one in flight.
  Status submit_next(bool& submitted);
  void take(std::size_t text, std::vector<float>&& values);
  void finish_text(const request::Usage& usage, const Status& status);
  void end(std::optional<Result<Vectors>> result);
  Status at_text(Status status, std::size_t text) const;

  const TimePoint deadline_;
  VectorJob job_;
  UseVectors use_;

  std::mutex mutex_;  // guards all below
  Vectors vectors_;
  std::vector<request::RequestId> ids_;  // by text, once submitted
  std::size_t submitted_count_ = 0;
  std::size_t ended_count_ = 0;
  bool ended_ = false;
};

Status VectorRun::at_text(Status status, std::size_t text) const {
  // The engine names its own field; here it is one of the list.
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return at_field(std::move(status).with_where(job_.fields[text]), job_.fields[text]);
}

Status VectorRun::submit_next(bool& submitted) {
  submitted = false;
  const std::lock_guard lock(mutex_);
  const std::size_t in_flight = submitted_count_ - ended_count_;
  if (ended_ || submitted_count_ == job_.texts.size() || in_flight >= kInFlightMax) {
    return ok_status();
  }
  const std::size_t text = submitted_count_;
  request::GenerateRequest request;
  request.prompt = job_.texts[text];
  request.sampling.max_tokens = 0;
  request.pooling = job_.pooling;
  if (!job_.second_begins.empty()) request.second_begin = job_.second_begins[text];
  request.deadline = deadline_;
  Result<request::RequestId> id =
      job_.lease.submit(request, std::make_shared<TextSink>(shared_from_this(), text));
  if (id.has_value()) {
    ids_[submitted_count_++] = *id;
    submitted = true;
    return ok_status();
  }
  // A full queue is no failure as long as one of ours will leave it.
  if (id.error().code() == StatusCode::kResourceExhausted && in_flight > 0) return ok_status();
  return at_text(std::move(id).error(), text);
}

void VectorRun::go_on() {
  for (bool submitted = true; submitted;) {
    Status status = submit_next(submitted);
    if (!status.ok()) {
      end(std::move(status));
      return;
    }
  }
}

void VectorRun::take(std::size_t text, std::vector<float>&& values) {
  const std::lock_guard lock(mutex_);
  vectors_.values[text] = std::move(values);
}

void VectorRun::finish_text(const request::Usage& usage, const Status& status) {
  if (!status.ok()) {
    end(status);
    return;
  }
  bool complete = false;
  {
    const std::lock_guard lock(mutex_);
    vectors_.token_count += usage.prompt_tokens;
    complete = ++ended_count_ == job_.texts.size();
  }
  if (complete) {
    end(std::move(vectors_));
  } else {
    go_on();
  }
}

// Without a result nobody waits any more.
void VectorRun::end(std::optional<Result<Vectors>> result) {
  std::vector<request::RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
    ids.assign(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(submitted_count_));
  }
  // Those that have ended are ignored.
  const bool complete = result.has_value() && result->has_value();
  if (!complete) {
    for (const request::RequestId id : ids) job_.lease.cancel(id);
  }
  if (result.has_value()) use_(*std::move(result));
}

}  // namespace

void compute_vectors(const Services& services,
                     const std::shared_ptr<http::Exchange>& exchange,
                     VectorJob job,
                     UseVectors use) {
  const TimePoint deadline = services.clock->now() + limits::kRequestTimeout;
  const auto run = std::make_shared<VectorRun>(deadline, std::move(job), std::move(use));
  run->go_on();
  exchange->on_disconnect([weak = std::weak_ptr<VectorRun>(run)] {
    if (const auto alive = weak.lock()) alive->abandon();
  });
}

void normalize(std::span<float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  if (sum <= 0) return;
  const double scale = 1 / std::sqrt(sum);
  for (float& value : values) value = static_cast<float>(value * scale);
}

}  // namespace inferneo::gateway::endpoints
