// The models of the process: loads them, gives them names, and lends them to requests. The gateway
// sees only this header and the leases it hands out.
// Thread: any, except where a method says otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "observe/metrics.h"
#include "request/generate_request.h"
#include "request/output.h"
#include "runtime/runtime.h"
#include "text/chat_template.h"
#include "text/grammar/constraint_compiler.h"
#include "text/tokenizer.h"

namespace inferneo::manager {

// A loaded, served model. Immutable except for the engine's own state.
struct ServedModel {
  std::string name;
  std::int64_t created_unix_seconds = 0;
  std::shared_ptr<const runtime::Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null when the model has none
  text::grammar::ModelConstraints constraints;              // structured output; needs a tokenizer
  std::int32_t context_tokens_max = 0;                      // prompt plus output, as configured
  std::unique_ptr<observe::ModelMetrics> metrics;
  std::unique_ptr<engine::Engine> engine;  // declared last: stops before what it uses goes away
};

// Pins a model for the life of a request.
class Lease {
 public:
  explicit Lease(std::shared_ptr<ServedModel> served) : served_(std::move(served)) {}
  [[nodiscard]] const ServedModel& model() const { return *served_; }
  [[nodiscard]] Result<request::RequestId> submit(request::GenerateRequest& request,
                                                  std::shared_ptr<request::OutputSink> sink) const {
    return served_->engine->submit(request, std::move(sink));
  }
  void cancel(request::RequestId id) const { served_->engine->cancel(id); }

 private:
  std::shared_ptr<ServedModel> served_;
};

struct ModelOptions {
  std::string name;  // empty: the last component of the path
  std::string path;
  runtime::LoadOptions load;
  std::uint64_t kv_bytes = 0;    // size of the KV pool; 0 means a share of free memory
  engine::EngineOptions engine;  // kv_block_count and name are filled in by the manager
};

class ModelManager {
 public:
  // `runtimes` in order of preference; they and `clock` must outlive the manager.
  ModelManager(std::vector<const runtime::Runtime*> runtimes, const Clock& clock);
  ~ModelManager();
  ModelManager(const ModelManager&) = delete;
  ModelManager& operator=(const ModelManager&) = delete;

  // Loads and starts serving. Failures: as Runtime::load, already_exists for a second model of the
  // same name, resource_exhausted with the bytes needed and available.
  Status add(const ModelOptions& options, runtime::Progress progress = {});
  // Serves a model that is already in memory (tests, embedding).
  Status add(std::shared_ptr<ServedModel> served);

  // By name; with exactly one model served, the empty name finds it. Failures: not_found.
  Result<Lease> acquire(std::string_view name) const;
  // Names and models, in order of addition.
  [[nodiscard]] std::vector<std::shared_ptr<const ServedModel>> list() const;

  struct Health {
    bool ready = false;
    bool live = false;
    std::string reason;            // empty when ready
    Duration last_progress_age{};  // oldest over all engines with pending work
  };
  [[nodiscard]] Health health() const;

  // Readiness goes off; everything else goes on, so that those who send requests can look
  // elsewhere.
  void announce_shutdown();
  // Refuses new requests; blocks until all have ended or the timeout has passed.
  bool drain(Duration timeout);
  void begin_drain();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::manager
