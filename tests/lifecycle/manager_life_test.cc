// The manager with its threads, on fake models whose loads a test can hold up or let fail.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "base/manual_clock.h"
#include "base/str.h"
#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/manager.h"
#include "manager/version_host.h"
#include "runtime/fake_runtime.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMib = 1024ULL * 1024;

// A fake model that claims to have weights.
class SizedModel final : public runtime::Model {
 public:
  explicit SizedModel(std::uint64_t weight_bytes) : info_(inner_.info()) {
    info_.memory.weight_bytes = weight_bytes;
  }
  [[nodiscard]] const runtime::ModelInfo& info() const override { return info_; }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    return inner_.make_runner(options);
  }

 private:
  runtime::FakeModel inner_{runtime::FakeModelOptions{.eos_probability = 0}};
  runtime::ModelInfo info_;
};

// "Weights" are files that name their seed; loads can be stopped at a gate and told to fail.
class GatedRuntime final : public runtime::Runtime {
 public:
  [[nodiscard]] std::string_view name() const override { return "gated"; }
  [[nodiscard]] int probe(const std::string& path) const override {
    return std::filesystem::exists(path + "/weights") ? 1 : 0;
  }
  Result<runtime::MemoryPlan> plan(const std::string&, const runtime::LoadOptions&) const override {
    return SizedModel(weight_bytes).info().memory;
  }
  Result<std::shared_ptr<const runtime::Model>> load(const std::string& path,
                                                     const runtime::LoadOptions&,
                                                     runtime::Progress progress) const override {
    if (progress) progress(42, 100);
    {
      std::unique_lock lock(mutex_);
      ++load_count;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
    }
    if (fail) return corrupt_data(str(path, "/weights is cut off"));
    return std::shared_ptr<const runtime::Model>(std::make_shared<SizedModel>(weight_bytes));
  }

  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_for_load(int count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return load_count >= count; });
  }

  std::uint64_t weight_bytes = 16 * kMib;
  std::atomic<bool> fail{false};
  mutable int load_count = 0;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool open_ = true;
};

class Collector final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& delta) override {
    const std::lock_guard lock(mutex_);
    ids_.insert(ids_.end(), delta.token_ids.begin(), delta.token_ids.end());
  }
  void on_end(const request::Usage&, const request::RequestTiming&, const Status& status) override {
    ended_.set_value(status);
  }
  Status wait() { return ended_.get_future().get(); }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return ids_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<TokenId> ids_;
  std::promise<Status> ended_;
};

// Somebody who waits for a lease.
struct Client {
  std::promise<Result<Lease>> promise;
  std::future<Result<Lease>> answer = promise.get_future();
  bool has_answer() { return answer.wait_for(seconds(0)) == std::future_status::ready; }
};

