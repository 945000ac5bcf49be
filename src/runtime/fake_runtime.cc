#include "runtime/fake_runtime.h"

#include <algorithm>
#include <limits>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::runtime {
namespace {

constexpr std::int32_t kBlockSize = limits::kKvBlockSizeTokens;

// Spec: splitmix64 (Sebastiano Vigna, public domain).
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

// Uniform in [0, 1).
double unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

FakeModel::FakeModel(const FakeModelOptions& options) : options_(options) {
  info_.architecture = "fake";
  info_.path = "fake";
  info_.vocab_size = options.vocab_size;
  info_.context_tokens_max = options.context_tokens_max;
  info_.layer_count = 1;
  info_.isa = "none";
  info_.eos_token_ids = {options.eos_token_id};
  if (options.class_count > 0) {
    options_.hidden_size = options.class_count;
    info_.vectors.class_count = options.class_count;
    info_.vectors.pooling = request::Pooling::kCls;
  }
  info_.vectors.hidden_size = options_.hidden_size;
  info_.vectors.bidirectional = options.bidirectional;
  info_.generates = !options.bidirectional;
  constexpr std::uint64_t kBlockBytes = kBlockSize * 2 * sizeof(std::int32_t);
  if (!options.all_windows) info_.memory.kv_block_bytes = kBlockBytes;
  if (options.window_reach > 0) {
    info_.memory.kv_window_block_bytes = kBlockBytes;
    info_.memory.kv_window_reach = options.window_reach;
  }
}

Result<std::unique_ptr<GenerativeRunner>> FakeModel::make_runner(
    const RunnerOptions& options) const {
  return std::unique_ptr<GenerativeRunner>(make_fake_runner(options));
}

std::unique_ptr<FakeRunner> FakeModel::make_fake_runner(const RunnerOptions& options) const {
  return std::make_unique<FakeRunner>(*this, options);
}

FakeModel::State FakeModel::initial_state() const { return {mix(options_.seed), false}; }

FakeModel::State FakeModel::after(const State& state, TokenId token) const {
  return {mix(state.bits ^ static_cast<std::uint32_t>(token)),
          state.poisoned || token == options_.poison_token_id};
}

void FakeModel::logits_after(std::span<const TokenId> tokens, std::span<float> out) const {
  State state = initial_state();
  for (const TokenId token : tokens) state = after(state, token);
  logits_of(state, out);
}

void FakeModel::logits_of(const State& of, std::span<float> out) const {
  const std::uint64_t state = of.bits;
  const bool poisoned = of.poisoned;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(8.0 * unit(mix(state + i)) - 4.0);
  }
  const bool ends = unit(mix(state ^ 0x5eed)) < options_.eos_probability;
  out[static_cast<std::size_t>(options_.eos_token_id)] = ends ? 12.0F : -12.0F;
  // It comes from a prompt only, so that a test decides who is poisoned.
  if (options_.poison_token_id >= 0) out[static_cast<std::size_t>(options_.poison_token_id)] = -12;
  if (poisoned) out[state % out.size()] = std::numeric_limits<float>::quiet_NaN();
}

std::vector<float> FakeModel::hidden_after(std::span<const TokenId> tokens,
                                           std::int32_t position,
                                           std::int32_t second_begin) const {
  std::uint64_t state = mix(options_.seed ^ 0x41dd);
  bool poisoned = false;
  std::int32_t place = 0;
  for (const TokenId token : tokens) {
    if (place++ == second_begin) state = mix(state ^ 0x5e9);
    state = mix(state ^ static_cast<std::uint32_t>(token));
    poisoned |= token == options_.poison_token_id;
  }
  if (options_.bidirectional) state = mix(state + static_cast<std::uint64_t>(position));
  std::vector<float> row(static_cast<std::size_t>(options_.hidden_size));
  for (std::size_t i = 0; i < row.size(); ++i) {
    row[i] = static_cast<float>(2.0 * unit(mix(state + i)) - 1.0);
  }
  if (poisoned) row[state % row.size()] = std::numeric_limits<float>::quiet_NaN();
  return row;
}

