#include "manager/lifecycle.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/str.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A lifecycle whose actions are kept until a test asks for them, and whose loads end when a test
// says so.
class LifecycleTest : public ::testing::Test {
 protected:
  void start(LifecycleOptions options) {
    options.waiting_count_max = 3;
    lifecycle.emplace(std::move(options));
  }
  static LifecycleOptions budget(std::uint64_t bytes) {
    LifecycleOptions options;
    options.budget_bytes = bytes;
    return options;
  }
  VersionId add(const std::string& name, const std::string& version = "1", bool pinned = false) {
    return *lifecycle->add({.name = name, .version = version, .pinned = pinned, .keep_alive = {}},
                           now);
  }
  static VersionSizes sizes(std::uint64_t weights, std::uint64_t kv) {
    return {.fixed_bytes = weights,
            .weight_bytes = weights,
            .kv_min_bytes = kv,
            .kv_floor_bytes = kv,
            .kv_max_bytes = kv,
            .kv_wish_bytes = kv,
            .kv_is_fixed = true};
  }
  TicketId wait(const std::string& name, VersionId version = 0) {
    const TicketId ticket = ++last_ticket;
    lifecycle->wait(ticket, name, version, version != 0, now + seconds(100), now);
    take();
    return ticket;
  }
  // Sorts what the state machine has decided into the members below.
  void take() {
    for (Action& action : lifecycle->take_actions()) {
      if (const auto* plan = std::get_if<PlanVersion>(&action)) plans.push_back(plan->version);
      if (const auto* load = std::get_if<LoadVersion>(&action)) loads.push_back(*load);
      if (const auto* retire = std::get_if<RetireVersion>(&action)) retires.push_back(*retire);
      if (const auto* resize = std::get_if<ResizePool>(&action)) resizes.push_back(*resize);
      if (const auto* cancel = std::get_if<CancelRequests>(&action)) {
        cancels.push_back(cancel->version);
      }
      if (const auto* grant = std::get_if<GrantTicket>(&action)) {
        granted[grant->ticket] = grant->version;
      }
      if (auto* refuse = std::get_if<RefuseTicket>(&action)) {
        refused[refuse->ticket] = std::move(refuse->status);
      }
      if (const auto* event = std::get_if<NoteEvent>(&action)) events.push_back(event->kind);
    }
    EXPECT_EQ(lifecycle->broken_invariant(), "");
  }
  // Carries the first plan and load out.
  void load(VersionId id, const VersionSizes& needed) {
    ASSERT_FALSE(plans.empty());
    EXPECT_EQ(plans.front(), id);
    plans.clear();
    lifecycle->planned(id, needed, now);
    take();
    finish(id, needed);
  }
  void finish(VersionId id, const VersionSizes& needed) {
    ASSERT_FALSE(loads.empty());
    EXPECT_EQ(loads.front().version, id);
    const std::uint64_t kv_bytes = loads.front().kv_bytes;
    loads.erase(loads.begin());
    now += milliseconds(100);
    lifecycle->loaded(id,
                      LoadedSizes{.fixed_bytes = needed.fixed_bytes,
                                  .weight_bytes = needed.weight_bytes,
                                  .kv_bytes = kv_bytes},
                      now);
    take();
  }
  void retired(VersionId id) {
    ASSERT_FALSE(retires.empty());
    EXPECT_EQ(retires.front().version, id);
    retires.erase(retires.begin());
    lifecycle->retired(id, now);
    take();
  }
  void used(VersionId id, std::int32_t leases, std::uint64_t count = 1) {
    lifecycle->use(
        id,
        {.lease_count = leases, .request_count = count, .last_used = now, .keep_alive = {}},
        now);
  }
  void resized(VersionId id) {
    ASSERT_FALSE(resizes.empty());
    EXPECT_EQ(resizes.front().version, id);
    const std::uint64_t kv_bytes = resizes.front().kv_bytes;
    resizes.erase(resizes.begin());
    lifecycle->resized(id, kv_bytes, now);
    take();
  }
  void busy(VersionId id, std::uint64_t kv_used, bool is_short = false) {
    lifecycle->use(id,
                   {.lease_count = 1,
                    .request_count = 1,
                    .last_used = now,
                    .keep_alive = {},
                    .kv_used_bytes = kv_used,
                    .kv_is_short = is_short},
                   now);
  }
  static VersionSizes elastic(std::uint64_t weights, std::uint64_t context, std::uint64_t wish) {
    return {.fixed_bytes = weights,
            .weight_bytes = weights,
            .kv_min_bytes = context / 5,
            .kv_floor_bytes = context,
            .kv_max_bytes = wish,
            .kv_wish_bytes = wish,
            .kv_is_fixed = false};
  }
  void pass(Duration time) {
    now += time;
    lifecycle->tick(now);
    take();
  }
  VersionState state(VersionId id) { return lifecycle->view(id).state; }
  bool has_event(const std::string& kind) {
    return std::find(events.begin(), events.end(), kind) != events.end();
  }

