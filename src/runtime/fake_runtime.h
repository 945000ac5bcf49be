// A model without weights for tests of everything above the runtime. Where a real runner writes
// keys and values, it writes the token id and its position, and the next logits are a pure function
// of what it reads back through the block table. So a wrong table, a stale block or a block shared
// in error shows as different tokens, and fake_logits() is the oracle for what is right.
// Every plan is checked; the first broken rule is kept for the test to report.
// Thread: a model any; a runner one engine thread. Ownership: the clock and the faults outlive it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/manual_clock.h"
#include "runtime/runtime.h"

namespace inferneo::runtime {

struct FakeModelOptions {
  std::int32_t vocab_size = 64;
  std::int32_t context_tokens_max = 4096;
  TokenId eos_token_id = 1;
  std::int32_t hidden_size = 8;
  bool bidirectional = false;
  // Some layers see this many tokens before their own, or all layers do; 0 for none. A row then
  // reads its window of the blocks that belong to these layers.
  std::int32_t window_reach = 0;
  bool all_windows = false;
  std::int32_t class_count = 0;  // with a classification head; hidden_size is then this
  // Chance that the end token is the most likely one at a position.
  double eos_probability = 0.05;
  std::uint64_t seed = 1;  // "the weights"
  // Rows that can see this token are not finite, and it is never likely; negative for none.
  TokenId poison_token_id = -1;
  // Chance that a row is not finite for no reason in its content (a memory fault).
  double fault_probability = 0;
  // Duration of a step: fixed part and part per token. Moves `clock` when there is one.
  Duration step_duration{};
  Duration token_duration{};
  ManualClock* clock = nullptr;
};

class FakeRunner;

class FakeModel final : public Model {
 public:
  explicit FakeModel(const FakeModelOptions& options);
  [[nodiscard]] const ModelInfo& info() const override { return info_; }
  Result<std::unique_ptr<GenerativeRunner>> make_runner(
      const RunnerOptions& options) const override;
  // The same with its own type, so that a test can ask it what it saw.
  [[nodiscard]] std::unique_ptr<FakeRunner> make_fake_runner(const RunnerOptions& options) const;
  [[nodiscard]] const FakeModelOptions& options() const { return options_; }

  // What follows from a sequence of tokens.
  struct State {
    std::uint64_t bits = 0;
    bool poisoned = false;
  };
  [[nodiscard]] State initial_state() const;
  [[nodiscard]] State after(const State& state, TokenId token) const;
  void logits_of(const State& state, std::span<float> out) const;
  // The logits after `tokens`. Shape: out [vocab_size].
  void logits_after(std::span<const TokenId> tokens, std::span<float> out) const;
  // The hidden state after `tokens`; of a bidirectional model, of the token at `position` of them.
  // The second segment begins at `second_begin` (StepSequence). Shape: [hidden_size].
  [[nodiscard]] std::vector<float> hidden_after(
      std::span<const TokenId> tokens,
      std::int32_t position,
      std::int32_t second_begin = std::numeric_limits<std::int32_t>::max()) const;
  // The most likely continuation, up to and including the end token or `token_count` tokens.
  [[nodiscard]] std::vector<TokenId> greedy_continuation(std::vector<TokenId> tokens,
                                                         std::int32_t token_count,
                                                         bool ignore_eos) const;

 private:
  FakeModelOptions options_;
  ModelInfo info_;
};

class FakeRunner final : public GenerativeRunner {
 public:
  FakeRunner(const FakeModel& model, const RunnerOptions& options);
  Ticket submit(const StepPlan& plan) noexcept override;
  StepResult wait(Ticket ticket) noexcept override;
  void resize_cache(std::int32_t block_count) noexcept override;

  // The first rule that a plan broke; empty when all plans were right.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] std::uint64_t fault_count() const { return fault_count_; }
  [[nodiscard]] std::uint64_t step_count() const { return step_count_; }
  [[nodiscard]] std::int32_t step_token_count_max_seen() const { return tokens_seen_max_; }

 private:
  struct Slot {
    TokenId token = -1;  // -1: never written
    std::int32_t position = -1;
    // Of layers with a window: what follows from all tokens up to this one, as layers hand it on.
    FakeModel::State state{};
  };

  [[nodiscard]] Slot& slot(const StepSequence& sequence, std::int32_t position);
  [[nodiscard]] Slot& window_slot(const StepSequence& sequence, std::int32_t position);
  [[nodiscard]] bool has_window() const { return model_->options().window_reach > 0; }
  // The first position that a token at `position` sees in layers with a window.
  [[nodiscard]] std::int32_t window_begin(std::int32_t position) const;
  void write(const StepPlan& plan, const StepSequence& sequence);
  bool check_window(const StepSequence& sequence);
  void check_window_written_once(const StepPlan& plan);
  bool check_plan(const StepPlan& plan);
  bool check_sequence(const StepPlan& plan, const StepSequence& sequence);
  void check_written_once(const StepPlan& plan);
  void fill_row(const StepSequence& sequence, std::int32_t position, std::span<float> row);
  void fill_hidden(const StepSequence& sequence, std::int32_t position);
  void violate(std::string what);
  double next_random();

  const FakeModel* model_;
  RunnerOptions options_;
  std::int32_t block_count_;        // of the cache now, of layers without a window
  std::vector<Slot> slots_;         // Shape: [blocks][16]
  std::vector<Slot> window_slots_;  // the same of layers with a window
  std::vector<float> logits_;
  std::vector<float> hidden_;
  std::vector<std::int32_t> writer_;  // by block: sequence of this step that writes it, or -1
  std::vector<std::int32_t> window_writer_;
  std::vector<TokenId> visible_;
  std::size_t row_count_ = 0;
  std::int32_t token_count_ = 0;
  std::uint64_t random_state_;
  std::uint64_t fault_count_ = 0;
  std::uint64_t step_count_ = 0;
  std::int32_t tokens_seen_max_ = 0;
  std::string violation_;
};

}  // namespace inferneo::runtime
