// A rollout on real models: the starter model and its draft as two versions of one name, asked by
// clients of many conversations while the share moves; and one of them made bad on purpose.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <future>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/str.h"
#include "device/cpu.h"
#include "manager/manager.h"
#include "manager/rollout_controller.h"
#include "manager/rollout_store.h"
#include "routing/subject.h"
#include "runtimes/native/native_runtime.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock;

// What is wrong with the steps of a model from now on.
struct Faults {
  std::atomic<int> step_delay_ms{0};
  std::atomic<bool> not_finite{false};
};

class FaultyRunner final : public runtime::GenerativeRunner {
 public:
  FaultyRunner(std::unique_ptr<runtime::GenerativeRunner> inner, const Faults& faults)
      : inner_(std::move(inner)), faults_(faults) {}
  Ticket submit(const runtime::StepPlan& plan) noexcept override { return inner_->submit(plan); }
  runtime::StepResult wait(Ticket ticket) noexcept override {
    const runtime::StepResult result = inner_->wait(ticket);
    if (const int delay = faults_.step_delay_ms) std::this_thread::sleep_for(milliseconds(delay));
    if (faults_.not_finite) {
      for (float& value : result.logits) value = std::numeric_limits<float>::quiet_NaN();
    }
    return result;
  }

 private:
  std::unique_ptr<runtime::GenerativeRunner> inner_;
  const Faults& faults_;
};

class FaultyModel final : public runtime::Model {
 public:
  FaultyModel(std::shared_ptr<const runtime::Model> inner, const Faults& faults)
      : inner_(std::move(inner)), faults_(faults) {}
  [[nodiscard]] const runtime::ModelInfo& info() const override { return inner_->info(); }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    ASSIGN_OR_RETURN(std::unique_ptr<runtime::GenerativeRunner> runner,
                     inner_->make_runner(options));
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<FaultyRunner>(std::move(runner), faults_));
  }

 private:
  std::shared_ptr<const runtime::Model> inner_;
  const Faults& faults_;
};

// The native runtime, whose draft model can be made bad.
class FaultyRuntime final : public runtime::Runtime {
 public:
  FaultyRuntime(const runtime::Runtime& inner, const Faults& faults)
      : inner_(inner), faults_(faults) {}
  [[nodiscard]] std::string_view name() const override { return "faulty"; }
  [[nodiscard]] int probe(const std::string& path) const override { return inner_.probe(path); }
  [[nodiscard]] Result<text::ModelText> text(const std::string& path) const override {
    return inner_.text(path);
  }
  Result<runtime::MemoryPlan> plan(const std::string& path,
                                   const runtime::LoadOptions& options) const override {
    return inner_.plan(path, options);
  }
  Result<std::shared_ptr<const runtime::Model>> load(const std::string& path,
                                                     const runtime::LoadOptions& options,
                                                     runtime::Progress progress) const override {
    ASSIGN_OR_RETURN(std::shared_ptr<const runtime::Model> model,
                     inner_.load(path, options, std::move(progress)));
    if (!path.ends_with("-draft")) return model;
    return std::shared_ptr<const runtime::Model>(
        std::make_shared<FaultyModel>(std::move(model), faults_));
  }

 private:
  const runtime::Runtime& inner_;
  const Faults& faults_;
};

class Conversation final : public routing::SubjectSource {
 public:
  explicit Conversation(int number)
      : subject_(routing::SubjectHash().add("conversation").add(str(number)).value()) {}
  [[nodiscard]] routing::Subject subject() const override { return subject_; }

 private:
  routing::Subject subject_;
};

class Ending final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&&) override {}
  void on_end(const request::Usage&, const request::RequestTiming&, const Status& status) override {
    done_.set_value(status);
  }
  Status wait() { return done_.get_future().get(); }

 private:
  std::promise<Status> done_;
};

constexpr int kConversations = 4000;
constexpr int kClients = 4;

class RealRollout : public ::testing::Test {
 protected:
  RealRollout()
      : device_(device::CpuDevice::create({}).value()),
        native_(runtimes::native::make_runtime(*device_)),
        runtime_(*native_, faults_),
        manager_({&runtime_}, clock_, ManagerOptions{}),
        controller_(
            {.host = &manager_.version_host(),
             .store = &store_,
             .clock = &clock_,
             .unix_ms = [] { return std::int64_t{1'700'000'000'000}; },
             .on_control =
                 [this](const std::function<void()>& task) { manager_.call_on_control(task); }}) {
    add("1", "starter");
    add("2", "starter-draft");
    EXPECT_TRUE(manager_.load("model").ok());
    manager_.run_on_control([this] { controller_.tick(); });
    for (int i = 0; i < kClients; ++i) clients_.emplace_back([this, i] { ask_forever(i); });
  }
  ~RealRollout() override {
    stopping_ = true;
    for (std::thread& client : clients_) client.join();
    manager_.run_on_control({});
  }

  void add(const std::string& version, const std::string& directory) {
    ModelOptions options;
    options.name = "model";
    options.version = version;
    options.path = str(INFERNEO_SOURCE_DIR, "/models/", directory);
    options.kv_bytes = 32ULL << 20;
    ASSERT_TRUE(manager_.register_version(options).ok());
  }

