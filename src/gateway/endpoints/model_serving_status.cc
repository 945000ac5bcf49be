// GET /api/v1/model_serving/status and /metrics: the whole in numbers.
#include <chrono>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "manager/rollout_controller.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::vector<std::string> names_of(const Services& services) {
  std::vector<std::string> names;  // versions come sorted by name
  for (const manager::VersionInfo& version : services.manager->versions()) {
    if (names.empty() || names.back() != version.name) names.push_back(version.name);
  }
  return names;
}

// By name: how its requests are shared.
Value balances(const Services& services) {
  Value::Dict dict;
  for (const std::string& name : names_of(services)) {
    Value balance = balance_value(*services.admin, name);
    Value::Dict entry;
    const Value* fresh = balance.find("new_version_traffic");
    const Value* old = balance.find("old_version_traffic");
    Value::Dict split;
    split.emplace_back("new_version_traffic", fresh == nullptr ? Value(0) : *fresh);
    split.emplace_back("old_version_traffic", old == nullptr ? Value(100) : *old);
    const auto copy = [&](std::string_view key) {
      const Value* value = balance.find(key);
      entry.emplace_back(std::string(key), value == nullptr ? Value() : *value);
    };
    copy("current_version");
    entry.emplace_back("traffic_split", std::move(split));
    copy("shift_stage");
    copy("last_update");
    dict.emplace_back(name, std::move(entry));
  }
  return dict;
}

Value memory_totals(const Services& services) {
  const manager::MemoryInfo memory = services.manager->memory();
  Value::Dict dict;
  dict.emplace_back("budget_bytes", number(memory.budget_bytes));
  dict.emplace_back("reserved_bytes", number(memory.reserved_bytes));
  dict.emplace_back("resident_bytes", number(memory.resident_bytes));
  dict.emplace_back("available_bytes", number(memory.available_bytes));
  dict.emplace_back("loaded_count", std::int64_t{memory.loaded_count});
  dict.emplace_back("loaded_count_max", std::int64_t{memory.loaded_count_max});
  return dict;
}

Value catalog_value(const Services& services) {
  const manager::Catalog& catalog = services.admin->catalog();
  Value::Dict dict;
  dict.emplace_back("durable", catalog.is_durable());
  dict.emplace_back("path", or_null(catalog.path()));
  dict.emplace_back("revision", number(catalog.snapshot()->revision()));
  return dict;
}

std::int64_t moving_count(const Services& services) {
  if (services.admin->rollouts() == nullptr) return 0;
  std::int64_t count = 0;
  for (const manager::RolloutStatus& rollout : services.admin->rollouts()->list()) {
    count += manager::is_terminal(rollout.record.phase) ? 0 : 1;
  }
  return count;
}

void handle_status(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  Value::Dict allocation;
  std::int64_t cached = 0;
  std::int64_t active = 0;
  std::int64_t total = 0;
  for (const manager::VersionInfo& version : services.manager->versions()) {
    ++total;
    active += version.live ? 1 : 0;
    if (version.reserved_bytes == 0) continue;
    ++cached;
    allocation.emplace_back(manager::model_id(version.name, version.version),
                            memory_value(version));
  }
  Value::Dict overview;
  overview.emplace_back("cached_models", cached);
  overview.emplace_back("active_versions", active);
  overview.emplace_back("load_balancer_entries", moving_count(services));
  overview.emplace_back("health_tracked_models", total);
  Value::Dict integration;
  integration.emplace_back("engine_available", true);
  integration.emplace_back("integrated_models", cached);
  Value::Dict data;
  data.emplace_back("overview", std::move(overview));
  data.emplace_back("performance_metrics", performance_value(services));
  data.emplace_back("resource_allocation", std::move(allocation));
  data.emplace_back("memory", memory_totals(services));
  data.emplace_back("health_summary", health_summary_value(services));
  data.emplace_back("load_balancer_status", balances(services));
  data.emplace_back("engine_integration", std::move(integration));
  data.emplace_back("catalog", catalog_value(services));
  data.emplace_back("server_rendered", true);
  data.emplace_back("timestamp", unix_now());
  data.emplace_back("serving_manager_active", true);
  data.emplace_back("api_version", "1.0");
  answer_data(*exchange, std::move(data));
}

void handle_metrics(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  Value::Dict data;
  data.emplace_back("performance_metrics", performance_value(services));
  data.emplace_back("resource_overview", memory_totals(services));
  Value::Dict balance;
  balance.emplace_back("active_shifts", moving_count(services));
  balance.emplace_back("entries", balances(services));
  data.emplace_back("load_balancer_summary", std::move(balance));
  data.emplace_back("metrics_timestamp", unix_now());
  answer_data(*exchange, std::move(data));
}

}  // namespace

extern const Endpoint kModelServingStatusEndpoint;
const Endpoint kModelServingStatusEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/status",
    .summary = "Models in memory, their memory, health, shares of requests and counts",
    .handle = handle_status,
};

extern const Endpoint kModelServingMetricsEndpoint;
const Endpoint kModelServingMetricsEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/metrics",
    .summary = "Loads, updates, rollbacks and memory in numbers",
    .handle = handle_metrics,
};

}  // namespace inferneo::gateway::endpoints
