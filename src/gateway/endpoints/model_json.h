// A served model as the protocol lists it.
// Thread: any.
#pragma once

#include "gateway/endpoints/json_writer.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints {

// Spec: OpenAI model object, with max_model_len as other servers add it.
inline void write_model(JsonWriter& json, const manager::ServedModel& model) {
  json.begin_object();
  json.member("id", model.name);
  json.member("object", "model");
  json.member("created", model.created_unix_seconds);
  json.member("owned_by", "inferneo");
  json.member("max_model_len", model.context_tokens_max);
  json.end_object();
}

}  // namespace inferneo::gateway::endpoints
