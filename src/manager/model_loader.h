// One load, from a path to a model that serves: which runtime, how many bytes, weights, texts,
// first step, engine. Knows nothing of other models.
// Thread: any; calls take as long as the disk does. Ownership: borrows runtimes and clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "manager/manager.h"
#include "manager/memory.h"
#include "manager/served_model.h"
#include "runtime/runtime.h"

namespace inferneo::manager {

// What a version leaves behind when it sleeps or when only its engine goes. Null members are made
// anew.
struct KeptModel {
  std::shared_ptr<const runtime::Model> model;
  std::shared_ptr<const void> files;
  bool has_texts = false;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;
};

struct LoadJob {
  ModelOptions options;
  std::int64_t created_unix_seconds = 0;
  std::shared_ptr<observe::ModelMetrics> metrics;
  KeptModel kept;
  std::uint64_t kv_bytes = 0;
  std::uint64_t kv_bytes_max = 0;  // up to which the pool may be resized; 0: as kv_bytes
  std::uint64_t bytes_max = 0;     // weights, workspace and pool may not take more
  std::uint64_t beside_bytes = 0;  // as planned (VersionSizes)
  std::function<void(std::int32_t)> on_pool_resized = {};  // see EngineOptions
  runtime::Progress progress;
  std::function<void()> on_warming;  // the weights are in memory
};

class ModelLoader {
 public:
  ModelLoader(std::vector<const runtime::Runtime*> runtimes, const Clock& clock)
      : runtimes_(std::move(runtimes)), clock_(clock) {}

  // Bytes needed, known without reading a weight. Failures: not_found for a path that is not
  // there, unsupported, those of Runtime::plan, resource_exhausted for a pool of no use.
  [[nodiscard]] Result<VersionSizes> plan(const ModelOptions& options,
                                          std::uint64_t budget_bytes) const;
  // Failures: as plan and Runtime::load; corrupt_data when the first step gives logits that are
  // not finite; invalid_argument for a context beyond the model's.
  [[nodiscard]] Result<std::unique_ptr<ServedModel>> load(LoadJob job) const;

  // Of a loaded model: bytes of weights and workspace, of weights, of its pool.
  struct Bytes {
    std::uint64_t fixed = 0;
    std::uint64_t weights = 0;
    std::uint64_t kv = 0;
  };
  [[nodiscard]] static Bytes bytes_of(const ServedModel& served, const ModelOptions& options);

 private:
  [[nodiscard]] Result<const runtime::Runtime*> runtime_for(const std::string& path) const;

  const std::vector<const runtime::Runtime*> runtimes_;
  const Clock& clock_;
};

}  // namespace inferneo::manager