  std::optional<Lifecycle> lifecycle;
  TimePoint now{seconds(1000)};
  TicketId last_ticket = 0;
  std::vector<VersionId> plans;
  std::vector<LoadVersion> loads;
  std::vector<RetireVersion> retires;
  std::vector<ResizePool> resizes;
  std::vector<VersionId> cancels;
  std::map<TicketId, VersionId> granted;
  std::map<TicketId, Status> refused;
  std::vector<std::string> events;
};

TEST_F(LifecycleTest, one_load_serves_all_who_wait) {
  start(budget(100));
  const VersionId id = add("a");
  EXPECT_EQ(state(id), VersionState::kRegistered);
  const TicketId first = wait("a");
  const TicketId second = wait("a");
  EXPECT_EQ(state(id), VersionState::kLoading);
  EXPECT_EQ(plans.size(), 1U);
  load(id, sizes(50, 10));
  EXPECT_EQ(granted.at(first), id);
  EXPECT_EQ(granted.at(second), id);
  EXPECT_EQ(state(id), VersionState::kReady);
  EXPECT_EQ(lifecycle->ledger().reserved_bytes(), 60U);
}

TEST_F(LifecycleTest, too_many_who_wait_are_refused) {
  start(budget(100));
  add("a");
  for (int i = 0; i < 3; ++i) wait("a");
  const TicketId fourth = wait("a");
  EXPECT_EQ(refused.at(fourth).code(), StatusCode::kResourceExhausted);
  EXPECT_NE(refused.at(fourth).message().find("3 requests wait"), std::string::npos);
}

TEST_F(LifecycleTest, who_leaves_is_not_answered) {
  start(budget(100));
  const VersionId id = add("a");
  const TicketId ticket = wait("a");
  lifecycle->abandon(ticket);
  load(id, sizes(50, 10));
  EXPECT_TRUE(granted.empty());
}

TEST_F(LifecycleTest, a_wait_ends_at_its_deadline_with_the_state) {
  start(budget(100));
  add("a");
  const TicketId ticket = wait("a");
  EXPECT_EQ(lifecycle->next_tick(now), now + seconds(100));
  pass(seconds(101));
  EXPECT_EQ(refused.at(ticket).code(), StatusCode::kDeadlineExceeded);
  EXPECT_NE(refused.at(ticket).message().find("loading"), std::string::npos);
}

TEST_F(LifecycleTest, a_failed_load_answers_with_its_reason_and_is_tried_again_later) {
  start(budget(100));
  const VersionId id = add("a");
  const TicketId first = wait("a");
  lifecycle->planned(id, corrupt_data("a tensor is cut off"), now);
  take();
  plans.clear();
  EXPECT_EQ(refused.at(first).message(), "a tensor is cut off");
  EXPECT_EQ(state(id), VersionState::kFailed);
  const TicketId soon = wait("a");
  EXPECT_EQ(refused.at(soon).message(), "a tensor is cut off");
  EXPECT_TRUE(plans.empty());
  now += Lifecycle::kRetryDelayMin;
  const TicketId later = wait("a");
  load(id, sizes(50, 10));
  EXPECT_EQ(granted.at(later), id);
}

TEST_F(LifecycleTest, retries_wait_longer_and_longer) {
  start(budget(100));
  const VersionId id = add("a");
  for (int i = 0; i < 12; ++i) {
    wait("a");
    ASSERT_EQ(plans.size(), 1U);
    plans.clear();
    lifecycle->planned(id, corrupt_data("bad"), now);
    take();
    const Duration delay = lifecycle->view(id).retry_at - now;
    EXPECT_EQ(delay,
              std::min<Duration>(Lifecycle::kRetryDelayMin * (1 << i), Lifecycle::kRetryDelayMax));
    now += delay;
  }
}

