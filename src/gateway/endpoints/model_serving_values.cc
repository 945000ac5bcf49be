// How versions of models are shown. Names as the API's first version had them; what it promised and
// this server does not have (the dtesn_ members) says so with false and empty objects.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "manager/catalog_json.h"
#include "manager/rollout_controller.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::RolloutPhase;
using manager::RolloutRecord;
using manager::VersionInfo;
using manager::VersionState;
using text::Value;

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double seconds(std::int64_t unix_ms) { return static_cast<double>(unix_ms) / 1000.0; }

bool is_in_memory(const VersionInfo& version) {
  return version.state == VersionState::kReady || version.state == VersionState::kDraining ||
         version.state == VersionState::kSleeping;
}

Value moving_balance(const RolloutRecord& record) {
  Value::Dict dict;
  dict.emplace_back("current_version", record.stable);
  dict.emplace_back("new_version", record.candidate);
  dict.emplace_back("new_version_traffic", std::int64_t{record.candidate_percent});
  dict.emplace_back("old_version", record.stable);
  dict.emplace_back("old_version_traffic", std::int64_t{100 - record.candidate_percent});
  dict.emplace_back("shift_stage", std::int64_t{std::max(record.stage + 1, 0)});
  dict.emplace_back("total_stages", number(record.policy.stages_percent.size()));
  dict.emplace_back("shift_time", seconds(record.updated_unix_ms));
  dict.emplace_back("phase", manager::phase_name(record.phase));
  dict.emplace_back("paused", record.paused);
  dict.emplace_back("rollout_id", record.id);
  dict.emplace_back("last_update", seconds(record.updated_unix_ms));
  return dict;
}

Value settled_balance(const std::string& live, const RolloutRecord* last) {
  Value::Dict dict;
  dict.emplace_back("current_version", or_null(live));
  dict.emplace_back("traffic_percentage", 100);
  if (last != nullptr && last->phase == RolloutPhase::kCompleted) {
    dict.emplace_back("previous_version", last->stable);
    dict.emplace_back("cleanup_completed_at", seconds(last->updated_unix_ms));
  } else if (last != nullptr) {
    dict.emplace_back("failed_version", last->candidate);
    dict.emplace_back("rollback_completed_at", seconds(last->updated_unix_ms));
    dict.emplace_back("rollback_reason", last->reason);
  }
  dict.emplace_back("last_update",
                    last == nullptr ? Value() : Value(seconds(last->updated_unix_ms)));
  return dict;
}

}  // namespace

Value memory_value(const VersionInfo& version) {
  Value::Dict dict;
  dict.emplace_back("model_memory_gb", gigabytes(version.weight_bytes));
  dict.emplace_back("cache_memory_gb", gigabytes(version.kv_bytes));
  dict.emplace_back("workspace_memory_gb", gigabytes(version.workspace_bytes));
  dict.emplace_back("total_memory_gb", gigabytes(version.reserved_bytes));
  dict.emplace_back("planned_bytes", number(version.planned_bytes));
  dict.emplace_back("reserved_bytes", number(version.reserved_bytes));
  dict.emplace_back("measured_bytes", number(version.measured_bytes));
  dict.emplace_back("allocation_strategy", "measured");
  return dict;
}

std::string_view health_word(const manager::ModelAdmin& admin, const VersionInfo& version) {
  switch (version.state) {
    case VersionState::kReady:
    case VersionState::kSleeping:
      break;
    case VersionState::kFailed:
      return "error";
    case VersionState::kLoading:
    case VersionState::kWarming:
      return "loading";
    case VersionState::kRegistered:
    case VersionState::kDraining:
    case VersionState::kUnloaded:
      return "unloaded";
  }
  if (admin.rollouts() == nullptr) return "healthy";
  const auto last = admin.rollouts()->status(version.name);
  const bool rolled_back = last.has_value() && last->record.candidate == version.version &&
                           last->record.phase == RolloutPhase::kRolledBack;
  return rolled_back ? "rolled_back" : "healthy";
}

Value health_value(const manager::ModelAdmin& admin, const VersionInfo& version) {
  Value::Dict dict;
  dict.emplace_back("status", health_word(admin, version));
  dict.emplace_back("state", manager::version_state_name(version.state));
  dict.emplace_back("reason", or_null(version.reason));
  dict.emplace_back("last_check", unix_now());
  dict.emplace_back("load_time_ms", version.load_seconds * 1000.0);
  if (version.model != nullptr) {
    const engine::EngineHealth engine = version.model->engine->health();
    dict.emplace_back("running_requests", std::int64_t{engine.running});
    dict.emplace_back("waiting_requests", std::int64_t{engine.waiting});
    dict.emplace_back("last_progress_age_seconds", to_seconds(engine.last_progress_age));
  }
  return dict;
}

Value serving_value(const VersionInfo& version) {
  Value::Dict dict;
  dict.emplace_back("zero_downtime_capable", true);
  dict.emplace_back("resource_aware", true);
  dict.emplace_back("dtesn_integrated", false);
  dict.emplace_back("supports_streaming", true);
  dict.emplace_back("supports_batching", true);
  dict.emplace_back("max_context_length",
                    version.context_tokens_max == 0 ? Value() : number(version.context_tokens_max));
  return dict;
}

