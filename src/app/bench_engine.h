// An engine over one model that is measured: prefill of a prompt, decode of a batch, and the
// engine's own time per step. Prompts are random ids; nothing is sampled from text and no prefix is
// reused.
// Thread: main. Ownership: shares the model, owns the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <random>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "observe/metrics.h"
#include "runtime/runtime.h"

namespace inferneo::app {

struct TimedRun {
  double seconds = 0;
  double cpu_seconds = 0;  // of the whole process, all threads
  std::int64_t tokens = 0;
  // Decode only: the prompts that came before, and the engine's time outside the runner.
  double prompt_seconds = 0;
  double host_s_per_step = 0;
};

class BenchEngine {
 public:
  // Up to `sequence_count_max` sequences that together hold `kv_token_count` tokens. `clock` must
  // outlive the engine. Failures: as Engine::create.
  static Result<std::unique_ptr<BenchEngine>> create(std::shared_ptr<const runtime::Model> model,
                                                     std::int32_t sequence_count_max,
                                                     std::int64_t kv_token_count,
                                                     const Clock& clock);
  BenchEngine(const BenchEngine&) = delete;
  BenchEngine& operator=(const BenchEngine&) = delete;

  // From the first scheduling of a prompt to its first token.
  Result<TimedRun> prefill(std::int32_t tokens);
  // `batch` sequences, each with a prompt of `prompt_tokens` and `tokens` (2 or more) tokens of
  // answer. Counts from the moment when all of them have their first token.
  Result<TimedRun> decode(std::int32_t batch, std::int32_t prompt_tokens, std::int32_t tokens);

 private:
  BenchEngine(std::shared_ptr<const runtime::Model> model, const Clock& clock)
      : model_(std::move(model)), clock_(clock) {}

  request::GenerateRequest random_request(std::int32_t prompt_tokens, std::int32_t tokens);

  std::shared_ptr<const runtime::Model> model_;
  const Clock& clock_;
  observe::ModelMetrics metrics_;
  std::unique_ptr<engine::Engine> engine_;
  std::mt19937 random_{1};  // fixed, so that runs compare
};

}  // namespace inferneo::app
