#include "manager/events.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"

namespace inferneo::manager {
namespace {

std::int64_t unix_ms_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void EventHub::publish(Event event) {
  const std::lock_guard lock(mutex_);
  event.id = ++last_id_;
  if (event.at_unix_ms == 0) event.at_unix_ms = unix_ms_now();
  kept_.push_back(std::move(event));
  if (kept_.size() > limits::kEventKeptCountMax) kept_.pop_front();
  const Event& newest = kept_.back();
  std::erase_if(subscribers_, [&](Entry& entry) { return !entry.callback(newest); });
}

EventHub::SubscriberId EventHub::subscribe(std::uint64_t after_id, Subscriber subscriber) {
  const std::lock_guard lock(mutex_);
  for (const Event& event : kept_) {
    if (event.id > after_id && !subscriber(event)) return 0;
  }
  subscribers_.push_back({++last_subscriber_, std::move(subscriber)});
  return last_subscriber_;
}

void EventHub::unsubscribe(SubscriberId id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(subscribers_, [&](const Entry& entry) { return entry.id == id; });
}

std::uint64_t EventHub::last_id() const {
  const std::lock_guard lock(mutex_);
  return last_id_;
}

std::size_t EventHub::subscriber_count() const {
  const std::lock_guard lock(mutex_);
  return subscribers_.size();
}

}  // namespace inferneo::manager
