// What the endpoints for embeddings have in common: texts or token ids in, pooled vectors out.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/vector_job.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

struct EmbeddingParams {
  std::string model;  // empty: the only one served
  std::vector<TextOrIds> inputs;
  std::optional<std::int32_t> dimensions;
  std::optional<request::Pooling> pooling;  // else the model's
  std::optional<bool> normalize;            // else the model's
  bool add_special_tokens = true;
  bool truncate = false;  // cut a text that is too long at its end instead of refusing it
};

// A string, strings, ids, or lists of ids. Failures: invalid_argument at `field` or a place in it.
Result<std::vector<TextOrIds>> take_inputs(text::Value& value, std::string_view field);

// Failures: unsupported where the model has no vectors, invalid_argument for texts without tokens
// and dimensions that it does not have.
Result<VectorJob> make_vector_job(const EmbeddingParams& params,
                                  manager::Lease lease,
                                  std::string_view field);

// Cuts to `dimensions` and normalises, as asked for or as the model does.
void shape_vectors(const EmbeddingParams& params,
                   const runtime::VectorInfo& info,
                   Vectors& vectors);

}  // namespace inferneo::gateway::endpoints
