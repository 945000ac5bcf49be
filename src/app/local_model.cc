#include "app/local_model.h"

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "base/str.h"

namespace inferneo::app {
namespace {

// How long a cancellation may go unnoticed; a person does not feel it.
constexpr std::chrono::milliseconds kStopPollInterval{20};

// Collects one answer; main waits on it.
class Collector final : public request::OutputSink {
 public:
  explicit Collector(const LocalModel::Piece& on_piece) : on_piece_(on_piece) {}

  void on_delta(request::OutputDelta&& delta) override {
    if (!delta.text.empty()) on_piece_(delta.text);
    answer_.text += delta.text;
    if (delta.finish.has_value()) answer_.finish = *delta.finish;
  }

  void on_end(const request::Usage& usage,
              const request::RequestTiming& timing,
              const Status& status) override {
    const std::lock_guard lock(mutex_);
    answer_.usage = usage;
    answer_.timing = timing;
    status_ = status;
    ended_ = true;
    ended_changed_.notify_one();
  }

  // True once the request has ended.
  bool wait_for(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return ended_changed_.wait_for(lock, timeout, [&] { return ended_; });
  }

  // Precondition: ended.
  Result<Answer> take() {
    const std::lock_guard lock(mutex_);
    if (!status_.ok() && answer_.finish != request::FinishReason::kAbort) return status_;
    return std::move(answer_);
  }

 private:
  const LocalModel::Piece& on_piece_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  Status status_;
  Answer answer_;
};

}  // namespace

Result<std::unique_ptr<LocalModel>> LocalModel::load(const std::string& model,
                                                     const Config& config) {
  ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(model));
  ASSIGN_OR_RETURN(std::unique_ptr<ModelHost> host, ModelHost::create(config));
  RETURN_IF_ERROR(host->add(spec));
  ASSIGN_OR_RETURN(manager::Lease lease, host->manager().acquire(spec.name));
  return std::unique_ptr<LocalModel>(new LocalModel(std::move(host), std::move(lease)));
}

Result<Answer> LocalModel::generate(request::GenerateRequest request,
                                    const Piece& on_piece,
                                    const std::atomic<bool>& stop) const {
  const auto collector = std::make_shared<Collector>(on_piece);
  ASSIGN_OR_RETURN(const request::RequestId id, lease_.submit(request, collector));
  bool cancelled = false;
  while (!collector->wait_for(kStopPollInterval)) {
    if (cancelled || !stop.load(std::memory_order_relaxed)) continue;
    lease_.cancel(id);
    cancelled = true;
  }
  return collector->take();
}

std::string speed_line(const Answer& answer) {
  const double total = to_seconds(answer.timing.total);
  const double first = to_seconds(answer.timing.first_token);
  const double decode = total - first;
  const int after_first = answer.usage.completion_tokens - 1;
  char text[200];
  std::snprintf(text,
                sizeof(text),
                "%d tokens in %.2f s: first after %.0f ms, then %.1f tokens/s "
                "(%d prompt tokens, %d cached)",
                answer.usage.completion_tokens,
                total,
                first * 1e3,
                decode > 0 ? after_first / decode : 0.0,
                answer.usage.prompt_tokens,
                answer.usage.cached_prompt_tokens);
  return text;
}

}  // namespace inferneo::app