std::vector<TokenId> FakeModel::greedy_continuation(std::vector<TokenId> tokens,
                                                    std::int32_t token_count,
                                                    bool ignore_eos) const {
  std::vector<float> row(static_cast<std::size_t>(options_.vocab_size));
  std::vector<TokenId> continuation;
  while (static_cast<std::int32_t>(continuation.size()) < token_count) {
    logits_after(tokens, row);
    const auto best = static_cast<TokenId>(std::ranges::max_element(row) - row.begin());
    tokens.push_back(best);
    continuation.push_back(best);
    if (best == options_.eos_token_id && !ignore_eos) break;
  }
  return continuation;
}

FakeRunner::FakeRunner(const FakeModel& model, const RunnerOptions& options)
    : model_(&model),
      options_(options),
      block_count_(options.kv_block_count),
      slots_(static_cast<std::size_t>(options.kv_block_count) * kBlockSize),
      logits_(static_cast<std::size_t>(options.logit_row_count_max) *
              static_cast<std::size_t>(model.options().vocab_size)),
      writer_(static_cast<std::size_t>(options.kv_block_count), -1),
      random_state_(model.options().seed) {
  if (options_.kv_window_block_count == 0) options_.kv_window_block_count = options.kv_block_count;
  if (has_window()) {
    const auto blocks = static_cast<std::size_t>(options_.kv_window_block_count);
    window_slots_.resize(blocks * kBlockSize);
    window_writer_.resize(blocks, -1);
  }
  visible_.reserve(static_cast<std::size_t>(model.options().context_tokens_max) + 1);
}

void FakeRunner::resize_cache(std::int32_t block_count) noexcept {
  if (block_count < 1 || block_count > options_.kv_block_count) violate("a cache of no right size");
  const auto kept = static_cast<std::ptrdiff_t>(block_count) * kBlockSize;
  std::fill(slots_.begin() + kept, slots_.end(), Slot());
  block_count_ = block_count;
}

GenerativeRunner::Ticket FakeRunner::submit(const StepPlan& plan) noexcept {
  ++step_count_;
  row_count_ = 0;
  token_count_ = static_cast<std::int32_t>(plan.token_ids.size());
  tokens_seen_max_ = std::max(tokens_seen_max_, token_count_);
  if (!check_plan(plan)) return step_count_;
  check_written_once(plan);
  if (has_window()) check_window_written_once(plan);
  for (const StepSequence& sequence : plan.sequences) write(plan, sequence);
  const auto vocab = static_cast<std::size_t>(model_->options().vocab_size);
  hidden_.clear();
  const auto owner_of = [&](std::int32_t row) {
    return std::ranges::find_if(plan.sequences, [&](const StepSequence& sequence) {
      return row < sequence.token_begin + sequence.token_count;
    });
  };
  for (const std::int32_t row : plan.hidden_rows) {
    const StepSequence& sequence = *owner_of(row);
    fill_hidden(sequence, sequence.context_before + row - sequence.token_begin);
  }
  std::size_t at = 0;
  for (const std::int32_t row : plan.logit_rows) {
    while (row >= plan.sequences[at].token_begin + plan.sequences[at].token_count) ++at;
    const StepSequence& sequence = plan.sequences[at];
    fill_row(sequence,
             sequence.context_before + row - sequence.token_begin,
             std::span(logits_).subspan(row_count_ * vocab, vocab));
    ++row_count_;
  }
  return step_count_;
}

StepResult FakeRunner::wait(Ticket /*ticket*/) noexcept {
  const FakeModelOptions& options = model_->options();
  if (options.clock != nullptr) {
    options.clock->advance(options.step_duration + options.token_duration * token_count_);
  }
  const auto vocab = static_cast<std::size_t>(options.vocab_size);
  return {std::span<float>(logits_).first(row_count_ * vocab), hidden_};
}

void FakeRunner::write(const StepPlan& plan, const StepSequence& sequence) {
  for (std::int32_t i = 0; i < sequence.token_count; ++i) {
    const std::int32_t position = sequence.context_before + i;
    const TokenId token = plan.token_ids[static_cast<std::size_t>(sequence.token_begin + i)];
    if (!model_->options().all_windows) slot(sequence, position) = {token, position, {}};
    if (!has_window()) continue;
    const FakeModel::State before =
        position == 0 ? model_->initial_state() : window_slot(sequence, position - 1).state;
    window_slot(sequence, position) = {token, position, model_->after(before, token)};
  }
}