class ManagerLife : public ::testing::Test {
 protected:
  ManagerLife()
      : dir_(std::filesystem::path(::testing::TempDir()) /
             str("life_", ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(dir_);
  }
  ~ManagerLife() override {
    runtime_.open();
    manager_.reset();
    std::filesystem::remove_all(dir_);
  }

  void start(ManagerOptions options = {}) {
    options.events = &events_;
    manager_ = std::make_unique<ModelManager>(
        std::vector<const runtime::Runtime*>{&runtime_}, clock_, std::move(options));
  }
  ModelOptions options_of(const std::string& name, const std::string& version = "1") {
    std::filesystem::create_directories(dir_ / name);
    std::ofstream(dir_ / name / "weights") << "x";
    ModelOptions options;
    options.name = name;
    options.version = version;
    options.path = (dir_ / name).string();
    options.kv_bytes = kMib;
    return options;
  }
  ModelManager::WaitId wait(Client& client, const std::string& model) {
    const ModelManager::WaitId id = manager_->make_wait_id();
    manager_->wait_for_lease(
        id,
        {.model = model, .keep_alive = {}, .deadline = {}, .subject = nullptr},
        [&client](Result<Lease> lease) { client.promise.set_value(std::move(lease)); });
    return id;
  }
  VersionState state(const std::string& name) { return manager_->find(name)->state; }
  bool reaches(const std::string& name, VersionState wanted) {
    for (int i = 0; i < 5000; ++i) {
      if (state(name) == wanted) return true;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return false;
  }
  // Whatever posts to the control thread makes it look at the clock.
  void look() { EXPECT_FALSE(manager_->remove("nothing of that name", "").ok()); }

  std::filesystem::path dir_;
  SteadyClock clock_;
  EventHub events_;
  GatedRuntime runtime_;
  std::unique_ptr<ModelManager> manager_;
};

TEST_F(ManagerLife, a_first_request_loads_once_for_all_who_wait) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  EXPECT_EQ(state("a"), VersionState::kRegistered);
  EXPECT_EQ(manager_->acquire("a").error().code(), StatusCode::kUnavailable);
  runtime_.close();
  std::array<Client, 5> clients;
  for (Client& client : clients) wait(client, "a");
  runtime_.wait_for_load(1);
  EXPECT_TRUE(reaches("a", VersionState::kLoading));
  EXPECT_DOUBLE_EQ(manager_->find("a")->loaded_share, 0.42);
  for (Client& client : clients) EXPECT_FALSE(client.has_answer());
  runtime_.open();
  for (Client& client : clients) EXPECT_TRUE(client.answer.get().has_value());
  EXPECT_EQ(runtime_.load_count, 1);
  EXPECT_TRUE(manager_->acquire("a").has_value());
  EXPECT_EQ(manager_->counts().requests_waited, 5U);
}

TEST_F(ManagerLife, who_has_left_is_not_called) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  runtime_.close();
  Client stays;
  Client leaves;
  wait(stays, "a");
  const ModelManager::WaitId id = wait(leaves, "a");
  manager_->abandon(id);
  runtime_.open();
  EXPECT_TRUE(stays.answer.get().has_value());
  EXPECT_FALSE(leaves.has_answer());
  EXPECT_EQ(manager_->find("a")->waiting_count, 0);
}

TEST_F(ManagerLife, a_failed_load_is_told_without_the_path) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  runtime_.fail = true;
  Client client;
  wait(client, "a");
  const Result<Lease> lease = client.answer.get();
  ASSERT_FALSE(lease.has_value());
  EXPECT_EQ(lease.error().code(), StatusCode::kUnavailable);
  EXPECT_EQ(lease.error().where(), "model");
  EXPECT_NE(lease.error().message().find("could not be loaded: a/weights is cut off"),
            std::string::npos)
      << lease.error().message();
  EXPECT_EQ(lease.error().message().find(dir_.string()), std::string::npos);
  EXPECT_EQ(state("a"), VersionState::kFailed);
  EXPECT_FALSE(manager_->health().ready);
  runtime_.fail = false;
  EXPECT_TRUE(manager_->load("a").ok()) << "a command does not wait for the back-off";
  EXPECT_TRUE(manager_->health().ready);
}

TEST_F(ManagerLife, a_version_that_is_in_memory_or_being_loaded_can_be_removed) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  ASSERT_TRUE(manager_->register_version(options_of("b")).ok());
  ASSERT_TRUE(manager_->load("a").ok());
  ASSERT_TRUE(manager_->remove("a", "").ok());
  // The name goes at once, the memory when the version has been unloaded.
  const auto is_gone = [&](const std::string& name) {
    const auto is_there = [&] {
      return manager_->find(name).has_value() || manager_->memory().reserved_bytes != 0;
    };
    for (int i = 0; i < 5000 && is_there(); ++i) std::this_thread::sleep_for(milliseconds(2));
    return !is_there();
  };
  EXPECT_TRUE(is_gone("a"));
  // One whose load then fails.
  runtime_.close();
  Client client;
  wait(client, "b");
  runtime_.wait_for_load(2);
  runtime_.fail = true;
  ASSERT_TRUE(manager_->remove("b", "1").ok());
  runtime_.open();
  EXPECT_FALSE(client.answer.get().has_value());
  EXPECT_TRUE(is_gone("b"));
}

