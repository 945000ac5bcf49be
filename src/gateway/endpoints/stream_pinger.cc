#include "gateway/endpoints/stream_pinger.h"

#include <chrono>
#include <utility>

#include "base/thread.h"

namespace inferneo::gateway::endpoints {

StreamPinger::StreamPinger(const Clock& clock)
    : clock_(clock), thread_([this](const std::stop_token& stop) { run(stop); }) {}

StreamPinger::~StreamPinger() {
  thread_.request_stop();
  thread_.join();
}

void StreamPinger::add(std::weak_ptr<Pingable> stream) {
  {
    const std::lock_guard lock(mutex_);
    streams_.push_back(std::move(stream));
  }
  added_.notify_one();
}

// Why a copy: a ping takes the stream's own lock, under which streams may be added.
void StreamPinger::look() {
  std::vector<std::weak_ptr<Pingable>> streams;
  {
    const std::lock_guard lock(mutex_);
    streams.swap(streams_);
  }
  std::vector<std::weak_ptr<Pingable>> open;
  const TimePoint now = clock_.now();
  for (auto& weak : streams) {
    const std::shared_ptr<Pingable> stream = weak.lock();
    if (stream != nullptr && stream->ping_if_quiet(now)) open.push_back(std::move(weak));
  }
  const std::lock_guard lock(mutex_);
  streams_.insert(
      streams_.end(), std::make_move_iterator(open.begin()), std::make_move_iterator(open.end()));
}

void StreamPinger::run(const std::stop_token& stop) {
  set_thread_name("sse-ping");
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      if (!added_.wait(lock, stop, [this] { return !streams_.empty(); })) return;
      // Only the end of the program interrupts this second.
      added_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
    }
    look();
  }
}

}  // namespace inferneo::gateway::endpoints
