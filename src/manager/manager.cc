#include "manager/manager.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "manager/memory.h"

namespace inferneo::manager {
namespace {

constexpr std::size_t kModelNameSizeMax = 128;
// How long a request's last owner may take to let go of its lease after its engine has ended it.
constexpr std::chrono::seconds kLeaseReturnTimeout{5};

using ServedList = std::vector<std::shared_ptr<ServedModel>>;

std::string name_of_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path full = std::filesystem::weakly_canonical(path, error);
  if (error) full = path;
  return full.has_filename() ? full.filename().string() : full.parent_path().filename().string();
}

Status check_name(std::string_view name) {
  const bool printable_name = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (name.empty() || name.size() > kModelNameSizeMax || !printable_name || !utf8::is_valid(name)) {
    return invalid_argument(str("model name '",
                                printable(name),
                                "' must be 1 to ",
                                kModelNameSizeMax,
                                " bytes of printable text"))
        .with_hint("give a name with NAME=PATH");
  }
  return ok_status();
}

std::int64_t unix_seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void publish_sizes(observe::ModelMetrics& metrics,
                   const runtime::MemoryPlan& memory,
                   std::int32_t block_count) {
  using Cache = observe::ModelMetrics::cache_config_label;
  metrics.weight_bytes.set(static_cast<double>(memory.weight_bytes));
  metrics.kv_bytes.set(static_cast<double>(memory.kv_block_bytes) * block_count);
  metrics.kv_blocks.set(block_count);
  metrics.cache_config[static_cast<std::size_t>(Cache::block_size)].set(limits::kKvBlockSizeTokens);
  metrics.cache_config[static_cast<std::size_t>(Cache::num_gpu_blocks)].set(block_count);
}

// A model without a tokenizer can still be served by token ids alone.
Status load_tokenizer(ServedModel& served, const text::ModelText& text) {
  Result<std::unique_ptr<text::Tokenizer>> tokenizer = text::Tokenizer::load(text);
  if (tokenizer.has_value()) {
    served.tokenizer = *std::move(tokenizer);
    return ok_status();
  }
  if (tokenizer.error().code() != StatusCode::kNotFound) {
    return std::move(tokenizer).error().with_context("tokenizer");
  }
  log::warning(
      "manager",
      str("model '", served.name, "' has no tokenizer; only prompts of token ids can be served"));
  return ok_status();
}

// A model without a template still completes text; a broken template is a broken model.
Status load_template(ServedModel& served, const text::ModelText& text) {
  Result<std::unique_ptr<text::ChatTemplate>> compiled = text::load_chat_template(text);
  if (compiled.has_value()) {
    served.chat_template = *std::move(compiled);
    return ok_status();
  }
  if (compiled.error().code() != StatusCode::kNotFound) {
    return std::move(compiled).error().with_context("chat template");
  }
  log::warning("manager",
               str("model '",
                   served.name,
                   "' has no chat template; /v1/chat/completions is refused for it"));
  return ok_status();
}

}  // namespace

struct ModelManager::Impl {
  Impl(std::vector<const runtime::Runtime*> runtime_list, const Clock& process_clock)
      : runtimes(std::move(runtime_list)), clock(process_clock) {}

  // Why a lock around one pointer copy: libstdc++ 12's atomic<shared_ptr> unlocks its load with
  // relaxed order, which is a data race (ThreadSanitizer reports it).
  std::shared_ptr<const ServedList> snapshot() const {
    const std::lock_guard lock(list_mutex);
    return list;
  }
  bool is_taken(std::string_view name) const {
    const auto current = snapshot();
    return std::any_of(
        current->begin(), current->end(), [&](const auto& served) { return served->name == name; });
  }
  Status publish(std::shared_ptr<ServedModel> served);
  Result<const runtime::Runtime*> runtime_for(const std::string& path) const;
  Result<std::shared_ptr<ServedModel>> load(const ModelOptions& options,
                                            std::string name,
                                            runtime::Progress progress) const;

  const std::vector<const runtime::Runtime*> runtimes;
  const Clock& clock;
  std::mutex add_mutex;  // one load at a time, so that memory is not promised twice
  mutable std::mutex list_mutex;
  std::shared_ptr<const ServedList> list = std::make_shared<const ServedList>();
  std::atomic<bool> shutdown_announced{false};
  std::atomic<bool> draining{false};
};