FakeRunner::Slot& FakeRunner::window_slot(const StepSequence& sequence, std::int32_t position) {
  const std::span<const kv::BlockId> blocks =
      sequence.window_blocks.empty() ? sequence.blocks : sequence.window_blocks;
  const kv::BlockId block = blocks[static_cast<std::size_t>(position / kBlockSize)];
  return window_slots_[static_cast<std::size_t>(block) * kBlockSize +
                       static_cast<std::size_t>(position % kBlockSize)];
}

std::int32_t FakeRunner::window_begin(std::int32_t position) const {
  return std::max(0, position - model_->options().window_reach);
}

FakeRunner::Slot& FakeRunner::slot(const StepSequence& sequence, std::int32_t position) {
  const kv::BlockId block = sequence.blocks[static_cast<std::size_t>(position / kBlockSize)];
  return slots_[static_cast<std::size_t>(block) * kBlockSize +
                static_cast<std::size_t>(position % kBlockSize)];
}

bool FakeRunner::check_plan(const StepPlan& plan) {
  if (token_count_ > options_.step_token_count_max)
    violate("more tokens than step_token_count_max");
  if (plan.sequences.size() > static_cast<std::size_t>(options_.sequence_count_max)) {
    violate("more sequences than sequence_count_max");
  }
  if (plan.logit_rows.size() + plan.hidden_rows.size() >
      static_cast<std::size_t>(options_.logit_row_count_max)) {
    violate("more rows of logits and hidden states than logit_row_count_max");
  }
  std::int32_t begin = 0;
  for (const StepSequence& sequence : plan.sequences) {
    if (sequence.token_begin != begin) violate("tokens of the sequences do not adjoin");
    if (!violation_.empty() || !check_sequence(plan, sequence)) return false;
    begin += sequence.token_count;
  }
  if (begin != token_count_) violate("tokens that belong to no sequence");
  for (const auto& rows : {plan.logit_rows, plan.hidden_rows}) {
    std::int32_t previous = -1;
    for (const std::int32_t row : rows) {
      if (row <= previous || row >= token_count_) violate("rows not ascending or out of range");
      previous = row;
    }
  }
  return violation_.empty();
}

bool FakeRunner::check_sequence(const StepPlan& plan, const StepSequence& sequence) {
  if (sequence.token_count < 1 || sequence.context_before < 0) {
    violate("a sequence without tokens or with a negative context");
    return false;
  }
  const std::int32_t end = sequence.context_before + sequence.token_count;
  if (static_cast<std::int32_t>(sequence.blocks.size()) * kBlockSize < end) {
    violate("a block table that does not cover the tokens");
    return false;
  }
  for (const kv::BlockId block : sequence.blocks) {
    if (block >= static_cast<kv::BlockId>(block_count_)) violate("block out of range");
  }
  for (std::int32_t i = 0; i < sequence.token_count; ++i) {
    const TokenId token = plan.token_ids[static_cast<std::size_t>(sequence.token_begin + i)];
    if (token < 0 || token >= model_->options().vocab_size) violate("token id out of vocabulary");
  }
  if (model_->options().bidirectional && sequence.context_before > 0) {
    violate("a sequence in parts, of which each token must see all");
  }
  if (!violation_.empty()) return false;
  if (has_window() && !check_window(sequence)) return false;
  if (model_->options().all_windows) return true;
  for (std::int32_t position = 0; position < sequence.context_before; ++position) {
    if (slot(sequence, position).position != position) {
      violate(str("position ",
                  position,
                  " reads a slot that holds position ",
                  slot(sequence, position).position));
      return false;
    }
  }
  return true;
}