TEST_F(LifecycleTest, the_least_recently_used_idle_model_makes_room) {
  LifecycleOptions options = budget(100);
  options.eviction = EvictionOrder::kLru;
  start(options);
  const VersionId a = add("a");
  const VersionId b = add("b");
  const VersionId c = add("c");
  wait("a");
  load(a, sizes(40, 5));
  wait("b");
  load(b, sizes(40, 5));
  used(b, 0);
  now += seconds(1);
  used(a, 0);
  const TicketId ticket = wait("c");
  plans.clear();
  lifecycle->planned(c, sizes(40, 5), now);
  take();
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().version, b);
  EXPECT_TRUE(has_event("evicted"));
  EXPECT_TRUE(loads.empty()) << "memory is given back before it is given again";
  retired(b);
  EXPECT_EQ(state(b), VersionState::kUnloaded);
  finish(c, sizes(40, 5));
  EXPECT_EQ(granted.at(ticket), c);
}

TEST_F(LifecycleTest, a_busy_model_is_asked_to_leave_only_after_some_patience) {
  start(budget(100));
  const VersionId a = add("a");
  const VersionId b = add("b");
  wait("a");
  load(a, sizes(80, 5));
  used(a, 1);
  wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(80, 5), now);
  take();
  EXPECT_TRUE(retires.empty());
  EXPECT_TRUE(lifecycle->wants_idle());
  EXPECT_EQ(lifecycle->next_tick(now), now + Lifecycle::kBusyPatience);
  used(a, 1);
  pass(Lifecycle::kBusyPatience);
  ASSERT_EQ(retires.size(), 1U);
  retired(a);
  finish(b, sizes(80, 5));
}

TEST_F(LifecycleTest, what_cannot_fit_is_refused_with_the_numbers) {
  start(budget(100));
  const VersionId pinned = add("pinned", "1", true);
  wait("pinned");
  load(pinned, sizes(50, 10));
  used(pinned, 0);
  const VersionId big = add("big");
  const TicketId ticket = wait("big");
  plans.clear();
  lifecycle->planned(big, sizes(60, 10), now);
  take();
  const Status& status = refused.at(ticket);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  for (const char* part : {"60 B", "70 B", "40 B of the memory budget of 100 B", "pinned:1"}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
  EXPECT_EQ(state(pinned), VersionState::kReady);
}

TEST_F(LifecycleTest, a_load_that_may_not_evict_fails_where_memory_is_short) {
  start(budget(100));
  const VersionId a = add("a");
  const VersionId b = add("b");
  wait("a");
  load(a, sizes(60, 5));
  used(a, 0);
  EXPECT_TRUE(lifecycle->load(b, false, now).ok());
  take();
  plans.clear();
  lifecycle->planned(b, sizes(60, 5), now);
  take();
  EXPECT_EQ(state(b), VersionState::kFailed);
  EXPECT_EQ(state(a), VersionState::kReady);
}

TEST_F(LifecycleTest, the_count_of_loaded_models_is_limited) {
  LifecycleOptions options = budget(1000);
  options.loaded_count_max = 1;
  start(options);
  const VersionId a = add("a");
  const VersionId b = add("b");
  wait("a");
  load(a, sizes(10, 5));
  used(a, 0);
  wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(10, 5), now);
  take();
  retired(a);
  finish(b, sizes(10, 5));
  EXPECT_EQ(lifecycle->loaded_count(), 1);
}

TEST_F(LifecycleTest, pools_of_idle_models_shrink_before_a_model_leaves_and_grow_again) {
  start(budget(1000));
  const VersionSizes large = elastic(100, 50, 400);
  const VersionId a = add("a");
  const VersionId b = add("b");
  wait("a");
  load(a, large);
  EXPECT_EQ(lifecycle->view(a).loaded.kv_bytes, 400U);
  used(a, 0);
  wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(600, 100), now);
  take();
  EXPECT_TRUE(retires.empty());
  EXPECT_TRUE(has_event("shrunk"));
  EXPECT_EQ(state(a), VersionState::kReady) << "it serves meanwhile";
  EXPECT_TRUE(loads.empty()) << "the bytes are not free yet";
  resized(a);
  EXPECT_EQ(lifecycle->view(a).loaded.kv_bytes, 200U);
  finish(b, sizes(600, 100));
  used(b, 0);
  EXPECT_TRUE(lifecycle->unload(b, Keep::kNothing, seconds(9), now).ok());
  take();
  retired(b);
  pass(Lifecycle::kGrowIdle + seconds(1));
  EXPECT_TRUE(has_event("grown"));
  EXPECT_EQ(lifecycle->view(a).reserved_bytes, 500U) << "reserved before it may be used";
  resized(a);
  EXPECT_EQ(lifecycle->view(a).loaded.kv_bytes, 400U);
  EXPECT_EQ(lifecycle->view(a).load_count, 1U);
}

