// Arrivals, cancellations, steps and the reader of a simulated life.
#include "simulator.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/str.h"
#include "engine/check_request.h"
#include "engine/output_writer.h"
#include "simulation.h"

namespace inferneo::sim {

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

void Simulation::fail(const std::string& what) {
  if (result_.failure.empty()) result_.failure = str("step ", result_.steps, ": ", what);
}

SimulationResult simulate(std::uint64_t seed) {
  Simulation simulation(seed);
  return simulation.run();
}

}  // namespace inferneo::sim
