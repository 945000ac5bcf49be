// The parts of a simulated life that its events (simulator.cc) and its checks
// (simulation_checks.cc) share. See simulator.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/manual_clock.h"
#include "engine/engine_core.h"
#include "engine/event_ring.h"
#include "random.h"
#include "runtime/fake_runtime.h"
#include "sample/sampler.h"
#include "simulator.h"

namespace inferneo::sim {

using engine::ActiveRequest;
using engine::Sequence;
using engine::SequenceState;
using engine::TokenEvent;
using request::FinishReason;

inline constexpr std::int32_t kBlockSize = limits::kKvBlockSizeTokens;
inline constexpr TokenId kEos = 1;
inline constexpr TokenId kPoison = 2;
inline constexpr TokenId kFirstPlain = 3;

using Random = SeededRandom<std::int32_t>;

// The world of one seed.
struct World {
  engine::CoreOptions core;
  runtime::FakeModelOptions model;
  std::int32_t request_count = 0;
  std::uint32_t ring_capacity = 0;
  double reader_rate = 1;    // chance that the reader looks after a step
  double arrival_rate = 1;   // chance of an arrival before a step
  double cancel_rate = 0;    // chance that a request is ever cancelled
  double deadline_rate = 0;  // chance that it has a deadline
  double poison_rate = 0;    // chance that its prompt poisons its logits
  bool priorities = false;
  double resize_rate = 0;  // chance that the pool gets another size before a step
};

World make_world(Random& random, ManualClock& clock);

// Of a whole request: its prompt and its longest text, for each choice.
inline std::uint64_t tokens_of(const ActiveRequest& active) {
  return static_cast<std::uint64_t>(active.request.choice_count) *
         (active.request.prompt.size() +
          static_cast<std::uint64_t>(active.request.sampling.max_tokens));
}

// A choice of a request as the oracle sees it: alone, with the whole text so far.
struct OracleChoice {
  std::vector<TokenId> tokens;
  std::optional<sample::Sampler> sampler;
  std::int32_t seen = 0;
  std::int32_t stop_at = 0;  // the reader finds a stop string at this token; 0 for never
  std::optional<FinishReason> finish;
};

struct Client {
  std::unique_ptr<ActiveRequest> active;
  std::vector<OracleChoice> choices;
  std::int32_t index = 0;
  std::uint64_t step_bound = 0;  // by when it must have ended
  std::int32_t cancel_in = -1;   // steps; negative for never
  std::int32_t prompt_rows_seen = 0;
  bool poisoned = false;
  bool cancel_sent = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : random_(seed),
        world_(make_world(random_, clock_)),
        model_(world_.model),
        runner_(model_.make_fake_runner(engine::EngineCore::runner_options(world_.core))),
        core_(world_.core, model_.info(), *runner_, clock_, metrics_),
        ring_(world_.ring_capacity),
        row_(static_cast<std::size_t>(world_.model.vocab_size)) {
    for (std::int32_t i = 0; i < 3; ++i) families_.push_back(plain_tokens(120));
  }

  SimulationResult run();

 private:
  std::vector<TokenId> plain_tokens(std::int32_t count);
  request::GenerateRequest make_request(bool& poisoned);
  void arrive();
  void set_step_bounds(Client& client);
  void resize_pool();
  void cancel_some();
  void step();
  void push(std::span<const TokenEvent> events);
  void read(std::size_t count_max);
  void read_event(const TokenEvent& event);
  void read_token(Client& client, const TokenEvent& event);
  void read_end(Client& client);
  void check_pace(Duration duration);
  void check_state();
  void check_sequence(const Sequence& sequence, std::vector<std::int32_t>& references);
  void check_window(const Sequence& sequence, std::vector<std::int32_t>& references);
  [[nodiscard]] bool was_computed_under_salt(const ActiveRequest& active) const;
  void check_wave(const ActiveRequest& admitted);
  void check_order();
  void fail(const std::string& what);
  void trace(std::uint64_t value) {
    result_.trace_hash = Random(result_.trace_hash ^ value).bits();
  }
  [[nodiscard]] bool failed() const { return !result_.failure.empty(); }

  Random random_;
  ManualClock clock_;
  World world_;
  runtime::FakeModel model_;
  std::unique_ptr<runtime::FakeRunner> runner_;
  observe::ModelMetrics metrics_;
  engine::EngineCore core_;
  engine::EventRing ring_;
  std::vector<float> row_;
  std::vector<std::vector<TokenId>> families_;  // prompts begin alike, so that caches are hit
  std::map<const ActiveRequest*, Client> clients_;
  std::set<const ActiveRequest*> admitted_seen_;
  std::set<const ActiveRequest*> prompts_before_step_;  // whose prompt was not computed then
  std::vector<std::pair<std::string, std::vector<TokenId>>>
      history_;  // salt and tokens of the ended
  std::int32_t arrived_ = 0;
  SimulationResult result_;
};

}  // namespace inferneo::sim