TEST_F(ManagerLife, a_lease_keeps_its_version_through_a_swap_and_unload) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a", "1")).ok());
  ASSERT_TRUE(manager_->register_version(options_of("a", "2")).ok());
  ASSERT_TRUE(manager_->load("a").ok());
  auto lease = std::make_unique<Lease>(*manager_->acquire("a"));
  EXPECT_EQ(lease->model().version, "1");
  ASSERT_TRUE(manager_->swap("a", "2").ok());
  EXPECT_EQ(manager_->acquire("a")->model().version, "2");
  EXPECT_EQ(state("a:1"), VersionState::kDraining);
  // Still whole: a request on the old version runs to its end.
  request::GenerateRequest request;
  request.prompt = {5, 6};
  request.sampling.max_tokens = 8;
  const auto sink = std::make_shared<Collector>();
  ASSERT_TRUE(lease->submit(request, sink).has_value());
  EXPECT_TRUE(sink->wait().ok());
  EXPECT_EQ(sink->count(), 8U);
  EXPECT_EQ(state("a:1"), VersionState::kDraining);
  lease.reset();
  EXPECT_TRUE(reaches("a:1", VersionState::kUnloaded));
  EXPECT_EQ(manager_->find("a:1")->reserved_bytes, 0U);
}

TEST_F(ManagerLife, a_failed_swap_leaves_the_former_version_serving) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a", "1")).ok());
  ASSERT_TRUE(manager_->register_version(options_of("a", "2")).ok());
  ASSERT_TRUE(manager_->load("a").ok());
  runtime_.fail = true;
  EXPECT_EQ(manager_->swap("a", "2").code(), StatusCode::kCorruptData);
  EXPECT_EQ(manager_->acquire("a")->model().version, "1");
  EXPECT_EQ(state("a:2"), VersionState::kFailed);
}

TEST_F(ManagerLife, names_versions_and_aliases_resolve) {
  start();
  for (const char* version : {"1", "2"}) {
    ASSERT_TRUE(manager_->register_version(options_of("org/a", version)).ok());
  }
  EXPECT_EQ(manager_->find("org/a")->version, "1");
  EXPECT_EQ(manager_->find("org/a:2")->version, "2");
  EXPECT_EQ(manager_->find("org/a:latest")->version, "1") << "latest is the live one";
  ASSERT_TRUE(manager_->set_alias("chat", "org/a:2").ok());
  EXPECT_EQ(manager_->find("chat")->version, "2");
  EXPECT_EQ(manager_->set_alias("org/a", "org/a:1").code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(manager_->set_alias("x", "missing").code(), StatusCode::kNotFound);
  EXPECT_EQ(manager_->register_version(options_of("chat")).code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(manager_->remove_alias("chat").ok());
  const Status unknown = manager_->find("chat").error();
  EXPECT_EQ(unknown.code(), StatusCode::kNotFound);
  // A version that the policy hides is told in the same words as one that does not exist.
  ASSERT_TRUE(
      manager_
          ->set_version_policy(
              "org/a",
              {.kind = VersionPolicy::Kind::kSpecific, .latest_count = 1, .versions = {"1"}})
          .ok());
  const Status hidden = manager_->find("org/a:2").error();
  const Status absent = manager_->find("org/a:3").error();
  EXPECT_EQ(hidden.code(), absent.code());
  EXPECT_EQ(hidden.hint(), absent.hint());
  std::string expected = absent.message();
  expected.replace(expected.find(":3"), 2, ":2");
  EXPECT_EQ(hidden.message(), expected);
}

TEST_F(ManagerLife, the_budget_evicts_idle_models_and_is_never_passed) {
  ManagerOptions options;
  options.memory_budget_bytes = 75 * kMib;  // four of them
  start(options);
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(manager_->register_version(options_of(str("m", i))).ok());
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 12; ++i) {
      Client client;
      wait(client, str("m", i));
      const Result<Lease> lease = client.answer.get();
      ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
      const MemoryInfo memory = manager_->memory();
      EXPECT_LE(memory.reserved_bytes, memory.budget_bytes);
    }
  }
  EXPECT_GT(manager_->counts().evictions, 24U);
}

