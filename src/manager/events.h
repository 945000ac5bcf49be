// What happens to models, as it happens: changes of state, of the catalog and of rollouts, for
// those who watch (GET /api/v1/model_serving/events). Events are news, not the record: that is the
// catalog's audit.
// Thread: any. Ownership: subscribers are called back, never waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_function.h"

namespace inferneo::manager {

// The last event of a server: those who watch are to look elsewhere.
inline constexpr std::string_view kServerStopping = "server_stopping";

struct Event {
  std::uint64_t id = 0;  // filled in by publish: 1, 2, ...
  std::int64_t at_unix_ms = 0;
  // "state" (detail has from, to, reason), "load_progress", "catalog", "rollout", ...
  std::string kind = {};
  std::string model = {};   // "name:version"; empty when it is about all
  std::string detail = {};  // a JSON object
};

class EventHub {
 public:
  using SubscriberId = std::uint64_t;
  // Called with each event, in order, one at a time, on the publishing thread: must not block and
  // must not publish or subscribe. False ends the subscription.
  using Subscriber = UniqueFunction<bool(const Event& event)>;

  EventHub() = default;
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // Never blocks for longer than the callbacks take.
  void publish(Event event);
  // First gets the kept events (limits::kEventKeptCountMax) with an id above `after_id`, then all
  // new ones. Failures: none; 0 when the callback ended it at once.
  SubscriberId subscribe(std::uint64_t after_id, Subscriber subscriber);
  void unsubscribe(SubscriberId id);
  [[nodiscard]] std::uint64_t last_id() const;
  [[nodiscard]] std::size_t subscriber_count() const;

 private:
  struct Entry {
    SubscriberId id = 0;
    Subscriber callback;
  };
  mutable std::mutex mutex_;
  std::deque<Event> kept_;
  std::vector<Entry> subscribers_;
  std::uint64_t last_id_ = 0;
  SubscriberId last_subscriber_ = 0;
};

}  // namespace inferneo::manager
