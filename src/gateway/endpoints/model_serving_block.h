// The state of model serving in a few numbers, as /health and /ready show it.
// Thread: any.
#pragma once

#include "gateway/endpoints/json_writer.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints {

// Writes the member "model_serving". cached_models: versions in memory; active_versions: versions
// that requests may ask for; healthy_models: versions in memory whose engine takes requests;
// cache_hit_rate: share of requests that found their model in memory (0 without requests).
void write_model_serving(JsonWriter& json, const manager::ModelManager& manager);

}  // namespace inferneo::gateway::endpoints