  void ask_forever(int client) {
    for (int number = client; !stopping_; number = (number + kClients) % kConversations) {
      const Conversation conversation(number);
      const auto lease = manager_.try_acquire(
          {.model = "model", .keep_alive = {}, .deadline = {}, .subject = &conversation});
      if (!lease.has_value() || !lease->has_value()) {
        note("", unavailable("no lease"), number);
        continue;
      }
      const Lease& held = **lease;
      request::GenerateRequest request;
      request.prompt = held.model().tokenizer->encode("Tell me about a lamp.");
      request.sampling.temperature = 0;
      request.sampling.max_tokens = 6;
      const auto sink = std::make_shared<Ending>();
      const auto id = held.submit(request, sink);
      note(held.model().version, id.has_value() ? sink->wait() : id.error(), number);
    }
  }
  void note(const std::string& version, const Status& status, int conversation) {
    const std::lock_guard lock(mutex_);
    ++asked_[version];
    if (!status.ok()) ++failed_[version];
    std::string& last = last_version_[conversation];
    if (last == "2" && version == "1" && !going_back_) ++moved_back_;
    last = version;
  }
  std::map<std::string, int> take_counts() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  RolloutStatus status() { return *controller_.status("model"); }
  bool is_under_way() { return controller_.is_under_way("model"); }

  RolloutPolicy policy(milliseconds settle) {
    RolloutPolicy policy;
    policy.settle_below_half = settle;
    policy.settle_from_half = settle;
    return policy;
  }
  void start(const RolloutPolicy& policy) {
    const auto id = controller_.start({.name = "model", .candidate = "2", .policy = policy});
    ASSERT_TRUE(id.has_value()) << id.status().to_string();
  }
  bool wait_for_percent(std::int32_t percent) {
    const auto deadline = SteadyTime::now() + std::chrono::seconds(120);
    while (is_under_way() && SteadyTime::now() < deadline) {
      if (status().record.candidate_percent >= percent) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  void wait_for_end() {
    const auto deadline = SteadyTime::now() + std::chrono::seconds(180);
    while (is_under_way() && SteadyTime::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    ASSERT_FALSE(is_under_way()) << phase_name(status().record.phase);
  }

  SteadyClock clock_;
  Faults faults_;
  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<runtime::Runtime> native_;
  FaultyRuntime runtime_;
  MemoryRolloutStore store_;
  ModelManager manager_;
  RolloutController controller_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> going_back_{false};
  std::mutex mutex_;
  std::map<std::string, int> asked_;
  std::map<std::string, int> failed_;
  std::map<int, std::string> last_version_;
  int moved_back_ = 0;
  std::vector<std::thread> clients_;
};

TEST_F(RealRollout, a_good_version_gets_its_share_at_each_stage_and_then_everything) {
  start(policy(milliseconds(1500)));
  for (const std::int32_t percent : {5, 15, 30, 50, 75, 90}) {
    ASSERT_TRUE(wait_for_percent(percent)) << status().record.reason;
    std::this_thread::sleep_for(milliseconds(50));
    take_counts();
    std::this_thread::sleep_for(milliseconds(1200));
    std::map<std::string, int> counts = take_counts();
    if (status().record.candidate_percent != percent) continue;  // this process stood still
    const double all = counts["1"] + counts["2"];
    const double share = percent / 100.0;
    const double sigma = std::sqrt(share * (1 - share) * (1 / all + 1.0 / kConversations));
    std::printf(
        "%d %%: measured %.1f %% of %.0f requests\n", percent, 100 * counts["2"] / all, all);
    EXPECT_NEAR(counts["2"] / all, share, std::max(0.02, 3 * sigma));
  }
  wait_for_end();
  EXPECT_EQ(status().record.phase, RolloutPhase::kCompleted) << status().record.reason;
  take_counts();
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(take_counts()["1"], 0);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(failed_["1"] + failed_["2"] + failed_[""], 0);
  EXPECT_EQ(moved_back_, 0) << "a conversation left its version";
}

TEST_F(RealRollout, logits_that_are_not_finite_bring_everything_back_at_once) {
  start(policy(milliseconds(1500)));
  ASSERT_TRUE(wait_for_percent(30)) << status().record.reason;
  going_back_ = true;
  faults_.not_finite = true;
  const auto began = SteadyTime::now();
  wait_for_end();
  const double took = std::chrono::duration<double>(SteadyTime::now() - began).count();
  std::printf("not finite: back after %.2f s\n", took);
  EXPECT_EQ(status().record.phase, RolloutPhase::kRolledBack);
  EXPECT_TRUE(status().record.reason.starts_with("non_finite")) << status().record.reason;
  EXPECT_LE(took, 5);
  std::this_thread::sleep_for(milliseconds(200));
  take_counts();
  std::this_thread::sleep_for(milliseconds(500));
  std::map<std::string, int> counts = take_counts();
  EXPECT_EQ(counts["2"], 0);
  EXPECT_GT(counts["1"], 0);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(failed_["1"] + failed_[""], 0) << "the stable version never failed a request";
}

TEST_F(RealRollout, a_version_that_became_slow_is_rolled_back) {
  start(policy(milliseconds(4000)));
  ASSERT_TRUE(wait_for_percent(30)) << status().record.reason;
  std::this_thread::sleep_for(milliseconds(300));
  going_back_ = true;
  faults_.step_delay_ms = 100;
  const auto began = SteadyTime::now();
  wait_for_end();
  const double took = std::chrono::duration<double>(SteadyTime::now() - began).count();
  std::printf("slow: back after %.2f s: %s\n", took, status().record.reason.c_str());
  EXPECT_EQ(status().record.phase, RolloutPhase::kRolledBack) << status().record.reason;
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(failed_["1"] + failed_["2"] + failed_[""], 0) << "a slow answer is an answer";
}

}  // namespace
}  // namespace inferneo::manager
