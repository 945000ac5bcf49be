#include "manager/model_loader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/str.h"

namespace inferneo::manager {
namespace {

KvPoolRequest pool_request(const ModelOptions& options, std::uint64_t available_bytes) {
  return {.available_bytes = available_bytes,
          .kv_bytes = options.kv_bytes,
          .context_tokens_max = options.engine.context_tokens_max,
          .sequence_count_max = options.engine.running_sequence_count_max,
          .step_token_count_max = options.engine.step_token_count_max};
}

void publish_sizes(observe::ModelMetrics& metrics,
                   const runtime::MemoryPlan& memory,
                   const KvPool& pool) {
  using Cache = observe::ModelMetrics::cache_config_label;
  metrics.weight_bytes.set(static_cast<double>(memory.weight_bytes));
  // As the engine counts them: blocks that cost memory.
  const std::int32_t block_count =
      memory.kv_block_bytes > 0 ? pool.block_count : pool.window_block_count;
  metrics.kv_bytes.set(static_cast<double>(memory.kv_block_bytes) * pool.block_count +
                       static_cast<double>(memory.kv_window_block_bytes) * pool.window_block_count);
  metrics.kv_blocks.set(block_count);
  metrics.cache_config[static_cast<std::size_t>(Cache::block_size)].set(limits::kKvBlockSizeTokens);
  metrics.cache_config[static_cast<std::size_t>(Cache::num_gpu_blocks)].set(block_count);
}

// Blocks of the pool's address space.
std::int32_t block_capacity(const runtime::MemoryPlan& memory, std::uint64_t kv_bytes_max) {
  // Address space beyond the machine's memory is refused (AnonymousMemory).
  const std::uint64_t bytes = std::min(kv_bytes_max, physical_memory_bytes());
  return static_cast<std::int32_t>(
      std::min<std::uint64_t>(bytes / std::max<std::uint64_t>(memory.kv_block_bytes, 1),
                              std::numeric_limits<std::int32_t>::max()));
}

std::uint64_t text_size_on_disk(const text::ModelText& text) {
  std::uint64_t size = text.chat_template ? text.chat_template->size() : 0;
  if (text.vocabulary) {
    // Each with its length before it.
    constexpr std::uint64_t kLengthSize = 8;
    for (const std::string_view token : text.vocabulary->tokens) size += token.size() + kLengthSize;
    for (const std::string_view merge : text.vocabulary->merges) size += merge.size() + kLengthSize;
  }
  if (text.directory.empty()) return size;
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    std::error_code error;
    const std::uint64_t found =
        std::filesystem::file_size(std::filesystem::path(text.directory) / name, error);
    if (!error) return size + found;
  }
  return size;
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

// One step of one token on a runner of its own, which reads every weight: the first request finds
// them in memory, and a model whose weights are broken never serves one.
Status warm_up(const runtime::Model& model) {
  const runtime::RunnerOptions options{.kv_block_count = 1,
                                       .step_token_count_max = 1,
                                       .sequence_count_max = 1,
                                       .logit_row_count_max = 1};
  ASSIGN_OR_RETURN(const auto runner, model.make_runner(options));
  const std::array<TokenId, 1> tokens{model.info().bos_token_id.value_or(0)};
  const std::array<kv::BlockId, 1> blocks{0};
  const std::array<runtime::StepSequence, 1> sequences{runtime::StepSequence{
      .token_begin = 0, .token_count = 1, .context_before = 0, .blocks = blocks}};
  const std::array<std::int32_t, 1> rows{0};
  const runtime::StepPlan plan{.token_ids = tokens, .sequences = sequences, .logit_rows = rows};
  const runtime::StepResult result = runner->wait(runner->submit(plan));
  const bool finite = std::all_of(
      result.logits.begin(), result.logits.end(), [](float value) { return std::isfinite(value); });
  if (finite) return ok_status();
  return corrupt_data("the model's first step gave logits that are not finite")
      .with_hint("the weights are damaged, or need dtype f32");
}

Status check_context(const ModelOptions& options, const runtime::ModelInfo& info) {
  const std::int32_t wanted = options.engine.context_tokens_max;
  if (wanted <= info.context_tokens_max) return ok_status();
  return invalid_argument(str("context of ",
                              wanted,
                              " tokens asked for, but the model was made for ",
                              info.context_tokens_max));
}

}  // namespace

Result<const runtime::Runtime*> ModelLoader::runtime_for(const std::string& path) const {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return not_found(str("model path '", printable(path, 256), "' does not exist"))
        .with_hint("give a .gguf file, or the directory that holds config.json and the weights");
  }
  const runtime::Runtime* best = nullptr;
  int best_score = 0;
  for (const runtime::Runtime* runtime : runtimes_) {
    const int score = runtime->probe(path);
    if (score > best_score) {
      best = runtime;
      best_score = score;
    }
  }
  if (best == nullptr) {
    std::string names;
    for (const runtime::Runtime* runtime : runtimes_) {
      names += str(names.empty() ? "" : ", ", runtime->name());
    }
    return unsupported(str("no runtime can load '", printable(path, 256), "' (tried: ", names, ")"))
        .with_hint(
            "a model is a .gguf file, or a Hugging Face directory with config.json and "
            "*.safetensors files");
  }
  return best;
}

