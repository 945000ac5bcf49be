// The endpoints over a fake model that knows the starter model's vocabulary and template: fast,
// without weights, and with an oracle for its greedy text.
// Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/manual_clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "gateway/endpoints/endpoint.h"
#include "manager/manager.h"
#include "memory_exchange.h"
#include "runtime/fake_runtime.h"

namespace inferneo::api_test {

using nlohmann::json;

struct FakeServiceOptions {
  engine::EngineOptions engine;
  runtime::FakeModelOptions model{.vocab_size = 4096,
                                  .context_tokens_max = 2048,
                                  .eos_token_id = 4090,
                                  .eos_probability = 0.02};
  bool with_tokenizer = true;
  bool with_template = true;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null: the starter model's
  std::string name = "starter";
  gateway::endpoints::ReplyFormatChoice reply_formats = {};
};

class FakeService {
 public:
  explicit FakeService(FakeServiceOptions options = {})
      : model_(std::make_shared<runtime::FakeModel>(options.model)),
        manager_(std::vector<const runtime::Runtime*>(), clock_) {
    const std::string dir = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";
    auto served = std::make_shared<manager::ServedModel>();
    served->name = options.name;
    served->created_unix_seconds = 1700000000;
    served->model = model_;
    if (options.with_tokenizer) {
      served->tokenizer = options.tokenizer;
      if (options.tokenizer == nullptr) served->tokenizer = text::Tokenizer::load(dir).value();
      tokenizer_ = served->tokenizer;
    }
    if (options.with_template) served->chat_template = text::load_chat_template(dir).value();
    served->context_tokens_max = options.model.context_tokens_max;
    served->metrics = std::make_unique<observe::ModelMetrics>();
    engine::EngineOptions engine_options = options.engine;
    engine_options.name = options.name;
    if (engine_options.kv_block_count == 0) engine_options.kv_block_count = 4096;
    served->engine = engine::Engine::create(
                         served->model, served->tokenizer, engine_options, clock_, *served->metrics)
                         .value();
    EXPECT_TRUE(manager_.add(std::move(served)).ok());
    services_.manager = &manager_;
    services_.server_metrics = &server_metrics_;
    services_.clock = &clock_;
    services_.reply_formats = options.reply_formats;
    dispatcher_ = gateway::endpoints::make_dispatcher(services_);
  }

  // As the server does: the head is admitted, then the handler runs.
  std::shared_ptr<MemoryExchange> start(const std::string& method,
                                        const std::string& path,
                                        std::string body = {},
                                        const std::string& content_type = "application/json") {
    gateway::http::Request request;
    request.head.method = method;
    request.head.path = path;
    request.head.request_id = "test";
    if (method == "POST") request.head.headers = {{"content-type", content_type}};
    request.body = std::move(body);
    auto exchange = std::make_shared<MemoryExchange>(std::move(request));
    const Result<std::size_t> admitted = dispatcher_->admit(exchange->request().head);
    if (!admitted.has_value()) {
      exchange->respond(gateway::http::error_response(admitted.error()));
    } else {
      dispatcher_->dispatch(exchange);
    }
    return exchange;
  }
  std::shared_ptr<MemoryExchange> start_post(const std::string& path, const json& body) {
    return start("POST", path, body.dump());
  }

  gateway::http::Response get(const std::string& path) { return finish(start("GET", path)); }
  gateway::http::Response post(const std::string& path, const json& body) {
    return finish(start_post(path, body));
  }
  // The answer's body; the status must be 200.
  json ask(const std::string& path, const json& body) {
    const gateway::http::Response response = post(path, body);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body, nullptr, false);
  }
  // The error object; the status must be as given.
  json refusal(const std::string& path, const json& body, int status) {
    const gateway::http::Response response = post(path, body);
    EXPECT_EQ(response.status, status) << response.body;
    return json::parse(response.body, nullptr, false).value("error", json::object());
  }

  // Waits until the engine holds nothing; false when it does not let go.
  bool wait_idle() {
    for (int i = 0; i < 3000; ++i) {
      const engine::EngineHealth health = manager_.list().front()->engine->health();
      const double blocks = manager_.list().front()->metrics->kv_blocks_used.value();
      if (health.running == 0 && health.waiting == 0 && !health.work_pending && blocks == 0) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  // The greedy continuation, without the end token.
  std::vector<TokenId> oracle(std::vector<TokenId> prompt, int token_count) const {
    std::vector<TokenId> ids = model_->greedy_continuation(std::move(prompt), token_count, false);
    if (!ids.empty() && ids.back() == model_->options().eos_token_id) ids.pop_back();
    return ids;
  }

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  manager::ModelManager& manager() { return manager_; }
  ManualClock& clock() { return clock_; }

 private:
  static gateway::http::Response finish(const std::shared_ptr<MemoryExchange>& exchange) {
    EXPECT_TRUE(exchange->wait()) << "no answer came";
    EXPECT_EQ(exchange->misuse(), "");
    return exchange->response();
  }

  ManualClock clock_;
  std::shared_ptr<runtime::FakeModel> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  observe::ServerMetrics server_metrics_;
  manager::ModelManager manager_;
  gateway::endpoints::Services services_;
  std::unique_ptr<gateway::http::Dispatcher> dispatcher_;
};

// The data of each event of a stream; fails the test on anything that is not `data: ...` or a
// comment followed by an empty line.
inline std::vector<std::string> events_of(const std::string& stream) {
  std::vector<std::string> events;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::size_t end = stream.find("\n\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "frame without end: " << stream.substr(at);
      break;
    }
    const std::string frame = stream.substr(at, end - at);
    EXPECT_EQ(frame.find('\n'), std::string::npos) << frame;
    if (frame.rfind("data: ", 0) == 0) {
      events.push_back(frame.substr(6));
    } else {
      EXPECT_EQ(frame, ": ping");
    }
    at = end + 2;
  }
  return events;
}

// The JSON chunks of a complete stream, which must end with [DONE].
inline std::vector<json> chunks_of(const std::string& stream) {
  std::vector<std::string> events = events_of(stream);
  std::vector<json> chunks;
  if (events.empty() || events.back() != "[DONE]") {
    ADD_FAILURE() << "no [DONE] at the end: " << stream;
    return chunks;
  }
  events.pop_back();
  for (const std::string& event : events) {
    chunks.push_back(json::parse(event, nullptr, false));
    EXPECT_FALSE(chunks.back().is_discarded()) << event;
  }
  return chunks;
}

inline json user_says(const std::string& text) {
  return json{{"messages", {{{"role", "user"}, {"content", text}}}}};
}

inline json with(json base, const json& more) {
  base.update(more);
  return base;
}

inline constexpr const char* kChat = "/v1/chat/completions";
inline constexpr const char* kText = "/v1/completions";

}  // namespace inferneo::api_test
