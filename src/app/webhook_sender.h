// Sends the webhooks of rollouts, one after another on a thread of its own, each with a time-out
// and a few tries. Thread: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "manager/rollout_controller.h"

namespace inferneo::app {

class WebhookSender final : public manager::RolloutHooks {
 public:
  struct Options {
    std::chrono::milliseconds timeout{5000};  // of one try
    int try_count = 3;
    std::chrono::milliseconds retry_delay{200};  // before the second try, doubled for each further
    std::size_t waiting_count_max = 64;          // more fail at once
  };
  WebhookSender() : WebhookSender(Options{}) {}
  explicit WebhookSender(const Options& options);
  // What waits is dropped; a call under way ends with its time-out.
  ~WebhookSender() override;
  WebhookSender(const WebhookSender&) = delete;
  WebhookSender& operator=(const WebhookSender&) = delete;

  std::uint64_t post(const std::string& url, std::string body) override;
  std::optional<Status> outcome(std::uint64_t call) override;

 private:
  struct Call {
    std::uint64_t number = 0;
    std::string url;
    std::string body;
  };
  void run();
  Status send(const Call& call);

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call> waiting_;
  std::map<std::uint64_t, Status> outcomes_;  // Bound: kOutcomeCountMax, the oldest leave
  std::uint64_t last_number_ = 0;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace inferneo::app