TEST_F(LifecycleTest, a_pool_that_holds_no_whole_context_is_built_anew_when_memory_is_free) {
  start(budget(1000));
  const VersionId a = add("a");
  const VersionId b = add("b", "1", true);
  wait("b");
  load(b, sizes(840, 100));
  wait("a");
  load(a, elastic(30, 50, 400));
  EXPECT_LT(lifecycle->view(a).loaded.kv_bytes, 50U);
  used(a, 0);
  used(b, 0);
  EXPECT_TRUE(lifecycle->unload(b, Keep::kNothing, seconds(9), now).ok());
  take();
  retired(b);
  pass(Lifecycle::kGrowIdle + seconds(1));
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().keep, Keep::kWeights);
  retired(a);
  EXPECT_EQ(state(a), VersionState::kWarming);
  finish(a, elastic(30, 50, 400));
  EXPECT_EQ(lifecycle->view(a).loaded.kv_bytes, 400U);
}

TEST_F(LifecycleTest, busy_and_pinned_models_give_what_their_requests_do_not_use) {
  start(budget(1000));
  const VersionId a = add("a", "1", true);
  wait("a");
  load(a, elastic(100, 50, 400));
  busy(a, 200);
  const VersionId b = add("b");
  wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(500, 120), now);
  take();
  ASSERT_EQ(resizes.size(), 1U);
  EXPECT_EQ(resizes.front().kv_bytes, 280U);
  EXPECT_TRUE(retires.empty());
  resized(a);
  finish(b, sizes(500, 120));
  EXPECT_EQ(state(b), VersionState::kReady);
  // Its requests keep what they use and a quarter more: nothing else can be taken from it.
  busy(a, 250);
  busy(b, 0);
  const VersionId c = add("c");
  wait("c");
  plans.clear();
  lifecycle->planned(c, sizes(10, 10), now);
  take();
  EXPECT_TRUE(resizes.empty());
}

TEST_F(LifecycleTest, a_pool_whose_requests_wait_grows_from_free_memory_and_from_other_pools) {
  start(budget(1000));
  const VersionId a = add("a");
  const VersionId b = add("b");
  wait("a");
  load(a, elastic(100, 50, 700));  // takes half of what is free
  EXPECT_EQ(lifecycle->view(a).loaded.kv_bytes, 450U);
  wait("b");
  load(b, elastic(100, 50, 700));
  EXPECT_EQ(lifecycle->view(b).loaded.kv_bytes, 175U);
  now += Lifecycle::kResizePause;
  busy(a, 100);
  busy(b, 170, true);
  pass(seconds(1));
  ASSERT_EQ(resizes.size(), 1U);
  EXPECT_EQ(resizes.front().kv_bytes, 350U) << "doubled from what is free";
  resized(b);
  // No time to tell whether that helps.
  busy(b, 340, true);
  pass(seconds(1));
  EXPECT_TRUE(resizes.empty());
  // Nothing is free: the other one gives half of what it does not need.
  pass(Lifecycle::kResizePause);
  ASSERT_EQ(resizes.size(), 1U);
  EXPECT_EQ(resizes.front().version, a);
  EXPECT_EQ(resizes.front().kv_bytes, 288U);
  resized(a);
  pass(seconds(0));
  ASSERT_EQ(resizes.size(), 1U);
  EXPECT_EQ(resizes.front().version, b);
  EXPECT_EQ(resizes.front().kv_bytes, 512U);
  // It is unloaded before it has answered: the answer is of what leaves.
  EXPECT_TRUE(lifecycle->unload(b, Keep::kNothing, seconds(9), now).ok());
  take();
  const std::uint64_t reserved = lifecycle->view(b).reserved_bytes;
  lifecycle->resized(b, 512, now);
  take();
  EXPECT_EQ(lifecycle->view(b).reserved_bytes, reserved);
  retired(b);
  EXPECT_EQ(lifecycle->view(b).reserved_bytes, 0U);
}

