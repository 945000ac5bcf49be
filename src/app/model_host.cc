#include "app/model_host.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/progress_line.h"
#include "base/str.h"
#include "manager/catalog_record.h"
#include "manager/model_files.h"
#include "manager/model_settings.h"
#include "runtimes/native/native_runtime.h"

namespace inferneo::app {

ModelHost::ModelHost(const Config& config) : config_(config) {}
ModelHost::~ModelHost() = default;

Result<std::unique_ptr<ModelHost>> ModelHost::create(const Config& config,
                                                     const HostServices& services) {
  std::unique_ptr<ModelHost> host(new ModelHost(config));
  device::CpuOptions options;
  options.thread_count = static_cast<int>(config.threads);
  options.isa = config.isa;
  if (config.pin_threads == "always") options.pinning = device::Pinning::kOn;
  if (config.pin_threads == "never") options.pinning = device::Pinning::kOff;
  ASSIGN_OR_RETURN(host->device_, device::CpuDevice::create(options));
  host->native_ = runtimes::native::make_runtime(*host->device_);
  std::vector<const runtime::Runtime*> runtimes = {host->native_.get()};
  host->manager_ = std::make_unique<manager::ModelManager>(
      std::move(runtimes), host->clock_, host->manager_options(services));
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
  options.context_tokens_max = config.context_tokens_max;
  options.packed_cache.enabled = config.packed_cache;
  options.packed_cache.directory = config.packed_cache_dir;
  options.packed_cache.bytes_max = static_cast<std::uint64_t>(config.packed_cache_bytes_max);
  return options;
}

manager::ModelOptions model_options(const Config& config) {
  manager::ModelOptions options;
  options.load = load_options(config);
  options.kv_bytes = static_cast<std::uint64_t>(config.kv_cache_mib) << 20;
  engine::EngineOptions& engine = options.engine;
  engine.running_sequence_count_max = static_cast<std::int32_t>(config.running_sequence_count_max);
  engine.step_token_count_max = static_cast<std::int32_t>(config.step_token_count_max);
  engine.waiting_request_count_max = static_cast<std::int32_t>(config.waiting_request_count_max);
  engine.context_tokens_max = static_cast<std::int32_t>(config.context_tokens_max);
  engine.prefix_cache = config.prefix_cache;
  engine.step_time_target = std::chrono::milliseconds(config.step_time_target_ms);
  return options;
}

// Models that were named for this start alone have no recorded files.
std::function<Status()> verification(const manager::ModelRecord& record, const Config& config) {
  if (record.files.empty()) return {};
  manager::DigestCheck check = manager::DigestCheck::kChanged;
  if (config.verify_files == "always") check = manager::DigestCheck::kAlways;
  if (config.verify_files == "never") check = manager::DigestCheck::kNever;
  return [record, check, root = config.model_root] {
    return manager::verify_model_files(record, root, check);
  };
}

manager::ManagerOptions ModelHost::manager_options(const HostServices& services) const {
  manager::ManagerOptions options;
  options.memory_budget_bytes = static_cast<std::uint64_t>(config_.memory_budget_mib) << 20;
  options.loaded_count_max = static_cast<std::int32_t>(config_.loaded_model_count_max);
  if (config_.eviction_order == "lru") options.eviction = manager::EvictionOrder::kLru;
  options.load_thread_count = static_cast<std::int32_t>(config_.load_threads);
  options.waiting_request_count_max =
      static_cast<std::int32_t>(config_.model_waiting_request_count_max);
  options.wait_timeout = std::chrono::seconds(config_.model_wait_timeout_s);
  if (config_.model_keep_alive_s >= 0) {
    options.keep_alive = std::chrono::seconds(config_.model_keep_alive_s);
  }
  options.sleep_when_idle = config_.sleep_when_idle;
  options.metrics = services.metrics;
  options.events = services.events;
  options.catalog = services.catalog;
  options.options_of = [this](const manager::ModelRecord& record) -> Result<manager::ModelOptions> {
    manager::ModelOptions result = model_options(manager::with_settings(config_, record.settings));
    result.path = record.path;
    result.verify = verification(record, config_);
    return result;
  };
  return options;
}

Result<manager::ModelOptions> ModelHost::options_of(const ModelSpec& spec) const {
  ASSIGN_OR_RETURN(const manager::ModelReference reference,
                   manager::parse_model_reference(spec.name));
  manager::ModelOptions options = model_options(config_);
  options.name = reference.name;
  options.version = reference.version;
  options.path = spec.path;
  const std::vector<std::string>& pinned = config_.pinned_models;
  options.pinned = std::find(pinned.begin(), pinned.end(), spec.name) != pinned.end() ||
                   std::find(pinned.begin(), pinned.end(), reference.name) != pinned.end();
  return options;
}

Status ModelHost::register_model(const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const manager::ModelOptions options, options_of(spec));
  return manager_->register_version(options);
}

Status ModelHost::add(const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const manager::ModelOptions options, options_of(spec));
  auto line = std::make_shared<ProgressLine>(str("loading ", spec.name));
  return manager_->add(
      options, [line](std::uint64_t done, std::uint64_t total) { line->update(done, total); });
}

}  // namespace inferneo::app
