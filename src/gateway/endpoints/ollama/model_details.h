// A served model as Ollama's listings describe it.
// Thread: any.
#pragma once

#include <string>

#include "gateway/endpoints/json_writer.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints::ollama {

// name, model, modified_at, size, digest and details of a version in memory. `digest` is what the
// fingerprint of answers is: it changes with the weights and with how they are computed.
void write_model_members(JsonWriter& json, const manager::VersionInfo& version);
// The same of one that is not in memory: what is not known then is empty.
void write_unloaded_members(JsonWriter& json, const manager::VersionInfo& version);

// The member details.
void write_details(JsonWriter& json, const manager::ServedModel& model);

// "7.0M", "1.2B".
std::string parameter_size(std::uint64_t count);

}  // namespace inferneo::gateway::endpoints::ollama