Result<VersionSizes> ModelLoader::plan(const ModelOptions& options,
                                       std::uint64_t budget_bytes) const {
  if (options.verify) RETURN_IF_ERROR(options.verify());
  ASSIGN_OR_RETURN(const runtime::Runtime* runtime, runtime_for(options.path));
  ASSIGN_OR_RETURN(const runtime::MemoryPlan plan, runtime->plan(options.path, options.load));
  ASSIGN_OR_RETURN(const text::ModelText text, runtime->text(options.path));
  return size_version(
      plan, pool_request(options, budget_bytes), text_bytes(text_size_on_disk(text)));
}

Result<std::unique_ptr<ServedModel>> ModelLoader::load(LoadJob job) const {
  auto served = std::make_unique<ServedModel>();
  served->name = job.options.name;
  served->version = job.options.version;
  served->created_unix_seconds = job.created_unix_seconds;
  served->metrics = std::move(job.metrics);
  const bool is_new = job.kept.model == nullptr;
  if (is_new || !job.kept.has_texts) {
    ASSIGN_OR_RETURN(const runtime::Runtime* runtime, runtime_for(job.options.path));
    if (job.kept.has_texts) {
      served->tokenizer = std::move(job.kept.tokenizer);
      served->chat_template = std::move(job.kept.chat_template);
    } else {
      ASSIGN_OR_RETURN(const text::ModelText text, runtime->text(job.options.path));
      RETURN_IF_ERROR(load_tokenizer(*served, text));
      RETURN_IF_ERROR(load_template(*served, text));
    }
    ASSIGN_OR_RETURN(served->model,
                     runtime->load(job.options.path, job.options.load, std::move(job.progress)));
  } else {
    served->tokenizer = std::move(job.kept.tokenizer);
    served->chat_template = std::move(job.kept.chat_template);
    served->model = std::move(job.kept.model);
  }
  if (job.on_warming) job.on_warming();
  if (is_new) RETURN_IF_ERROR(warm_up(*served->model));

  const runtime::ModelInfo& info = served->model->info();
  RETURN_IF_ERROR(check_context(job.options, info));
  KvPoolRequest request = pool_request(job.options, job.bytes_max);
  request.kv_bytes = job.kv_bytes;
  if (request.context_tokens_max <= 0) request.context_tokens_max = info.context_tokens_max;
  ASSIGN_OR_RETURN(const KvPool pool, size_kv_pool(info.memory, request));
  if (pool.context_tokens_max < request.context_tokens_max) {
    log::warning("manager",
                 str("model '",
                     served->name,
                     "': the KV cache holds ",
                     pool.context_tokens_max,
                     " of ",
                     request.context_tokens_max,
                     " context tokens; longer requests are refused"));
  }
  engine::EngineOptions engine_options = job.options.engine;
  engine_options.name = served->name;
  engine_options.kv_block_count = pool.block_count;
  engine_options.kv_window_block_count = pool.window_block_count;
  if (info.memory.kv_window_block_bytes == 0) {
    engine_options.kv_block_count_max =
        std::max(pool.block_count, block_capacity(info.memory, job.kv_bytes_max));
  }
  engine_options.on_pool_resized = std::move(job.on_pool_resized);
  served->beside_bytes = job.beside_bytes;
  engine_options.context_tokens_max = pool.context_tokens_max;
  served->context_tokens_max = pool.context_tokens_max;
  publish_sizes(*served->metrics, info.memory, pool);
  ASSIGN_OR_RETURN(served->engine,
                   engine::Engine::create(
                       served->model, served->tokenizer, engine_options, clock_, *served->metrics));
  return served;
}

ModelLoader::Bytes ModelLoader::bytes_of(const ServedModel& served, const ModelOptions& options) {
  const runtime::MemoryPlan& memory = served.model->info().memory;
  Bytes bytes;
  bytes.weights = memory.weight_bytes;
  bytes.fixed =
      memory.weight_bytes + workspace_bytes(memory, pool_request(options, 0)) + served.beside_bytes;
  bytes.kv = static_cast<std::uint64_t>(served.metrics->kv_bytes.value());
  return bytes;
}

}  // namespace inferneo::manager