Status ModelManager::Impl::publish(std::shared_ptr<ServedModel> served) {
  const std::lock_guard lock(list_mutex);
  for (const auto& other : *list) {
    if (other->name == served->name) {
      return already_exists(str("a model named '", served->name, "' is already served"))
          .with_hint("give this one another name with NAME=PATH");
    }
  }
  auto next = std::make_shared<ServedList>(*list);
  next->push_back(std::move(served));
  list = std::move(next);
  return ok_status();
}

Result<const runtime::Runtime*> ModelManager::Impl::runtime_for(const std::string& path) const {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return not_found(str("model path '", printable(path, 256), "' does not exist"))
        .with_hint("give a .gguf file, or the directory that holds config.json and the weights");
  }
  const runtime::Runtime* best = nullptr;
  int best_score = 0;
  for (const runtime::Runtime* runtime : runtimes) {
    const int score = runtime->probe(path);
    if (score > best_score) {
      best = runtime;
      best_score = score;
    }
  }
  if (best == nullptr) {
    std::string names;
    for (const runtime::Runtime* runtime : runtimes) {
      names += str(names.empty() ? "" : ", ", runtime->name());
    }
    return unsupported(str("no runtime can load '", printable(path, 256), "' (tried: ", names, ")"))
        .with_hint(
            "a model is a .gguf file, or a Hugging Face directory with config.json and "
            "*.safetensors files");
  }
  return best;
}

Result<std::shared_ptr<ServedModel>> ModelManager::Impl::load(const ModelOptions& options,
                                                              std::string name,
                                                              runtime::Progress progress) const {
  ASSIGN_OR_RETURN(const runtime::Runtime* runtime, runtime_for(options.path));
  ASSIGN_OR_RETURN(const runtime::MemoryPlan plan, runtime->plan(options.path, options.load));
  engine::EngineOptions engine_options = options.engine;
  KvPoolRequest pool_request{
      .available_bytes = available_memory_bytes(),
      .kv_bytes = options.kv_bytes,
      .context_tokens_max = engine_options.context_tokens_max,
      .sequence_count_max = engine_options.running_sequence_count_max,
      .step_token_count_max = engine_options.step_token_count_max,
  };
  RETURN_IF_ERROR(check_memory(plan, pool_request));

  auto served = std::make_shared<ServedModel>();
  served->name = std::move(name);
  served->created_unix_seconds = unix_seconds_now();
  ASSIGN_OR_RETURN(const text::ModelText text, runtime->text(options.path));
  RETURN_IF_ERROR(load_tokenizer(*served, text));
  RETURN_IF_ERROR(load_template(*served, text));
  ASSIGN_OR_RETURN(served->model, runtime->load(options.path, options.load, std::move(progress)));

  const runtime::ModelInfo& info = served->model->info();
  const std::int32_t model_context = info.context_tokens_max;
  if (pool_request.context_tokens_max > model_context) {
    return invalid_argument(str("context of ",
                                pool_request.context_tokens_max,
                                " tokens asked for, but the model was made for ",
                                model_context));
  }
  if (pool_request.context_tokens_max <= 0) pool_request.context_tokens_max = model_context;
  ASSIGN_OR_RETURN(const KvPool pool, size_kv_pool(info.memory, pool_request));
  if (pool.context_tokens_max < pool_request.context_tokens_max) {
    log::warning("manager",
                 str("model '",
                     served->name,
                     "': the KV cache holds ",
                     pool.context_tokens_max,
                     " of ",
                     pool_request.context_tokens_max,
                     " context tokens; longer requests are refused"));
  }
  engine_options.name = served->name;
  engine_options.kv_block_count = pool.block_count;
  engine_options.context_tokens_max = pool.context_tokens_max;
  served->context_tokens_max = pool.context_tokens_max;
  served->metrics = std::make_unique<observe::ModelMetrics>();
  publish_sizes(*served->metrics, info.memory, pool.block_count);
  ASSIGN_OR_RETURN(served->engine,
                   engine::Engine::create(
                       served->model, served->tokenizer, engine_options, clock, *served->metrics));
  return served;
}

ModelManager::ModelManager(std::vector<const runtime::Runtime*> runtimes, const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(runtimes), clock)) {}

