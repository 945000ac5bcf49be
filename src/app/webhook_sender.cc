#include "app/webhook_sender.h"

#include <utility>

#include "base/str.h"
#include "base/thread.h"
#include "gateway/http/post.h"

namespace inferneo::app {
namespace {

// Nobody asks for the outcome of the last hooks of a rollout.
constexpr std::size_t kOutcomeCountMax = 256;

}  // namespace

WebhookSender::WebhookSender(const Options& options)
    : options_(options), thread_([this] { run(); }) {}

WebhookSender::~WebhookSender() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

std::uint64_t WebhookSender::post(const std::string& url, std::string body) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = ++last_number_;
  if (waiting_.size() >= options_.waiting_count_max) {
    outcomes_[number] = resource_exhausted(str(waiting_.size(), " webhooks wait already"));
    return number;
  }
  waiting_.push_back({.number = number, .url = url, .body = std::move(body)});
  changed_.notify_all();
  return number;
}

std::optional<Status> WebhookSender::outcome(std::uint64_t call) {
  const std::lock_guard lock(mutex_);
  const auto found = outcomes_.find(call);
  if (found == outcomes_.end()) return std::nullopt;
  Status status = std::move(found->second);
  outcomes_.erase(found);
  return status;
}

void WebhookSender::run() {
  set_thread_name("webhooks");
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    if (is_stopping_) return;
    const Call call = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    Status status = send(call);
    lock.lock();
    outcomes_[call.number] = std::move(status);
    while (outcomes_.size() > kOutcomeCountMax) outcomes_.erase(outcomes_.begin());
  }
}

Status WebhookSender::send(const Call& call) {
  Status status;
  std::chrono::milliseconds delay = options_.retry_delay;
  for (int i = 0; i < options_.try_count; ++i) {
    if (i > 0) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, delay, [this] { return is_stopping_; })) return status;
      delay *= 2;
    }
    const Result<int> answered = gateway::http::post_json(call.url, call.body, options_.timeout);
    if (!answered.has_value()) {
      status = answered.error();
      // Neither a wrong URL nor a certificate gets better by asking again.
      if (status.code() == StatusCode::kInvalidArgument ||
          status.code() == StatusCode::kPermissionDenied) {
        return status;
      }
      continue;
    }
    if (*answered >= 200 && *answered < 300) return ok_status();
    status = unavailable(str("answered ", *answered));
    // The receiver has understood and refuses: asking again would not help.
    if (*answered >= 400 && *answered < 500) return status;
  }
  return status;
}

}  // namespace inferneo::app
