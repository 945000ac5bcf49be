// What must hold after every step of a simulated life.
#include <algorithm>
#include <set>
#include <vector>

#include "base/str.h"
#include "simulation.h"

namespace inferneo::sim {

// The pacer has to find out what the simulator knows: how long a step takes. What it learnt from
// other numbers of streams may be off, which the factor of two allows for.
void Simulation::check_pace(Duration duration) {
  const Duration target = world_.core.step_time_target;
  const std::int32_t streams = core_.scheduler().stream_count();
  const std::int32_t tokens = core_.scheduler().prompt_token_count();
  if (target == Duration::zero() || streams == 0 || tokens == 0) return;
  const Duration base = duration - world_.model.token_duration * tokens;
  const Duration slowed = std::chrono::duration_cast<Duration>(engine::kPacedSlowdown * base);
  const Duration aim = std::max(target, std::min<Duration>(slowed, engine::kPacedStepTime));
  const Duration longest = std::max(3 * aim, 2 * base);
  const bool prompt_held_back =
      streams + tokens < world_.core.step_token_count_max &&
      std::ranges::any_of(core_.scheduler().running(),
                          [](const Sequence* sequence) { return sequence->pending() > 16; });
  if (prompt_held_back) ++result_.paced_steps;
  if (tokens >= engine::kPacedPromptTokenCountMin + engine::kStepRowTile &&
      duration > 2 * longest) {
    fail(str("a step of ", tokens, " prompt tokens took ", to_seconds(duration), " s"));
  }
}

void Simulation::check_state() {
  if (failed()) return;
  if (!runner_->violation().empty()) return fail("the plan: " + runner_->violation());
  const kv::KvCache& cache = core_.cache();
  if (!cache.consistent()) return fail("the counters of the cache disagree with its lists");
  std::vector<std::int32_t> references(static_cast<std::size_t>(cache.pool().total()), 0);
  std::vector<std::int32_t> window_references(static_cast<std::size_t>(cache.window_pool().total()),
                                              0);
  std::vector<const std::string*> holders(references.size(), nullptr);
  for (const ActiveRequest* active : core_.requests()) {
    for (const Sequence& sequence : active->sequences) {
      check_sequence(sequence, references);
      check_window(sequence, window_references);
      for (const kv::BlockId block : sequence.table.blocks) {
        const std::string*& holder = holders[block];
        if (holder != nullptr && *holder != active->request.cache_salt) {
          return fail("a block is shared across salts");
        }
        holder = &active->request.cache_salt;
      }
    }
  }
  for (std::size_t block = 0; block < references.size(); ++block) {
    if (references[block] != cache.pool().reference_count(static_cast<kv::BlockId>(block))) {
      return fail(str("block ",
                      block,
                      " has ",
                      references[block],
                      " users but counts ",
                      cache.pool().reference_count(static_cast<kv::BlockId>(block))));
    }
  }
  for (std::size_t block = 0; block < window_references.size(); ++block) {
    const auto id = static_cast<kv::BlockId>(block);
    if (window_references[block] != cache.window_pool().reference_count(id)) {
      return fail(str("window block ", block, " has another count than users"));
    }
  }
  check_order();
  for (const auto& [active, client] : clients_) {
    if (!active->ended && result_.steps > client.step_bound) {
      return fail(str("request ",
                      client.index,
                      " starves: step ",
                      result_.steps,
                      ", bound ",
                      client.step_bound));
    }
  }
}

void Simulation::check_sequence(const Sequence& sequence, std::vector<std::int32_t>& references) {
  const auto& blocks = sequence.table.blocks;
  const kv::KvCache& cache = core_.cache();
  if (sequence.scheduled != 0) fail("tokens stay scheduled after a step");
  if (sequence.state != SequenceState::kRunning) {
    if (!blocks.empty()) fail("a sequence that does not run holds blocks");
    return;
  }
  if (sequence.pending() < 1) fail("a running sequence has nothing to compute");
  if (static_cast<std::int32_t>(blocks.size()) * kBlockSize < sequence.computed) {
    fail("a table does not cover what was computed");
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    ++references[blocks[i]];
    const bool full = (static_cast<std::int32_t>(i) + 1) * kBlockSize <= sequence.computed;
    if (full) continue;
    if (cache.pool().reference_count(blocks[i]) != 1)
      fail("a block that will be written is shared");
    if (cache.index().contains(blocks[i])) fail("a block that will be written is in the index");
  }
  const ActiveRequest& active = *sequence.request;
  if (sequence.choice != 0 || !active.started || !admitted_seen_.insert(&active).second) return;
  if (!was_computed_under_salt(active)) fail("a hit on what was never computed under this salt");
  if (active.cached_prompt_tokens >= active.prompt_count()) fail("a hit covers the whole prompt");
  check_wave(active);
}

// Of layers with a window, a sequence holds the blocks that its next token sees, and none that lie
// far behind.
void Simulation::check_window(const Sequence& sequence, std::vector<std::int32_t>& references) {
  const kv::BlockTable& table = sequence.table;
  if (table.window_blocks.empty()) {
    const bool runs = sequence.state == SequenceState::kRunning && sequence.computed > 0;
    if (core_.cache().has_window() && runs) fail("a running sequence holds no window blocks");
    return;
  }
  const std::int32_t reach = world_.model.window_reach;
  if (table.retired_count * kBlockSize > std::max(0, sequence.computed - reach)) {
    fail("a window block that the next token sees is gone");
  }
  if (static_cast<std::int32_t>(table.window_blocks.size()) * kBlockSize < sequence.computed) {
    fail("a table of window blocks does not cover what was computed");
  }
  for (std::size_t i = 0; i < table.window_blocks.size(); ++i) {
    const kv::BlockId block = table.window_blocks[i];
    if (i < static_cast<std::size_t>(table.retired_count)) {
      if (block != 0) fail("a window block that is gone has an id");
      continue;
    }
    ++references[block];
    const bool full = (static_cast<std::int32_t>(i) + 1) * kBlockSize <= sequence.computed;
    if (!full && core_.cache().window_pool().reference_count(block) != 1) {
      fail("a window block that will be written is shared");
    }
  }
  ++result_.window_tables;
  if (table.retired_count > 0) ++result_.retired_tables;
}

// Equal content is computed once per wave: a request that was just admitted found all the blocks
// that one before it, whose prompt was computed at the same time, has in common with it.
void Simulation::check_wave(const ActiveRequest& admitted) {
  if (!world_.core.prefix_cache || admitted.prompt_rows_wanted() > 0) return;
  // Why: where the pool of windows is small, what the later one needs may be gone.
  if (core_.cache().has_window()) return;
  const Sequence& late = admitted.sequences[0];
  for (const Sequence* early : core_.scheduler().running()) {
    const ActiveRequest& other = *early->request;
    if (&other == &admitted || !engine::runs_before(*early, late)) continue;
    if (!prompts_before_step_.contains(&other) || other.prompt_rows_wanted() > 0) continue;
    if (other.request.cache_salt != admitted.request.cache_salt) continue;
    const auto common = static_cast<std::int32_t>(
        std::ranges::mismatch(other.request.prompt, admitted.request.prompt).in1 -
        other.request.prompt.begin());
    const std::int32_t to_share = std::min(common, admitted.prompt_count() - 1) / kBlockSize;
    if (to_share * kBlockSize > admitted.cached_prompt_tokens) {
      fail("a block is computed twice in a wave");
    }
  }
}

// Whether another request of the same salt had the tokens that this one found in the cache.
bool Simulation::was_computed_under_salt(const ActiveRequest& active) const {
  const auto hit =
      std::span(active.request.prompt).first(static_cast<std::size_t>(active.cached_prompt_tokens));
  const auto begins_with_hit = [&](const std::string& salt, const std::vector<TokenId>& tokens) {
    return salt == active.request.cache_salt && tokens.size() >= hit.size() &&
           std::equal(hit.begin(), hit.end(), tokens.begin());
  };
  if (hit.empty()) return true;
  for (const auto& [salt, tokens] : history_) {
    if (begins_with_hit(salt, tokens)) return true;
  }
  for (const auto& [other, client] : clients_) {
    if (other == &active) continue;
    for (const Sequence& sequence : other->sequences) {
      if (begins_with_hit(other->request.cache_salt, sequence.tokens)) return true;
    }
  }
  return false;
}

void Simulation::check_order() {
  const auto running = core_.scheduler().running();
  const auto waiting = core_.scheduler().waiting();
  const auto before = [](const Sequence* a, const Sequence* b) {
    return engine::runs_before(*a, *b);
  };
  if (!std::ranges::is_sorted(running, before) || !std::ranges::is_sorted(waiting, before)) {
    fail("a queue is out of order");
  }
  if (static_cast<std::int32_t>(running.size()) > world_.core.running_sequence_count_max) {
    fail("too many running sequences");
  }
  if (core_.has_work() != !(running.empty() && waiting.empty())) {
    fail("a request is in no queue");
  }
}

}  // namespace inferneo::sim
