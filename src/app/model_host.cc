#include "app/model_host.h"

#include <memory>
#include <utility>

#include "app/progress_line.h"
#include "base/str.h"
#include "runtimes/native/native_runtime.h"

namespace inferneo::app {

ModelHost::ModelHost(const Config& config) : config_(config) {}
ModelHost::~ModelHost() = default;

Result<std::unique_ptr<ModelHost>> ModelHost::create(const Config& config) {
  std::unique_ptr<ModelHost> host(new ModelHost(config));
  device::CpuOptions options;
  options.thread_count = static_cast<int>(config.threads);
  options.isa = config.isa;
  if (config.pin_threads == "always") options.pinning = device::Pinning::kOn;
  if (config.pin_threads == "never") options.pinning = device::Pinning::kOff;
  ASSIGN_OR_RETURN(host->device_, device::CpuDevice::create(options));
  host->native_ = runtimes::native::make_runtime(*host->device_);
  std::vector<const runtime::Runtime*> runtimes = {host->native_.get()};
  host->manager_ = std::make_unique<manager::ModelManager>(std::move(runtimes), host->clock_);
  return host;
}

runtime::LoadOptions load_options(const Config& config) {
  runtime::LoadOptions options;
  if (config.dtype == "f32") options.arithmetic = runtime::Arithmetic::kF32;
  if (config.dtype == "bf16") options.arithmetic = runtime::Arithmetic::kBf16;
  if (config.kv_cache_dtype == "f32") options.kv_dtype = tensor::DType::kF32;
  if (config.kv_cache_dtype == "f16") options.kv_dtype = tensor::DType::kF16;
  if (config.kv_cache_dtype == "bf16") options.kv_dtype = tensor::DType::kBf16;
  if (config.kv_cache_dtype == "int8") options.kv_dtype = tensor::DType::kI8;
  options.packed_cache.enabled = config.packed_cache;
  options.packed_cache.directory = config.packed_cache_dir;
  options.packed_cache.bytes_max = static_cast<std::uint64_t>(config.packed_cache_bytes_max);
  return options;
}

Status ModelHost::add(const ModelSpec& spec) {
  manager::ModelOptions options;
  options.name = spec.name;
  options.path = spec.path;
  options.load = load_options(config_);
  options.kv_bytes = static_cast<std::uint64_t>(config_.kv_cache_mib) << 20;
  engine::EngineOptions& engine = options.engine;
  engine.running_sequence_count_max = static_cast<std::int32_t>(config_.running_sequence_count_max);
  engine.step_token_count_max = static_cast<std::int32_t>(config_.step_token_count_max);
  engine.waiting_request_count_max = static_cast<std::int32_t>(config_.waiting_request_count_max);
  engine.context_tokens_max = static_cast<std::int32_t>(config_.context_tokens_max);
  engine.prefix_cache = config_.prefix_cache;
  engine.step_time_target = std::chrono::milliseconds(config_.step_time_target_ms);

  auto line = std::make_shared<ProgressLine>(str("loading ", spec.name));
  return manager_->add(
      options, [line](std::uint64_t done, std::uint64_t total) { line->update(done, total); });
}

}  // namespace inferneo::app
