#include "gateway/endpoints/model_serving_block.h"

namespace inferneo::gateway::endpoints {

void write_model_serving(JsonWriter& json, const manager::ModelManager& manager) {
  int loaded = 0;
  int active = 0;
  int healthy = 0;
  int waiting = 0;
  for (const manager::VersionInfo& version : manager.versions()) {
    waiting += version.waiting_count;
    if (version.served) ++active;
    if (version.model == nullptr) continue;
    ++loaded;
    const engine::EngineHealth engine = version.model->engine->health();
    const bool is_stalled =
        engine.work_pending && engine.last_progress_age > limits::kEngineStallReadyTimeout;
    if (!engine.draining && !is_stalled) ++healthy;
  }
  const manager::ModelManager::Counts counts = manager.counts();
  const manager::MemoryInfo memory = manager.memory();
  const std::uint64_t hits = counts.requests - std::min(counts.requests, counts.requests_waited);
  json.key("model_serving");
  json.begin_object();
  json.key("enabled");
  json.boolean(true);
  json.member("cached_models", loaded);
  json.member("active_versions", active);
  json.member("healthy_models", healthy);
  json.member("total_loads", counts.loads_ok + counts.loads_failed);
  json.key("cache_hit_rate");
  json.number(counts.requests == 0
                  ? 0.0
                  : static_cast<double>(hits) / static_cast<double>(counts.requests));
  json.key("engine_integrated");
  json.boolean(true);
  json.member("waiting_requests", waiting);
  json.member("memory_budget_bytes", memory.budget_bytes);
  json.member("memory_reserved_bytes", memory.reserved_bytes);
  json.end_object();
}

}  // namespace inferneo::gateway::endpoints