TEST_F(LifecycleTest, an_idle_model_leaves_after_its_time_and_a_request_may_change_that) {
  LifecycleOptions options = budget(100);
  options.keep_alive = seconds(10);
  start(options);
  const VersionId a = add("a");
  wait("a");
  load(a, sizes(10, 5));
  used(a, 0);
  EXPECT_EQ(lifecycle->next_tick(now), now + seconds(10));
  lifecycle->use(
      a, {.lease_count = 0, .request_count = 2, .last_used = now, .keep_alive = seconds(30)}, now);
  pass(seconds(29));
  EXPECT_TRUE(retires.empty());
  pass(seconds(1));
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().keep, Keep::kNothing);
}

TEST_F(LifecycleTest, a_busy_or_pinned_model_stays_beyond_its_time) {
  LifecycleOptions options = budget(100);
  options.keep_alive = seconds(10);
  start(options);
  const VersionId busy = add("busy");
  const VersionId pinned = add("pinned", "1", true);
  wait("busy");
  load(busy, sizes(10, 5));
  wait("pinned");
  load(pinned, sizes(10, 5));
  used(busy, 1);
  used(pinned, 0);
  pass(seconds(1000));
  EXPECT_TRUE(retires.empty());
}

TEST_F(LifecycleTest, an_idle_model_may_sleep_and_wakes_for_a_request) {
  LifecycleOptions options = budget(100);
  options.keep_alive = seconds(10);
  options.sleep_when_idle = true;
  start(options);
  const VersionId a = add("a");
  wait("a");
  load(a, sizes(10, 5));
  used(a, 0);
  pass(seconds(10));
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().keep, Keep::kFiles);
  retired(a);
  EXPECT_EQ(state(a), VersionState::kSleeping);
  EXPECT_EQ(lifecycle->ledger().reserved_bytes(), 0U);
  const TicketId ticket = wait("a");
  load(a, sizes(10, 5));
  EXPECT_EQ(granted.at(ticket), a);
}

TEST_F(LifecycleTest, a_swap_loads_before_it_unloads) {
  start(budget(100));
  const VersionId one = add("a", "1");
  const VersionId two = add("a", "2");
  EXPECT_EQ(lifecycle->live_of("a"), one);
  wait("a");
  load(one, sizes(30, 5));
  EXPECT_TRUE(lifecycle->swap(two, true, now).ok());
  take();
  EXPECT_EQ(lifecycle->swap(two, true, now).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(lifecycle->live_of("a"), one);
  load(two, sizes(30, 5));
  EXPECT_EQ(lifecycle->live_of("a"), two);
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().version, one);
  EXPECT_FALSE(has_event("drain_first"));
}

TEST_F(LifecycleTest, a_failed_swap_leaves_the_former_version_serving) {
  start(budget(100));
  const VersionId one = add("a", "1");
  const VersionId two = add("a", "2");
  wait("a");
  load(one, sizes(30, 5));
  EXPECT_TRUE(lifecycle->swap(two, true, now).ok());
  take();
  lifecycle->planned(two, corrupt_data("bad"), now);
  take();
  EXPECT_TRUE(has_event("swap_failed"));
  EXPECT_EQ(lifecycle->live_of("a"), one);
  EXPECT_EQ(state(one), VersionState::kReady);
  EXPECT_TRUE(retires.empty());
}

TEST_F(LifecycleTest, a_swap_that_does_not_fit_drains_first_says_so_and_comes_back_on_failure) {
  start(budget(100));
  const VersionId one = add("a", "1");
  const VersionId two = add("a", "2");
  wait("a");
  load(one, sizes(60, 5));
  used(one, 1);
  EXPECT_TRUE(lifecycle->swap(two, true, now).ok());
  take();
  plans.clear();
  lifecycle->planned(two, sizes(60, 5), now);
  take();
  EXPECT_TRUE(has_event("drain_first"));
  ASSERT_EQ(retires.size(), 1U);
  EXPECT_EQ(retires.front().version, one);
  const TicketId meanwhile = wait("a");
  retired(one);
  ASSERT_EQ(loads.size(), 1U);
  loads.clear();
  lifecycle->loaded(two, corrupt_data("bad"), now);
  take();
  EXPECT_TRUE(has_event("swap_failed"));
  load(one, sizes(60, 5));
  EXPECT_EQ(granted.at(meanwhile), one) << "who waited gets the version that came back";
}

