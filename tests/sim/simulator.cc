#include "simulator.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/manual_clock.h"
#include "base/str.h"
#include "engine/check_request.h"
#include "engine/engine_core.h"
#include "engine/event_ring.h"
#include "engine/output_writer.h"
#include "runtime/fake_runtime.h"
#include "sample/sampler.h"

namespace inferneo::sim {
namespace {

using engine::ActiveRequest;
using engine::Sequence;
using engine::SequenceState;
using engine::TokenEvent;
using request::FinishReason;

constexpr std::int32_t kBlockSize = limits::kKvBlockSizeTokens;
constexpr TokenId kEos = 1;
constexpr TokenId kPoison = 2;
constexpr TokenId kFirstPlain = 3;

// Spec: splitmix64 (Sebastiano Vigna, public domain).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }
  // Uniform in low .. high.
  std::int32_t between(std::int32_t low, std::int32_t high) {
    return low + static_cast<std::int32_t>(bits() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double probability) {
    return static_cast<double>(bits() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

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

std::uint64_t tokens_of(const ActiveRequest& active) {
  return static_cast<std::uint64_t>(active.request.choice_count) *
         (active.request.prompt.size() +
          static_cast<std::uint64_t>(active.request.sampling.max_tokens));
}

World make_world(Random& random, ManualClock& clock) {
  World world;
  world.core.kv_block_count = random.chance(0.5) ? random.between(4, 12) : random.between(12, 60);
  if (random.chance(0.5)) {
    world.model.window_reach = random.chance(0.5) ? random.between(1, 16) : random.between(16, 70);
    world.model.all_windows = random.chance(0.4);
    world.core.kv_window_block_count =
        kv::window_blocks_for(world.model.window_reach, kBlockSize) +
        (random.chance(0.5) ? random.between(0, 3) : random.between(3, 40));
    // Without layers that see all, these blocks are nothing but places in the index.
    if (world.model.all_windows) world.core.kv_block_count += random.between(0, 60);
  } else if (random.chance(0.5)) {
    world.core.kv_block_count_max = world.core.kv_block_count + random.between(0, 40);
    world.resize_rate = 0.05;
  }
  world.core.running_sequence_count_max = random.between(1, 8);
  world.core.step_token_count_max =
      random.chance(0.5) ? random.between(1, 16) : random.between(16, 96);
  world.core.waiting_request_count_max =
      random.chance(0.3) ? random.between(1, 3) : random.between(4, 32);
  world.core.prefix_cache = random.chance(0.85);
  world.core.entropy = random.bits();
  world.model.vocab_size = random.between(16, 48);
  world.model.context_tokens_max = 256;
  world.model.eos_token_id = kEos;
  world.model.poison_token_id = kPoison;
  world.model.eos_probability = random.chance(0.3) ? 0 : 0.04;
  world.model.fault_probability = random.chance(0.15) ? 0.01 : 0;
  world.model.seed = random.bits();
  world.model.step_duration = std::chrono::milliseconds(random.between(1, 20));
  world.model.token_duration = std::chrono::microseconds(random.between(0, 500));
  world.model.clock = &clock;
  if (random.chance(0.6)) {
    world.core.step_time_target = std::chrono::milliseconds(random.between(1, 40));
  }
  world.request_count = random.between(3, 16);
  world.ring_capacity = static_cast<std::uint32_t>(random.between(2, 64));
  world.reader_rate = random.chance(0.5) ? 1 : 0.1;
  world.arrival_rate = random.chance(0.3) ? 1 : 0.2;
  world.cancel_rate = random.chance(0.5) ? 0.25 : 0;
  world.deadline_rate = random.chance(0.3) ? 0.3 : 0;
  world.poison_rate = random.chance(0.3) ? 0.2 : 0;
  world.priorities = random.chance(0.4);
  return world;
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

SimulationResult Simulation::run() {
  // Bound: far above what any world of this size needs; reaching it means that nothing moves.
  constexpr std::uint64_t kStepCountMax = 200'000;
  while (!failed() && (arrived_ < world_.request_count || !clients_.empty())) {
    while (arrived_ < world_.request_count && random_.chance(world_.arrival_rate)) arrive();
    cancel_some();
    if (core_.has_work()) {
      step();
    } else {
      clock_.advance(std::chrono::milliseconds(1));
      read(ring_.capacity());
    }
    if (random_.chance(world_.reader_rate)) {
      read(static_cast<std::size_t>(random_.between(1, 16)));
    }
    if (++result_.steps > kStepCountMax) fail("the simulation does not come to an end");
  }
  if (!failed() && core_.cache().pool().used() != 0) fail("blocks are used after the last end");
  if (!failed() && core_.cache().window_pool().used() != 0) {
    fail("window blocks are used after the last end");
  }
  result_.preemptions = core_.scheduler().preemption_count();
  result_.cache_hits = metrics_.prefix_cache_hits.value();
  if (core_.cache().has_window()) {
    ++result_.window_worlds;
    result_.window_cache_hits = result_.cache_hits;
  }
  result_.prefix_waits = metrics_.prefix_cache_awaited_hits.value();
  return result_;
}

std::vector<TokenId> Simulation::plain_tokens(std::int32_t count) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(count));
  for (TokenId& token : tokens) {
    token = random_.between(kFirstPlain, world_.model.vocab_size - 1);
  }
  return tokens;
}

request::GenerateRequest Simulation::make_request(bool& poisoned) {
  request::GenerateRequest request;
  const std::vector<TokenId>& family = families_[random_.bits() % families_.size()];
  request.prompt.assign(family.begin(), family.begin() + random_.between(0, 70));
  const std::vector<TokenId> tail = plain_tokens(random_.between(1, 20));
  request.prompt.insert(request.prompt.end(), tail.begin(), tail.end());
  poisoned = random_.chance(world_.poison_rate);
  if (poisoned) request.prompt[random_.bits() % request.prompt.size()] = kPoison;

  request::SamplingParams& sampling = request.sampling;
  sampling.temperature = random_.chance(0.6) ? 0.0F : 1.0F;
  sampling.seed = random_.bits();
  if (random_.chance(0.2)) sampling.repetition_penalty = 1.3F;
  if (random_.chance(0.2)) sampling.presence_penalty = 0.5F;
  if (random_.chance(0.2)) sampling.top_k = 5;
  sampling.max_tokens = random_.chance(0.05) ? 0 : random_.between(1, 40);
  sampling.ignore_eos = random_.chance(0.2);
  if (random_.chance(0.2)) sampling.min_tokens = random_.between(0, sampling.max_tokens);
  if (random_.chance(0.2)) sampling.stop_token_ids = {plain_tokens(1)[0]};
  if (random_.chance(0.2)) sampling.logprobs = random_.between(0, 3);
  if (random_.chance(0.15)) sampling.prompt_logprobs = 0;
  request.choice_count = random_.chance(0.3) ? random_.between(1, 4) : 1;
  if (world_.priorities) request.priority = random_.between(0, 2);
  constexpr const char* kSalts[] = {"", "a", "b"};
  request.cache_salt = kSalts[random_.chance(0.6) ? 0 : random_.between(1, 2)];
  if (random_.chance(world_.deadline_rate)) {
    request.deadline = clock_.now() + std::chrono::milliseconds(random_.between(0, 1500));
  }
  return request;
}

void Simulation::arrive() {
  ++arrived_;
  bool poisoned = false;
  request::GenerateRequest request = make_request(poisoned);
  bool too_long = false;
  const engine::RequestLimits limits{world_.model.vocab_size,
                                     world_.model.context_tokens_max,
                                     world_.core.kv_block_count,
                                     world_.core.running_sequence_count_max};
  const bool queue_full = core_.scheduler().waiting().size() >=
                          static_cast<std::size_t>(world_.core.waiting_request_count_max);
  if (queue_full || !engine::check_request(request, limits, too_long).ok()) {
    ++result_.refused;
    return;
  }
  Client client;
  client.index = arrived_;
  client.poisoned = poisoned;
  client.active = std::make_unique<ActiveRequest>();
  client.active->request = std::move(request);
  client.active->submitted_at = clock_.now();
  if (random_.chance(world_.cancel_rate)) client.cancel_in = random_.between(0, 60);
  const request::GenerateRequest& kept = client.active->request;
  client.choices.resize(static_cast<std::size_t>(kept.choice_count));
  for (std::size_t i = 0; i < client.choices.size(); ++i) {
    OracleChoice& choice = client.choices[i];
    choice.tokens = kept.prompt;
    choice.sampler.emplace(kept.sampling,
                           static_cast<std::int32_t>(i),
                           0,
                           world_.model.vocab_size,
                           std::span<const TokenId>(kept.prompt));
    if (random_.chance(0.15)) choice.stop_at = random_.between(1, 20);
  }
  set_step_bounds(client);
  ActiveRequest& active = *client.active;
  clients_.emplace(&active, std::move(client));
  core_.add(active);
}

// The first in order computes at least one token in each step and is never preempted by those after
// it. So a request ends after at most as many steps as it and all before it have tokens. A later
// arrival of higher priority adds its own and can undo the work of all before that request once.
void Simulation::set_step_bounds(Client& client) {
  const ActiveRequest& arriving = *client.active;
  const std::int32_t priority = arriving.request.priority;
  std::uint64_t before = tokens_of(arriving);
  std::uint64_t undone = 0;
  for (const auto& [active, other] : clients_) {
    if (active->request.priority >= priority) before += tokens_of(*active);
    if (active->request.priority < priority) undone += tokens_of(*active);
  }
  client.step_bound = result_.steps + before + 2;
  for (auto& [active, other] : clients_) {
    if (active->request.priority < priority) other.step_bound += tokens_of(arriving) + undone;
  }
}

// Never below what the first size was, so that whatever was accepted fits.
void Simulation::resize_pool() {
  const std::int32_t before = core_.cache().pool().total();
  const std::int32_t count =
      random_.between(world_.core.kv_block_count, world_.core.kv_block_count_max);
  const std::uint64_t preempted = core_.scheduler().preemption_count();
  core_.resize(count);
  ++result_.resized;
  result_.resize_preemptions += core_.scheduler().preemption_count() - preempted;
  if (core_.cache().pool().total() != count) fail("the pool has another size than it was given");
  if (count >= before) return;
  // Whoever held blocks that went begins again.
  std::uint64_t undone = 0;
  for (const auto& [active, client] : clients_) undone += tokens_of(*active);
  for (auto& [active, client] : clients_) client.step_bound += undone;
}

void Simulation::cancel_some() {
  for (auto& [active, client] : clients_) {
    if (client.cancel_in < 0 || client.cancel_in-- > 0) continue;
    client.active->cancelled = true;
    client.cancel_sent = true;
    core_.signal();
  }
}

void Simulation::step() {
  const std::uint64_t steps_before = runner_->step_count();
  const TimePoint started_at = clock_.now();
  prompts_before_step_.clear();
  for (const ActiveRequest* active : core_.requests()) {
    if (!active->forked) prompts_before_step_.insert(active);
  }
  if (random_.chance(world_.resize_rate)) resize_pool();
  const std::span<const TokenEvent> events = core_.step();
  const bool ends_only = std::ranges::all_of(
      events, [](const TokenEvent& event) { return event.kind == TokenEvent::Kind::kEnd; });
  if (runner_->step_count() == steps_before && !(ends_only && !core_.has_work())) {
    fail("a round with work ran no step");
  }
  if (runner_->step_count() != steps_before) check_pace(clock_.now() - started_at);
  trace(events.size());
  push(events);
  check_state();
}

// The engine waits for a slow reader; here the reader is made to read.
void Simulation::push(std::span<const TokenEvent> events) {
  while (!events.empty()) {
    const std::size_t count = std::min(events.size(), ring_.space());
    ring_.push(events.first(count));
    events = events.subspan(count);
    if (events.empty()) return;
    ++result_.ring_full;
    read(1);
  }
}

void Simulation::read(std::size_t count_max) {
  while (count_max > 0 && !failed()) {
    const std::span<const TokenEvent> events = ring_.peek();
    if (events.empty()) return;
    const std::size_t count = std::min(events.size(), count_max);
    for (const TokenEvent& event : events.first(count)) read_event(event);
    ring_.release(count);
    count_max -= count;
  }
}

void Simulation::read_event(const TokenEvent& event) {
  const auto found = clients_.find(event.request);
  if (found == clients_.end()) return fail("an event after the end of its request");
  Client& client = found->second;
  trace(static_cast<std::uint64_t>(client.index) << 32 ^
        static_cast<std::uint64_t>(event.choice) << 24 ^
        static_cast<std::uint64_t>(event.sampled.id) << 8 ^ static_cast<std::uint64_t>(event.kind));
  switch (event.kind) {
    case TokenEvent::Kind::kPromptToken:
      if (event.sampled.id !=
          client.active->request.prompt[static_cast<std::size_t>(++client.prompt_rows_seen)]) {
        fail("a prompt token was scored out of order");
      }
      break;
    case TokenEvent::Kind::kToken:
      ++result_.tokens;
      read_token(client, event);
      break;
    case TokenEvent::Kind::kEnd:
      read_end(client);
      admitted_seen_.erase(found->first);
      clients_.erase(found);
      break;
    case TokenEvent::Kind::kShutdown:
      fail("an event without a request");
  }
}

void Simulation::read_token(Client& client, const TokenEvent& event) {
  const request::SamplingParams& sampling = client.active->request.sampling;
  OracleChoice& choice = client.choices[static_cast<std::size_t>(event.choice)];
  // The engine may run ahead of a stop that the reader found.
  if (choice.finish && choice.stop_at > 0 && choice.seen == choice.stop_at) return;
  if (choice.finish) return fail(str("request ", client.index, ": a token after the choice's end"));

  std::vector<TokenId> ends = sampling.stop_token_ids;
  if (!sampling.ignore_eos) ends.push_back(kEos);
  const bool held = choice.seen < sampling.min_tokens;
  model_.logits_after(choice.tokens, row_);
  const TokenId expected =
      choice.sampler
          ->sample(row_, held ? std::span<const TokenId>(ends) : std::span<const TokenId>())
          .id;
  if (event.sampled.id != expected) {
    return fail(str("request ",
                    client.index,
                    " choice ",
                    event.choice,
                    " token ",
                    choice.seen,
                    ": ",
                    event.sampled.id,
                    " instead of ",
                    expected));
  }
  choice.tokens.push_back(expected);
  ++choice.seen;
  std::optional<FinishReason> finish;
  if (choice.seen == sampling.max_tokens) finish = FinishReason::kLength;
  if (!held && std::ranges::find(ends, expected) != ends.end()) finish = FinishReason::kStop;
  if (event.ends_choice != finish.has_value() || (finish && *finish != event.finish)) {
    return fail(str("request ", client.index, ": the choice ended for a wrong reason"));
  }
  if (!finish && choice.seen == choice.stop_at) {
    ++result_.stopped;
    finish = FinishReason::kStop;
    client.active->stopped_choices.fetch_or(1U << event.choice);
    core_.signal();
  }
  choice.finish = finish;
}

void Simulation::read_end(Client& client) {
  const ActiveRequest& active = *client.active;
  const StatusCode code = active.end_status.code();
  trace(static_cast<std::uint64_t>(code));
  if (!active.ended) return fail("an end event of a request that goes on");
  if (active.forked && active.request.choice_count > 1) ++result_.forks;
  for (const Sequence& sequence : active.sequences) {
    history_.emplace_back(active.request.cache_salt, sequence.tokens);
  }
  switch (code) {
    case StatusCode::kOk:
      if (client.poisoned) return fail("a poisoned request ended well");
      for (const OracleChoice& choice : client.choices) {
        const bool generates = active.request.sampling.max_tokens > 0;
        if (choice.finish.has_value() != generates) {
          return fail("a request ended well with an open choice");
        }
      }
      if (client.prompt_rows_seen != active.prompt_rows_wanted()) {
        return fail("a prompt was not scored as a whole");
      }
      if (active.request.sampling.max_tokens == 0 && active.end_reason != FinishReason::kLength) {
        return fail("a request that generates nothing ended for a wrong reason");
      }
      break;
    case StatusCode::kCancelled:
      ++result_.cancelled;
      if (!client.cancel_sent) return fail("a request was cancelled by nobody");
      break;
    case StatusCode::kDeadlineExceeded:
      ++result_.expired;
      if (clock_.now() < active.request.deadline) return fail("a deadline came too early");
      break;
    case StatusCode::kInternal:
      ++result_.failed;
      if (!client.poisoned && runner_->fault_count() == 0) return fail("a fault from nowhere");
      break;
    default:
      fail(str("an unexpected end: ", active.end_status.to_string()));
  }
}

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

void Simulation::fail(const std::string& what) {
  if (result_.failure.empty()) result_.failure = str("step ", result_.steps, ": ", what);
}

}  // namespace

SimulationResult simulate(std::uint64_t seed) {
  Simulation simulation(seed);
  return simulation.run();
}

}  // namespace inferneo::sim