// The window of the first token: what it reads there is what was computed for these positions.
bool FakeRunner::check_window(const StepSequence& sequence) {
  const std::span<const kv::BlockId> blocks =
      sequence.window_blocks.empty() ? sequence.blocks : sequence.window_blocks;
  const std::int32_t end = sequence.context_before + sequence.token_count;
  if (static_cast<std::int32_t>(blocks.size()) * kBlockSize < end) {
    violate("a table of window blocks that does not cover the tokens");
    return false;
  }
  for (const kv::BlockId block : blocks) {
    if (block >= static_cast<kv::BlockId>(options_.kv_window_block_count)) {
      violate("window block out of range");
      return false;
    }
  }
  for (std::int32_t at = window_begin(sequence.context_before); at < sequence.context_before;
       ++at) {
    const Slot& found = window_slot(sequence, at);
    const bool is_right = found.position == at && (model_->options().all_windows ||
                                                   found.token == slot(sequence, at).token);
    if (is_right) continue;
    violate(str("window position ", at, " reads a slot that holds position ", found.position));
    return false;
  }
  return true;
}

void FakeRunner::check_window_written_once(const StepPlan& plan) {
  const auto blocks_of = [](const StepSequence& sequence) {
    return sequence.window_blocks.empty() ? sequence.blocks : sequence.window_blocks;
  };
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const StepSequence& sequence = plan.sequences[i];
    const std::int32_t last = sequence.context_before + sequence.token_count - 1;
    for (std::int32_t at = sequence.context_before / kBlockSize; at <= last / kBlockSize; ++at) {
      std::int32_t& writer = window_writer_[blocks_of(sequence)[static_cast<std::size_t>(at)]];
      if (writer >= 0) violate("a window block that two sequences write in one step");
      writer = static_cast<std::int32_t>(i);
    }
  }
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const std::span<const kv::BlockId> blocks = blocks_of(plan.sequences[i]);
    const std::int32_t first = window_begin(plan.sequences[i].context_before) / kBlockSize;
    for (const kv::BlockId block : blocks.subspan(static_cast<std::size_t>(first))) {
      if (window_writer_[block] >= 0 && window_writer_[block] != static_cast<std::int32_t>(i)) {
        violate("a window block that one sequence writes while another reads it");
      }
    }
  }
  std::ranges::fill(window_writer_, -1);
}

// A block written by one sequence may not be visible to another one of the same step.
void FakeRunner::check_written_once(const StepPlan& plan) {
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const StepSequence& sequence = plan.sequences[i];
    const std::int32_t last = sequence.context_before + sequence.token_count - 1;
    for (std::int32_t at = sequence.context_before / kBlockSize; at <= last / kBlockSize; ++at) {
      std::int32_t& writer = writer_[sequence.blocks[static_cast<std::size_t>(at)]];
      if (writer >= 0) violate("a block that two sequences write in one step");
      writer = static_cast<std::int32_t>(i);
    }
  }
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    for (const kv::BlockId block : plan.sequences[i].blocks) {
      if (writer_[block] >= 0 && writer_[block] != static_cast<std::int32_t>(i)) {
        violate("a block that one sequence writes while another reads it");
      }
    }
  }
  for (const StepSequence& sequence : plan.sequences) {
    for (const kv::BlockId block : sequence.blocks) writer_[block] = -1;
  }
}

void FakeRunner::fill_row(const StepSequence& sequence,
                          std::int32_t position,
                          std::span<float> row) {
  if (model_->options().all_windows) {
    model_->logits_of(window_slot(sequence, position).state, row);
  } else {
    visible_.clear();
    for (std::int32_t i = 0; i <= position; ++i) visible_.push_back(slot(sequence, i).token);
    model_->logits_after(visible_, row);
  }
  if (model_->options().fault_probability > 0 &&
      next_random() < model_->options().fault_probability) {
    ++fault_count_;
    row[0] = std::numeric_limits<float>::quiet_NaN();
  }
}

void FakeRunner::fill_hidden(const StepSequence& sequence, std::int32_t position) {
  const std::int32_t end = sequence.context_before + sequence.token_count;
  const std::int32_t seen = model_->options().bidirectional ? end : position + 1;
  visible_.clear();
  for (std::int32_t i = 0; i < seen; ++i) visible_.push_back(slot(sequence, i).token);
  const std::vector<float> row = model_->hidden_after(visible_, position, sequence.second_begin);
  hidden_.insert(hidden_.end(), row.begin(), row.end());
}

void FakeRunner::violate(std::string what) {
  if (violation_.empty()) violation_ = str("step ", step_count_, ": ", what);
}

double FakeRunner::next_random() { return unit(mix(++random_state_)); }

}  // namespace inferneo::runtime