TEST_F(ManagerLife, what_does_not_fit_beside_pinned_models_is_refused_with_numbers) {
  ManagerOptions options;
  options.memory_budget_bytes = 20 * kMib;
  start(options);
  ModelOptions pinned = options_of("pinned");
  pinned.pinned = true;
  ASSERT_TRUE(manager_->add(pinned).ok());
  ASSERT_TRUE(manager_->register_version(options_of("other")).ok());
  Client client;
  wait(client, "other");
  const Status status = client.answer.get().error();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("memory budget of 20.0 MiB"), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("pinned:1"), std::string::npos);
}

TEST_F(ManagerLife, keep_alive_zero_unloads_after_the_request) {
  start();
  ASSERT_TRUE(manager_->add(options_of("a")).ok());
  {
    const auto lease = manager_->try_acquire(
        {.model = "a", .keep_alive = Duration::zero(), .deadline = {}, .subject = nullptr});
    ASSERT_TRUE(lease.has_value() && lease->has_value());
    look();
    EXPECT_EQ(state("a"), VersionState::kReady);
  }
  EXPECT_TRUE(reaches("a", VersionState::kUnloaded));
}

TEST_F(ManagerLife, sleep_gives_the_memory_back_and_a_request_wakes) {
  start();
  ASSERT_TRUE(manager_->add(options_of("a")).ok());
  EXPECT_GT(manager_->memory().reserved_bytes, 0U);
  ASSERT_TRUE(manager_->sleep("a").ok());
  EXPECT_EQ(state("a"), VersionState::kSleeping);
  EXPECT_EQ(manager_->memory().reserved_bytes, 0U);
  Client client;
  wait(client, "a");
  EXPECT_TRUE(client.answer.get().has_value());
}

TEST_F(ManagerLife, a_drain_that_takes_too_long_cancels_what_is_left) {
  start();
  ASSERT_TRUE(manager_->add(options_of("a")).ok());
  auto lease = std::make_unique<Lease>(*manager_->acquire("a"));
  request::GenerateRequest request;
  request.prompt = {5, 6};
  request.sampling.max_tokens = 2000;
  request.sampling.ignore_eos = true;
  const auto sink = std::make_shared<Collector>();
  ASSERT_TRUE(lease->submit(request, sink).has_value());
  std::promise<Status> done;
  manager_->unload("a", Duration::zero(), [&](const Status& status) { done.set_value(status); });
  const Status end = sink->wait();
  EXPECT_TRUE(end.ok() || end.code() == StatusCode::kCancelled) << end.to_string();
  lease.reset();
  EXPECT_TRUE(done.get_future().get().ok());
}

TEST_F(ManagerLife, a_thousand_registered_models_are_listed_fast) {
  start();
  const ModelOptions model = options_of("m");
  for (int i = 0; i < 1000; ++i) {
    ModelOptions options = model;
    options.name = str("m", i);
    ASSERT_TRUE(manager_->register_version(options).ok());
  }
  Duration best = Duration::max();
  for (int i = 0; i < 5; ++i) {
    const TimePoint before = clock_.now();
    EXPECT_EQ(manager_->versions().size(), 1000U);
    best = std::min(best, clock_.now() - before);
  }
  EXPECT_LT(best, Duration(milliseconds(20)));
  EXPECT_TRUE(manager_->find("m999").has_value());
}

TEST_F(ManagerLife, events_tell_the_life_of_a_version) {
  start();
  std::mutex mutex;
  std::string told;
  events_.subscribe(0, [&](const Event& event) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(event.model, "a:1");
    const std::size_t to = event.detail.find("\"to\":\"");
    if (event.kind == "state") told += event.detail.substr(to + 6, 6) + " ";
    return true;
  });
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  ASSERT_TRUE(manager_->load("a").ok());
  ASSERT_TRUE(manager_->unload("a").ok());
  const std::lock_guard lock(mutex);
  EXPECT_EQ(told, "loadin warmin ready\" draini unload ");
}

