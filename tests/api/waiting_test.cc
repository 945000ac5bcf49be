// Endpoints whose model must be loaded first: who waits, who leaves, what a stream is told.
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "fake_service.h"
#include "gateway/endpoints/stream_pinger.h"

namespace inferneo::api_test {
namespace {

// Loads a fake model when the test lets it.
class HeldRuntime final : public runtime::Runtime {
 public:
  [[nodiscard]] std::string_view name() const override { return "held"; }
  [[nodiscard]] int probe(const std::string&) const override { return 1; }
  [[nodiscard]] Result<text::ModelText> text(const std::string&) const override {
    text::ModelText text;
    text.directory = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";
    return text;
  }
  Result<runtime::MemoryPlan> plan(const std::string&, const runtime::LoadOptions&) const override {
    return model_->info().memory;
  }
  Result<std::shared_ptr<const runtime::Model>> load(const std::string&,
                                                     const runtime::LoadOptions&,
                                                     runtime::Progress progress) const override {
    if (progress) progress(1, 4);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return let_go_; });
    if (fails_) return corrupt_data("a tensor is cut off");
    return std::shared_ptr<const runtime::Model>(model_);
  }
  void let_go(bool fails = false) {
    const std::lock_guard lock(mutex_);
    let_go_ = true;
    fails_ = fails;
    changed_.notify_all();
  }

 private:
  const std::shared_ptr<runtime::FakeModel> model_ =
      std::make_shared<runtime::FakeModel>(FakeServiceOptions().model);
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool let_go_ = false;
  bool fails_ = false;
};

// As the server's: early events become the stream.
class WaitingExchange final : public gateway::http::Exchange {
 public:
  explicit WaitingExchange(const json& body) {
    request_.head.method = "POST";
    request_.head.path = kText;
    request_.body = body.dump();
  }
  const gateway::http::Request& request() const override { return request_; }
  void respond(gateway::http::Response response) override {
    const std::lock_guard lock(mutex_);
    if (!text_.empty()) {
      text_ += "data: " + response.body + "\n\n";
    } else {
      status_ = response.status;
      text_ = response.body;
    }
    is_done_ = true;
    changed_.notify_all();
  }
  void start_stream(gateway::http::Response) override {}
  bool begin_events() override { return true; }
  bool write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    text_ += bytes;
    changed_.notify_all();
    return true;
  }
  void end_stream() override {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
    changed_.notify_all();
  }
  void on_disconnect(UniqueFunction<void()> callback) override {
    const std::lock_guard lock(mutex_);
    callback_ = std::move(callback);
  }

  std::string wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [this] { return is_done_; }));
    return text_;
  }
  bool wait_for_text(std::string_view text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, std::chrono::seconds(30), [&] { return text_.find(text) != std::string::npos; });
  }
  void leave() {
    UniqueFunction<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      callback = std::move(callback_);
    }
    if (callback) callback();
  }
  bool is_done() {
    const std::lock_guard lock(mutex_);
    return is_done_;
  }
  int status() const { return status_; }

 private:
  gateway::http::Request request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  UniqueFunction<void()> callback_;
  std::string text_;
  int status_ = 200;
  bool is_done_ = false;
};

class Waiting : public ::testing::Test {
 protected:
  Waiting() {
    manager::ModelOptions options;
    options.name = "lazy";
    options.path = INFERNEO_SOURCE_DIR;
    EXPECT_TRUE(manager_.register_version(options).ok());
  }
  ~Waiting() override { runtime_.let_go(); }

  std::shared_ptr<WaitingExchange> start(const json& more) {
    const json body = with({{"model", "lazy"}, {"prompt", {5, 6}}, {"max_tokens", 4}}, more);
    auto exchange = std::make_shared<WaitingExchange>(body);
    dispatcher_->dispatch(exchange);
    return exchange;
  }
  bool waits(int count) {
    for (int i = 0; i < 3000; ++i) {
      if (manager_.find("lazy")->waiting_count == count) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  ManualClock clock_;
  HeldRuntime runtime_;
  observe::ServerMetrics metrics_;
  manager::ModelManager manager_{{&runtime_}, clock_};
  gateway::endpoints::Services services_{
      .manager = &manager_, .server_metrics = &metrics_, .clock = &clock_};
  std::unique_ptr<gateway::http::Dispatcher> dispatcher_ =
      gateway::endpoints::make_dispatcher(services_);
};

TEST_F(Waiting, a_request_is_answered_when_its_model_is_loaded) {
  const auto exchange = start(json::object());
  EXPECT_TRUE(waits(1));
  EXPECT_FALSE(exchange->is_done());
  runtime_.let_go();
  EXPECT_NE(exchange->wait().find("\"object\":\"text_completion\""), std::string::npos);
}

TEST_F(Waiting, who_leaves_is_forgotten) {
  const auto stays = start(json::object());
  const auto leaves = start(json::object());
  EXPECT_TRUE(waits(2));
  leaves->leave();
  EXPECT_TRUE(waits(1));
  runtime_.let_go();
  stays->wait();
  EXPECT_FALSE(leaves->is_done());
}

TEST_F(Waiting, a_failed_load_is_a_status) {
  const auto exchange = start({{"stream", true}});
  EXPECT_TRUE(waits(1));
  runtime_.let_go(true);
  const json error = json::parse(exchange->wait())["error"];
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_NE(error["message"].get<std::string>().find("a tensor is cut off"), std::string::npos);
}

TEST_F(Waiting, a_stream_is_told_how_far_the_load_is_and_goes_on_as_the_answer) {
  const auto exchange = start({{"stream", true}});
  EXPECT_TRUE(waits(1));
  clock_.advance(limits::kLoadProgressDelay);
  EXPECT_TRUE(exchange->wait_for_text(": loading lazy, 25 %\n\n"));
  runtime_.let_go();
  const std::string text = exchange->wait();
  EXPECT_TRUE(text.ends_with("data: [DONE]\n\n")) << text;
}

TEST_F(Waiting, a_stream_that_has_begun_ends_with_the_error) {
  const auto exchange = start({{"stream", true}});
  EXPECT_TRUE(waits(1));
  clock_.advance(limits::kLoadProgressDelay);
  EXPECT_TRUE(exchange->wait_for_text(": loading lazy"));
  runtime_.let_go(true);
  const std::string text = exchange->wait();
  EXPECT_NE(text.find("data: {\"error\":"), std::string::npos) << text;
  EXPECT_EQ(text.find("[DONE]"), std::string::npos);
}

}  // namespace
}  // namespace inferneo::api_test
