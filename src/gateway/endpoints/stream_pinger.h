// Keeps quiet streams alive: proxies close connections on which nothing moves, and a long prompt
// can take that long. One thread looks at the open streams every second.
// Thread: any. Ownership: holds streams weakly.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace inferneo::gateway::endpoints {

// A stream that may need a sign of life.
class Pingable {
 public:
  virtual ~Pingable() = default;
  // Sends a comment when nothing was sent for limits::kSsePingInterval. False when the stream has
  // ended. Thread: any.
  virtual bool ping_if_quiet(TimePoint now) = 0;
};

class StreamPinger {
 public:
  // `clock` must outlive the pinger.
  explicit StreamPinger(const Clock& clock);
  ~StreamPinger();
  StreamPinger(const StreamPinger&) = delete;
  StreamPinger& operator=(const StreamPinger&) = delete;

  void add(std::weak_ptr<Pingable> stream);
  // One look at all streams; what the thread does every second.
  void look();

 private:
  void run(const std::stop_token& stop);

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any added_;
  std::vector<std::weak_ptr<Pingable>> streams_;
  std::jthread thread_;  // declared last: ends before what it uses
};

}  // namespace inferneo::gateway::endpoints