TEST_F(LifecycleTest, only_the_latest_versions_are_served_where_the_policy_says_so) {
  start(budget(100));
  const VersionId one = add("a", "1");
  wait("a");
  load(one, sizes(10, 5));
  lifecycle->set_policy(
      "a", {.kind = VersionPolicy::Kind::kLatest, .latest_count = 1, .versions = {}}, now);
  const VersionId two = add("a", "2");
  take();
  EXPECT_TRUE(lifecycle->view(one).served) << "the live one stays until it is replaced";
  EXPECT_TRUE(lifecycle->swap(two, false, now).ok());
  take();
  load(two, sizes(10, 5));
  ASSERT_EQ(retires.size(), 1U);
  retired(one);
  EXPECT_FALSE(lifecycle->view(one).served);
  EXPECT_EQ(refused.count(wait("a", one)), 1U);
}

TEST_F(LifecycleTest, what_a_rollout_holds_neither_leaves_nor_is_unloaded) {
  start(budget(100));
  const VersionId a = add("a");
  const VersionId b = add("b");
  EXPECT_TRUE(lifecycle->hold(a, now).ok());
  take();
  load(a, sizes(60, 5));
  used(a, 0);
  EXPECT_EQ(lifecycle->unload(a, Keep::kNothing, seconds(1), now).code(),
            StatusCode::kFailedPrecondition);
  const TicketId ticket = wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(60, 5), now);
  take();
  EXPECT_EQ(refused.at(ticket).code(), StatusCode::kResourceExhausted);
  lifecycle->release(a, now);
  now += Lifecycle::kRetryDelayMin;
  wait("b");
  plans.clear();
  lifecycle->planned(b, sizes(60, 5), now);
  take();
  EXPECT_EQ(retires.size(), 1U);
}

TEST_F(LifecycleTest, requests_that_outlive_the_drain_are_cancelled) {
  start(budget(100));
  const VersionId a = add("a");
  wait("a");
  load(a, sizes(10, 5));
  EXPECT_TRUE(lifecycle->unload(a, Keep::kNothing, seconds(5), now).ok());
  take();
  pass(seconds(4));
  EXPECT_TRUE(cancels.empty());
  pass(seconds(1));
  EXPECT_EQ(cancels, std::vector<VersionId>{a});
}

TEST_F(LifecycleTest, a_version_removed_while_it_loads_is_forgotten_with_its_memory) {
  start(budget(100));
  const VersionId a = add("a");
  const TicketId ticket = wait("a");
  plans.clear();
  lifecycle->planned(a, sizes(10, 5), now);
  take();
  lifecycle->remove(a, now);
  take();
  EXPECT_EQ(refused.at(ticket).code(), StatusCode::kNotFound);
  finish(a, sizes(10, 5));
  retired(a);
  EXPECT_EQ(lifecycle->ledger().reserved_bytes(), 0U);
  EXPECT_TRUE(lifecycle->names().empty());
}

TEST_F(LifecycleTest, a_request_that_comes_while_a_model_leaves_brings_it_back) {
  start(budget(100));
  const VersionId a = add("a");
  wait("a");
  load(a, sizes(10, 5));
  EXPECT_TRUE(lifecycle->unload(a, Keep::kNothing, seconds(5), now).ok());
  take();
  const TicketId ticket = wait("a");
  retired(a);
  load(a, sizes(10, 5));
  EXPECT_EQ(granted.at(ticket), a);
}

TEST_F(LifecycleTest, shutdown_refuses_who_waits_and_loads_nothing_more) {
  start(budget(100));
  add("a");
  const TicketId ticket = wait("a");
  lifecycle->shut_down(now);
  take();
  EXPECT_EQ(refused.at(ticket).code(), StatusCode::kUnavailable);
  EXPECT_EQ(refused.count(wait("a")), 1U);
}

TEST(version_state, no_state_is_left_for_itself_and_every_state_can_be_reached) {
  for (std::size_t from = 0; from < kVersionStateCount; ++from) {
    const auto state = static_cast<VersionState>(from);
    EXPECT_FALSE(may_follow(state, state));
    bool leaves = false;
    bool reached = from == 0;
    for (std::size_t to = 0; to < kVersionStateCount; ++to) {
      leaves = leaves || may_follow(state, static_cast<VersionState>(to));
      reached = reached || may_follow(static_cast<VersionState>(to), state);
    }
    EXPECT_TRUE(leaves) << version_state_name(state);
    EXPECT_TRUE(reached) << version_state_name(state);
  }
}

}  // namespace
}  // namespace inferneo::manager
