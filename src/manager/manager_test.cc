#include "manager/manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/manual_clock.h"
#include "base/str.h"
#include "runtime/fake_runtime.h"

namespace inferneo::manager {
namespace {

constexpr std::uint64_t kMib = 1024ULL * 1024;

// Serves a fake model for any directory that holds a file named "weights".
class FakeFileRuntime final : public runtime::Runtime {
 public:
  explicit FakeFileRuntime(std::string name, int score) : name_(std::move(name)), score_(score) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] int probe(const std::string& path) const override {
    return std::filesystem::exists(path + "/weights") ? score_ : 0;
  }
  Result<runtime::MemoryPlan> plan(const std::string&, const runtime::LoadOptions&) const override {
    return memory;
  }
  Result<std::shared_ptr<const runtime::Model>> load(const std::string&,
                                                     const runtime::LoadOptions&,
                                                     runtime::Progress progress) const override {
    ++load_count;
    if (progress) progress(1, 1);
    return std::shared_ptr<const runtime::Model>(
        std::make_shared<runtime::FakeModel>(runtime::FakeModelOptions{}));
  }

  runtime::MemoryPlan memory{.weight_bytes = kMib,
                             .weight_copy_bytes = 0,
                             .kv_block_bytes = 1024,
                             .workspace_bytes_per_token = 16};
  mutable int load_count = 0;

 private:
  const std::string name_;
  const int score_;
};

class NullSink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&&) override {}
  void on_end(const request::Usage&, const request::RequestTiming&, const Status&) override {}
};

class Manager : public ::testing::Test {
 protected:
  Manager()
      : dir_(std::filesystem::path(::testing::TempDir()) /
             str("manager_", ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(dir_);
    make_model("tiny");
  }
  ~Manager() override { std::filesystem::remove_all(dir_); }

  std::string make_model(const std::string& name) {
    std::filesystem::create_directories(dir_ / name);
    std::ofstream(dir_ / name / "weights") << "x";
    return (dir_ / name).string();
  }
  [[nodiscard]] ModelOptions options_of(const std::string& name) const {
    ModelOptions options;
    options.path = (dir_ / name).string();
    return options;
  }

  std::filesystem::path dir_;
  ManualClock clock_;
  FakeFileRuntime runtime_{"fake", 10};
  ModelManager manager_{{&runtime_}, clock_};
};

TEST_F(Manager, names_a_model_after_its_directory) {
  ASSERT_TRUE(manager_.add(options_of("tiny")).ok());
  ASSERT_EQ(manager_.list().size(), 1U);
  EXPECT_EQ(manager_.list()[0]->name, "tiny");
  EXPECT_EQ(manager_.acquire("tiny")->model().name, "tiny");
  EXPECT_EQ(manager_.acquire("")->model().name, "tiny");
  ModelOptions slash = options_of("tiny");
  slash.path += "/";
  EXPECT_EQ(manager_.add(slash).code(), StatusCode::kAlreadyExists);
}

TEST_F(Manager, refuses_a_second_model_of_a_name_before_loading_it) {
  ASSERT_TRUE(manager_.add(options_of("tiny")).ok());
  const Status status = manager_.add(options_of("tiny"));
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_NE(status.message().find("'tiny'"), std::string::npos);
  EXPECT_EQ(runtime_.load_count, 1);
  ModelOptions renamed = options_of("tiny");
  renamed.name = "other";
  EXPECT_TRUE(manager_.add(renamed).ok());
  EXPECT_EQ(manager_.list().size(), 2U);
}

TEST_F(Manager, unnamed_request_needs_exactly_one_model) {
  EXPECT_FALSE(manager_.acquire("").has_value());
  ASSERT_TRUE(manager_.add(options_of("tiny")).ok());
  make_model("second");
  ASSERT_TRUE(manager_.add(options_of("second")).ok());
  EXPECT_EQ(manager_.acquire("").error().code(), StatusCode::kInvalidArgument);
  const auto missing = manager_.acquire("tny");
  EXPECT_EQ(missing.error().code(), StatusCode::kNotFound);
  EXPECT_EQ(missing.error().where(), "model");
  EXPECT_NE(missing.error().hint().find("'tiny'"), std::string::npos);
}

TEST_F(Manager, refuses_bad_names_and_paths) {
  ModelOptions options = options_of("tiny");
  options.name = "a\nb";
  EXPECT_EQ(manager_.add(options).code(), StatusCode::kInvalidArgument);
  options.name = std::string(129, 'a');
  EXPECT_EQ(manager_.add(options).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(manager_.add(options_of("missing")).code(), StatusCode::kNotFound);
  std::filesystem::create_directories(dir_ / "empty");
  const Status status = manager_.add(options_of("empty"));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("tried: fake"), std::string::npos) << status.message();
}

TEST_F(Manager, best_probe_wins_and_ties_keep_the_order) {
  FakeFileRuntime better("better", 20);
  FakeFileRuntime tie("tie", 20);
  ModelManager manager({&runtime_, &better, &tie}, clock_);
  ASSERT_TRUE(manager.add(options_of("tiny")).ok());
  EXPECT_EQ(better.load_count, 1);
  EXPECT_EQ(runtime_.load_count + tie.load_count, 0);
}

TEST_F(Manager, refuses_what_does_not_fit_before_loading) {
  runtime_.memory.weight_bytes = 1ULL << 50;
  const Status status = manager_.add(options_of("tiny"));
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("1024.0 TiB"), std::string::npos) << status.message();
  EXPECT_EQ(runtime_.load_count, 0);
  EXPECT_TRUE(manager_.list().empty());
}

