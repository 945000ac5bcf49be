#include "manager/events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::manager {
namespace {

TEST(EventHub, a_subscriber_gets_kept_events_then_new_ones_in_order) {
  EventHub hub;
  for (int i = 0; i < 3; ++i) hub.publish({.kind = "state", .model = str("m:", i)});
  std::vector<std::string> seen;
  const auto id = hub.subscribe(1, [&](const Event& event) {
    seen.push_back(str(event.id, " ", event.model));
    return true;
  });
  hub.publish({.kind = "state", .model = "m:3"});
  hub.unsubscribe(id);
  hub.publish({.kind = "state", .model = "m:4"});
  EXPECT_EQ(seen, (std::vector<std::string>{"2 m:1", "3 m:2", "4 m:3"}));
  EXPECT_EQ(hub.last_id(), 5u);
}

TEST(EventHub, a_subscriber_that_says_no_is_called_no_more) {
  EventHub hub;
  int calls = 0;
  hub.subscribe(0, [&](const Event&) { return ++calls < 2; });
  for (int i = 0; i < 5; ++i) hub.publish({.kind = "state"});
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(hub.subscriber_count(), 0u);
  EXPECT_EQ(hub.subscribe(0, [](const Event&) { return false; }), 0u);
}

TEST(EventHub, keeps_a_bounded_number) {
  EventHub hub;
  const std::size_t count = limits::kEventKeptCountMax + 10;
  for (std::size_t i = 0; i < count; ++i) hub.publish({.kind = "state"});
  std::size_t seen = 0;
  hub.subscribe(0, [&](const Event&) { return ++seen > 0; });
  EXPECT_EQ(seen, limits::kEventKeptCountMax);
}

}  // namespace
}  // namespace inferneo::manager