// Why it waits: an engine must not be destroyed by one of its own threads, which would happen if
// the last lease were returned by a request that ends there.
ModelManager::~ModelManager() {
  begin_drain();
  drain(Duration::zero());
  const ServedList served = *impl_->snapshot();
  impl_->list = nullptr;
  const auto deadline = std::chrono::steady_clock::now() + kLeaseReturnTimeout;
  for (const auto& model : served) {
    while (model.use_count() > 1 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

Status ModelManager::add(const ModelOptions& options, runtime::Progress progress) {
  const std::lock_guard lock(impl_->add_mutex);
  std::string name = options.name.empty() ? name_of_path(options.path) : options.name;
  RETURN_IF_ERROR(check_name(name));
  if (impl_->is_taken(name)) {
    return already_exists(str("a model named '", name, "' is already served"))
        .with_hint("give this one another name with NAME=PATH");
  }
  const std::string label = name;
  Result<std::shared_ptr<ServedModel>> served =
      impl_->load(options, std::move(name), std::move(progress));
  if (!served.has_value()) {
    return std::move(served).error().with_context(str("model '", label, "'"));
  }
  return impl_->publish(*std::move(served));
}

Status ModelManager::add(std::shared_ptr<ServedModel> served) {
  CHECK(served != nullptr && served->model != nullptr && served->engine != nullptr &&
        served->metrics != nullptr);
  RETURN_IF_ERROR(check_name(served->name));
  return impl_->publish(std::move(served));
}

Result<Lease> ModelManager::acquire(std::string_view name) const {
  const auto list = impl_->snapshot();
  if (name.empty() && list->size() == 1) return Lease(list->front());
  for (const auto& served : *list) {
    if (served->name == name) return Lease(served);
  }
  if (name.empty()) {
    return invalid_argument("the model must be named")
        .with_where("model")
        .with_hint("GET /v1/models lists the names");
  }
  std::vector<std::string_view> names;
  for (const auto& served : *list) names.push_back(served->name);
  const std::string_view near = nearest_name(name, names);
  return not_found(str("the model '", printable(name), "' does not exist"))
      .with_where("model")
      .with_hint(near.empty() ? "GET /v1/models lists the names"
                              : str("did you mean '", near, "'?"));
}

std::vector<std::shared_ptr<const ServedModel>> ModelManager::list() const {
  const auto list = impl_->snapshot();
  return {list->begin(), list->end()};
}

ModelManager::Health ModelManager::health() const {
  Health health;
  health.ready = true;
  health.live = true;
  const auto list = impl_->snapshot();
  if (impl_->draining.load(std::memory_order_acquire)) {
    health.ready = false;
    health.reason = "draining";
  } else if (impl_->shutdown_announced.load(std::memory_order_acquire)) {
    health.ready = false;
    health.reason = "shutting down";
  } else if (list->empty()) {
    health.ready = false;
    health.reason = "no model is loaded";
  }
  for (const auto& served : *list) {
    const engine::EngineHealth engine = served->engine->health();
    if (engine.draining && health.ready) {
      health.ready = false;
      health.reason = str("model '", served->name, "' is draining");
    }
    if (!engine.work_pending) continue;
    health.last_progress_age = std::max(health.last_progress_age, engine.last_progress_age);
    if (engine.last_progress_age > limits::kEngineStallReadyTimeout && health.ready) {
      health.ready = false;
      health.reason =
          str("model '",
              served->name,
              "' has work but finished no step for ",
              std::chrono::duration_cast<std::chrono::seconds>(engine.last_progress_age).count(),
              " s");
    }
    if (engine.last_progress_age > limits::kEngineStallLiveTimeout) health.live = false;
  }
  return health;
}

void ModelManager::announce_shutdown() {
  impl_->shutdown_announced.store(true, std::memory_order_release);
}

void ModelManager::begin_drain() {
  impl_->draining.store(true, std::memory_order_release);
  for (const auto& served : *impl_->snapshot()) served->engine->begin_drain();
}

bool ModelManager::drain(Duration timeout) {
  begin_drain();
  const TimePoint deadline = impl_->clock.now() + timeout;
  bool complete = true;
  for (const auto& served : *impl_->snapshot()) {
    const Duration left = std::max(deadline - impl_->clock.now(), Duration::zero());
    complete = served->engine->drain(left) && complete;
  }
  return complete;
}

}  // namespace inferneo::manager