TEST_F(Manager, reports_progress_and_sizes) {
  bool called = false;
  ASSERT_TRUE(
      manager_.add(options_of("tiny"), [&](std::uint64_t, std::uint64_t) { called = true; }).ok());
  EXPECT_TRUE(called);
  const observe::ModelMetrics& metrics = *manager_.list()[0]->metrics;
  EXPECT_GT(metrics.kv_blocks.value(), 0);
  using Cache = observe::ModelMetrics::cache_config_label;
  EXPECT_EQ(metrics.cache_config[static_cast<std::size_t>(Cache::num_gpu_blocks)].value(),
            metrics.kv_blocks.value());
}

TEST_F(Manager, health_follows_models_and_drain) {
  EXPECT_FALSE(manager_.health().ready);
  EXPECT_EQ(manager_.health().reason, "no model is loaded");
  EXPECT_TRUE(manager_.health().live);
  ASSERT_TRUE(manager_.add(options_of("tiny")).ok());
  EXPECT_TRUE(manager_.health().ready);
  EXPECT_TRUE(manager_.drain(Duration::zero()));
  EXPECT_EQ(manager_.health().reason, "draining");
  EXPECT_TRUE(manager_.health().live);
  request::GenerateRequest request;
  request.prompt = {5};
  EXPECT_EQ(manager_.acquire("tiny")->submit(request, std::make_shared<NullSink>()).error().code(),
            StatusCode::kUnavailable);
}

TEST_F(Manager, outstanding_lease_keeps_a_model_through_the_managers_end) {
  auto manager =
      std::make_unique<ModelManager>(std::vector<const runtime::Runtime*>{&runtime_}, clock_);
  ASSERT_TRUE(manager->add(options_of("tiny")).ok());
  auto lease = std::make_unique<Lease>(*manager->acquire("tiny"));
  std::jthread returner([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(lease->model().name, "tiny");
    lease.reset();
  });
  manager.reset();
}

// A model whose steps do not end until they are let go.
class StuckModel final : public runtime::Model {
 public:
  [[nodiscard]] const runtime::ModelInfo& info() const override { return inner_.info(); }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    auto inner = inner_.make_runner(options);
    if (!inner.has_value()) return inner;
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<StuckRunner>(*std::move(inner), let_go));
  }
  std::atomic<bool> let_go{false};

 private:
  class StuckRunner final : public runtime::GenerativeRunner {
   public:
    StuckRunner(std::unique_ptr<runtime::GenerativeRunner> inner, const std::atomic<bool>& go)
        : inner_(std::move(inner)), go_(go) {}
    Ticket submit(const runtime::StepPlan& plan) noexcept override { return inner_->submit(plan); }
    runtime::StepResult wait(Ticket ticket) noexcept override {
      go_.wait(false);
      return inner_->wait(ticket);
    }

   private:
    std::unique_ptr<runtime::GenerativeRunner> inner_;
    const std::atomic<bool>& go_;
  };
  runtime::FakeModel inner_{runtime::FakeModelOptions{}};
};

TEST_F(Manager, stuck_engine_turns_readiness_and_later_liveness_off) {
  const auto model = std::make_shared<StuckModel>();
  auto served = std::make_shared<ServedModel>();
  served->name = "stuck";
  served->model = model;
  served->context_tokens_max = 4096;
  served->metrics = std::make_unique<observe::ModelMetrics>();
  engine::EngineOptions options;
  options.name = "stuck";
  options.kv_block_count = 64;
  served->engine =
      engine::Engine::create(model, nullptr, options, clock_, *served->metrics).value();
  ASSERT_TRUE(manager_.add(served).ok());
  served.reset();
  EXPECT_TRUE(manager_.health().ready);

  clock_.advance(std::chrono::seconds(1000));
  EXPECT_TRUE(manager_.health().ready) << "idle is not stuck";

  request::GenerateRequest request;
  request.prompt = {5, 6};
  ASSERT_TRUE(manager_.acquire("stuck")->submit(request, std::make_shared<NullSink>()).has_value());
  EXPECT_TRUE(manager_.health().ready) << manager_.health().reason;
  clock_.advance(limits::kEngineStallReadyTimeout + std::chrono::seconds(1));
  EXPECT_FALSE(manager_.health().ready);
  EXPECT_TRUE(manager_.health().live);
  EXPECT_NE(manager_.health().reason.find("'stuck'"), std::string::npos);
  EXPECT_GT(manager_.health().last_progress_age, Duration(limits::kEngineStallReadyTimeout));
  clock_.advance(limits::kEngineStallLiveTimeout);
  EXPECT_FALSE(manager_.health().live);
  model->let_go = true;
  model->let_go.notify_all();
  EXPECT_TRUE(manager_.drain(std::chrono::seconds(30)));
}

}  // namespace
}  // namespace inferneo::manager