TEST_F(ManagerLife, the_catalog_is_followed_and_remembers_the_live_version) {
  const auto catalog = Catalog::open({});
  ASSERT_TRUE(catalog.has_value());
  Catalog& record = **catalog;
  const Actor actor{.principal = "test", .address = ""};
  for (const char* version : {"1", "2"}) {
    ModelRegistration registration{.name = "a", .version = version, .path = options_of("a").path};
    registration.pinned = std::string_view(version) == "2";
    ASSERT_TRUE(record.register_model(registration, actor).has_value());
  }
  ASSERT_TRUE(record.set_alias("chat", "a", actor).ok());
  ManagerOptions options;
  options.catalog = &record;
  options.options_of = [](const ModelRecord& model) -> Result<ModelOptions> {
    ModelOptions result;
    result.path = model.path;
    return result;
  };
  start(options);
  ASSERT_TRUE(manager_->follow_catalog().ok());
  EXPECT_EQ(manager_->versions().size(), 2U);
  EXPECT_EQ(manager_->find("chat")->version, "1");
  EXPECT_TRUE(manager_->find("a:2")->pinned);
  ASSERT_TRUE(manager_->swap("a", "2").ok());
  EXPECT_EQ(record.snapshot()->live_version("a"), "2");
  ASSERT_TRUE(record.remove_model("a", "1", actor).ok());
  ASSERT_TRUE(manager_->follow_catalog().ok());
  EXPECT_EQ(manager_->versions().size(), 1U);
  // What a restart finds.
  start(options);
  ASSERT_TRUE(manager_->follow_catalog().ok());
  EXPECT_EQ(manager_->find("chat")->version, "2");
}

TEST_F(ManagerLife, a_rollout_shares_a_name_between_two_held_versions) {
  start();
  for (const char* version : {"1", "2"}) {
    ASSERT_TRUE(manager_->register_version(options_of("a", version)).ok());
  }
  ASSERT_TRUE(manager_->load("a").ok());
  VersionHost& host = manager_->version_host();
  EXPECT_EQ(*host.live_version("a"), "1");
  EXPECT_FALSE(host.hold("a", "9").ok());
  ASSERT_TRUE(host.hold("a", "2").ok());
  EXPECT_TRUE(reaches("a:2", VersionState::kReady));
  EXPECT_EQ(host.state("a", "2").state, VersionHost::State::kReady);
  ASSERT_TRUE(host.publish_split({.name = "a",
                                  .stable = "1",
                                  .candidate = "2",
                                  .candidate_share = routing::kWholeShare / 2,
                                  .salt = 7})
                  .ok());
  class Fixed final : public routing::SubjectSource {
   public:
    explicit Fixed(routing::Subject value) : value_(value) {}
    [[nodiscard]] routing::Subject subject() const override { return value_; }

   private:
    routing::Subject value_;
  };
  look();
  std::map<std::string, int> counts;
  for (routing::Subject i = 0; i < 400; ++i) {
    const Fixed subject(i);
    const auto lease = manager_->try_acquire(
        {.model = "a", .keep_alive = {}, .deadline = {}, .subject = &subject});
    ++counts[(*lease)->model().version];
  }
  EXPECT_GT(counts["1"], 150);
  EXPECT_GT(counts["2"], 150);
  EXPECT_EQ(manager_->unload("a:2").code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(host.set_live("a", "2").ok());
  host.release("a", "1");
  look();
  EXPECT_EQ(manager_->acquire("a")->model().version, "2");
}

TEST_F(ManagerLife, shutdown_answers_those_who_wait) {
  start();
  ASSERT_TRUE(manager_->register_version(options_of("a")).ok());
  runtime_.close();
  Client client;
  wait(client, "a");
  runtime_.wait_for_load(1);
  manager_->begin_drain();
  EXPECT_EQ(client.answer.get().error().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(manager_->is_loading());
}

}  // namespace
}  // namespace inferneo::manager
