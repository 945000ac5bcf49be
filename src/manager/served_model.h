// A version of a model that is in memory, and the lease that pins it for the life of a request.
// Thread: any. Ownership: the manager and the leases share a served model; it is torn down on a
// thread of the manager, whoever lets go of it last.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "observe/metrics.h"
#include "request/generate_request.h"
#include "request/output.h"
#include "runtime/runtime.h"
#include "text/chat_template.h"
#include "text/grammar/constraint_compiler.h"
#include "text/reasoning/reasoned_answer.h"
#include "text/tokenizer.h"

namespace inferneo::manager {

// Immutable except for the engine's own state.
struct ServedModel {
  std::string name;
  std::string version;  // empty for models that were put in directly
  std::int64_t created_unix_seconds = 0;
  std::shared_ptr<const runtime::Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null when the model has none
  text::grammar::ModelConstraints constraints;              // structured output; needs a tokenizer
  text::ModelReasoning reasoning;                           // the same before its answers
  std::int32_t context_tokens_max = 0;                      // prompt plus output, as configured
  std::uint64_t beside_bytes = 0;                  // beside weights, workspace and pool, as planned
  std::shared_ptr<observe::ModelMetrics> metrics;  // of the version: they outlive its loads
  std::unique_ptr<engine::Engine> engine;  // declared last: stops before what it uses goes away
};

// What the data plane writes of a version and the control plane reads: who holds it, when it was
// used, what became of its requests. It lives as long as the version is registered.
class VersionUse {
 public:
  // `on_idle` is called when the last lease is returned and somebody waits for that; any thread.
  VersionUse(const Clock& clock, std::function<void()> on_idle)
      : clock_(clock), on_idle_(std::move(on_idle)) {}

  // The control plane's side. Thread: control.
  struct Reading {
    std::int32_t lease_count = 0;
    std::uint64_t request_count = 0;
    TimePoint last_used{};               // of a lease taken or returned
    std::optional<Duration> keep_alive;  // of the last request that named one
  };
  [[nodiscard]] Reading read() const;
  void call_when_idle(bool wanted) { idle_wanted_.store(wanted, std::memory_order_seq_cst); }

  // The data plane's side. Thread: any; no lock.
  void take(std::optional<Duration> keep_alive);
  void give_back();

 private:
  static constexpr Duration::rep kNoKeepAlive = -1;
  const Clock& clock_;
  const std::function<void()> on_idle_;
  std::atomic<std::int32_t> lease_count_{0};
  std::atomic<std::uint64_t> request_count_{0};
  std::atomic<Duration::rep> last_used_{0};
  std::atomic<Duration::rep> keep_alive_{kNoKeepAlive};
  std::atomic<bool> idle_wanted_{false};
};

// Keeps a model in memory forever.
inline constexpr Duration kKeepForever = Duration::max();

// Pins a version for the life of a request. Copies share one pin.
class Lease {
 public:
  // Without a `use` nobody counts the request.
  explicit Lease(std::shared_ptr<ServedModel> served,
                 std::shared_ptr<VersionUse> use = nullptr,
                 std::optional<Duration> keep_alive = std::nullopt);
  [[nodiscard]] const ServedModel& model() const { return *hold_->served; }
  // As Engine::submit; what becomes of the request is counted as an outcome of the version.
  [[nodiscard]] Result<request::RequestId> submit(request::GenerateRequest& request,
                                                  std::shared_ptr<request::OutputSink> sink) const;
  void cancel(request::RequestId id) const { hold_->served->engine->cancel(id); }

 private:
  struct Hold {
    Hold(std::shared_ptr<ServedModel> served_in, std::shared_ptr<VersionUse> use_in)
        : served(std::move(served_in)), use(std::move(use_in)) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold();
    std::shared_ptr<ServedModel> served;
    std::shared_ptr<VersionUse> use;
  };
  std::shared_ptr<const Hold> hold_;
};

}  // namespace inferneo::manager
