// links: inferneo_gateway_endpoints
// What the gateway costs beside the model: a chat of 2 KB from the bytes of its body to the
// engine's request, one event of a stream from the delta to its bytes, and a stream of a tool call.
// Prints medians and 99th percentiles of single runs besides the mean.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_clock.h"
#include "base/str.h"
#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/json_reader.h"
#include "runtime/fake_runtime.h"

namespace inferneo::gateway::endpoints {
namespace {

using SteadyClock = std::chrono::steady_clock;

class Percentiles {
 public:
  template <typename Task>
  void run(const Task& task) {
    const auto begin = SteadyClock::now();
    task();
    const std::chrono::duration<double, std::micro> taken = SteadyClock::now() - begin;
    microseconds_.push_back(taken.count());
  }
  void report(benchmark::State& state) {
    std::sort(microseconds_.begin(), microseconds_.end());
    if (microseconds_.empty()) return;
    state.counters["p50_us"] = microseconds_[microseconds_.size() / 2];
    state.counters["p99_us"] = microseconds_[microseconds_.size() * 99 / 100];
  }

 private:
  std::vector<double> microseconds_;
};

// The starter model's vocabulary and template over a model without weights.
class Service {
 public:
  Service() : model_(std::make_shared<runtime::FakeModel>(model_options())), manager_({}, clock_) {
    const std::string dir = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";
    auto served = std::make_shared<manager::ServedModel>();
    served->name = "starter";
    served->model = model_;
    served->tokenizer = text::Tokenizer::load(dir).value();
    served->chat_template = text::load_chat_template(dir).value();
    served->context_tokens_max = 2048;
    served->metrics = std::make_unique<observe::ModelMetrics>();
    engine::EngineOptions options;
    options.name = "starter";
    options.kv_block_count = 1024;
    served->engine =
        engine::Engine::create(served->model, served->tokenizer, options, clock_, *served->metrics)
            .value();
    (void)manager_.add(std::move(served));
    services_.manager = &manager_;
    services_.clock = &clock_;
  }
  static runtime::FakeModelOptions model_options() {
    return {.vocab_size = 4096, .context_tokens_max = 2048, .eos_token_id = 4090};
  }
  const Services& services() const { return services_; }

 private:
  ManualClock clock_;
  std::shared_ptr<runtime::FakeModel> model_;
  manager::ModelManager manager_;
  Services services_;
};

std::string chat_of_2_kb() {
  std::string body = R"({"model":"starter","temperature":0.7,"max_tokens":64,"messages":[)";
  for (int i = 0; body.size() < 1900; ++i) {
    body +=
        str(i > 0 ? "," : "",
            R"({"role":")",
            i % 2 == 0 ? "user" : "assistant",
            R"(","content":"The dog went to the market and bought a red ball for his friend."})");
  }
  return body + "]}";
}

void chat_body_to_engine_request(benchmark::State& state) {
  const Service service;
  const std::string body = chat_of_2_kb();
  Percentiles percentiles;
  for (auto _ : state) {
    percentiles.run([&] {
      auto chat = bind_chat_request(*parse_json_object(body));
      auto lease = service.services().manager->acquire("starter");
      auto job = make_chat_job(service.services(),
                               *std::move(chat),
                               *std::move(lease),
                               TimePoint{},
                               "chatcmpl-",
                               make_chat_stream);
      benchmark::DoNotOptimize(job->requests.front().prompt.data());
    });
  }
  state.counters["body_bytes"] = static_cast<double>(body.size());
  percentiles.report(state);
}
BENCHMARK(chat_body_to_engine_request)->Unit(benchmark::kMicrosecond);

AnswerOptions stream_options(const char* tool_format) {
  AnswerOptions options;
  options.identity = {.id = "chatcmpl-0123456789abcdef",
                      .created_unix_seconds = 1,
                      .model = "starter",
                      .fingerprint = "fp_0123456789"};
  options.prompts.push_back({.text = "", .ids = {1, 2, 3}});
  options.reply.tool_format = text::find_tool_format(tool_format);
  return options;
}

void stream_event(benchmark::State& state) {
  const auto answer = make_chat_stream(stream_options(""));
  std::string out;
  Percentiles percentiles;
  for (auto _ : state) {
    request::OutputDelta delta;
    delta.text = " market";
    delta.token_ids = {7};
    out.clear();
    percentiles.run([&] { answer->add(0, std::move(delta), out); });
    benchmark::DoNotOptimize(out.data());
  }
  percentiles.report(state);
}
BENCHMARK(stream_event)->Unit(benchmark::kMicrosecond);

void stream_of_a_tool_call(benchmark::State& state) {
  const std::string call =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 3}}\n"
      "</tool_call>";
  std::string out;
  for (auto _ : state) {
    const auto answer = make_chat_stream(stream_options("hermes"));
    out.clear();
    for (std::size_t at = 0; at < call.size(); at += 4) {
      request::OutputDelta delta;
      delta.text = call.substr(at, 4);
      delta.token_ids = {7};
      answer->add(0, std::move(delta), out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["tokens"] = static_cast<double>((call.size() + 3) / 4);
}
BENCHMARK(stream_of_a_tool_call)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace inferneo::gateway::endpoints
