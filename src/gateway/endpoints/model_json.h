// A model as the protocol lists it.
// Thread: any.
#pragma once

#include <span>
#include <string_view>

#include "gateway/endpoints/json_writer.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints {

// Spec: OpenAI model object, with max_model_len as other servers add it (null until the model was
// loaded once), the version that the name stands for, its state, and all versions. `versions` are
// those of one model, `chosen` the one that is shown.
void write_model(JsonWriter& json,
                 std::string_view id,
                 const manager::VersionInfo& chosen,
                 std::span<const manager::VersionInfo> versions);

// Versions of the same name follow each other in `all`; the run that begins at `begin`.
std::span<const manager::VersionInfo> versions_at(std::span<const manager::VersionInfo> all,
                                                  std::size_t begin);

// The one that the bare name stands for, else the last.
const manager::VersionInfo& live_version(std::span<const manager::VersionInfo> versions);

}  // namespace inferneo::gateway::endpoints