Value engine_value(const VersionInfo& version) {
  Value::Dict dict;
  dict.emplace_back("available", version.model != nullptr);
  Value::Dict config;
  if (version.model != nullptr) {
    const runtime::ModelInfo& info = version.model->model->info();
    config.emplace_back("architecture", info.architecture);
    config.emplace_back("layer_count", std::int64_t{info.layer_count});
    config.emplace_back("parameter_count", number(info.parameter_count));
    config.emplace_back("vocab_size", std::int64_t{info.vocab_size});
    config.emplace_back("weight_dtype", tensor::dtype_name(info.weight_dtype));
    config.emplace_back("kv_dtype", tensor::dtype_name(info.kv_dtype));
    config.emplace_back("isa", info.isa);
  }
  dict.emplace_back("model_config", std::move(config));
  dict.emplace_back(
      "optimized",
      version.model != nullptr && version.model->model->info().memory.weight_packed_bytes > 0);
  return dict;
}

Value balance_value(const manager::ModelAdmin& admin, const std::string& name) {
  const std::string live(admin.catalog().snapshot()->live_version(name));
  if (admin.rollouts() == nullptr) return settled_balance(live, nullptr);
  const auto last = admin.rollouts()->status(name);
  if (!last.has_value()) return settled_balance(live, nullptr);
  if (!manager::is_terminal(last->record.phase)) return moving_balance(last->record);
  return settled_balance(live, &last->record);
}

Value allocation_value(const manager::ModelAdmin& admin, const VersionInfo& version) {
  Value::Dict dict;
  dict.emplace_back("model_id", version.name);
  dict.emplace_back("version", version.version);
  dict.emplace_back("memory_usage", memory_value(version));
  dict.emplace_back("dtesn_optimizations", Value::Dict());
  dict.emplace_back("engine_integration", engine_value(version));
  dict.emplace_back("serving_config", serving_value(version));
  dict.emplace_back("health_status", health_value(admin, version));
  dict.emplace_back("load_balancer_config", balance_value(admin, version.name));
  dict.emplace_back("loaded_at",
                    version.model == nullptr ? Value() : number(version.loaded_unix_seconds));
  const auto record = admin.catalog().snapshot()->find(version.name, version.version);
  dict.emplace_back("last_updated",
                    record != nullptr ? Value(seconds(record->updated_unix_ms))
                                      : number(version.created_unix_seconds));
  dict.emplace_back("live", version.live);
  dict.emplace_back("pinned", version.pinned);
  dict.emplace_back("registration", record == nullptr ? Value() : manager::model_value(*record));
  return dict;
}

Value performance_value(const Services& services) {
  const manager::ModelManager::Counts counts = services.manager->counts();
  const manager::ModelAdmin::Counts admin = services.admin->counts();
  std::uint64_t updates = admin.updates_ok;
  std::uint64_t rollbacks = 0;
  std::uint64_t failed_updates = admin.updates_failed;
  if (services.admin->rollouts() != nullptr) {
    for (const manager::RolloutStatus& rollout : services.admin->rollouts()->list()) {
      if (!manager::is_terminal(rollout.record.phase)) continue;
      const bool completed = rollout.record.phase == RolloutPhase::kCompleted;
      updates += completed ? 1 : 0;
      failed_updates += completed ? 0 : 1;
      rollbacks += rollout.record.phase == RolloutPhase::kRolledBack ? 1 : 0;
    }
  }
  const std::uint64_t loads = counts.loads_ok + counts.loads_failed;
  const std::uint64_t asked = counts.requests + admin.load_hits;
  const std::uint64_t hits = asked - std::min(asked, counts.requests_waited);
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  std::uint64_t in_memory = 0;
  std::uint64_t healthy = 0;
  for (const VersionInfo& version : services.manager->versions()) {
    in_memory += is_in_memory(version) ? 1 : 0;
    healthy += health_word(*services.admin, version) == "healthy" ? 1 : 0;
  }
  Value::Dict dict;
  dict.emplace_back("total_loads", number(loads));
  dict.emplace_back("successful_loads", number(counts.loads_ok));
  dict.emplace_back("failed_loads", number(counts.loads_failed));
  dict.emplace_back("zero_downtime_updates", number(updates));
  dict.emplace_back("failed_updates", number(failed_updates));
  dict.emplace_back("rollbacks", number(rollbacks));
  dict.emplace_back("update_success_rate", share(updates, updates + failed_updates));
  dict.emplace_back("average_load_time",
                    counts.loads_ok == 0 ? 0.0
                                         : counts.load_seconds_total * 1000.0 /
                                               static_cast<double>(counts.loads_ok));
  dict.emplace_back("cache_hit_rate", share(hits, asked));
  dict.emplace_back("cache_hits", number(hits));
  dict.emplace_back("success_rate_percent", 100.0 * share(counts.loads_ok, loads));
  dict.emplace_back("failure_rate_percent", 100.0 * share(counts.loads_failed, loads));
  dict.emplace_back("evictions", number(counts.evictions));
  dict.emplace_back("total_models_cached", number(in_memory));
  dict.emplace_back("healthy_models", number(healthy));
  dict.emplace_back("engine_integrated_models", number(in_memory));
  return dict;
}

Value health_summary_value(const Services& services) {
  std::int64_t healthy = 0;
  std::int64_t total = 0;
  Value::List issues;
  for (const VersionInfo& version : services.manager->versions()) {
    const std::string_view word = health_word(*services.admin, version);
    ++total;
    healthy += word == "healthy" ? 1 : 0;
    if (word != "error" && word != "rolled_back") continue;
    Value::Dict issue;
    issue.emplace_back("model_id", version.name);
    issue.emplace_back("version", version.version);
    issue.emplace_back("status", word);
    issue.emplace_back("reason", or_null(version.reason));
    issues.emplace_back(std::move(issue));
  }
  Value::Dict dict;
  dict.emplace_back("healthy_models", healthy);
  dict.emplace_back("total_models", total);
  dict.emplace_back("models_with_issues", std::move(issues));
  return dict;
}

}  // namespace inferneo::gateway::endpoints
