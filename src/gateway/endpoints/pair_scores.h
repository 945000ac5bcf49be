// How well texts go together: scores of pairs, by a model with a classification head (a
// cross-encoder) or, where the caller allows it, by the angle between embeddings.
// Thread: any.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/vector_job.h"

namespace inferneo::gateway::endpoints {

struct TextPair {
  std::string query;
  std::string text;
  std::string field;  // where a failure belongs
};

// The requests that score pairs with a cross-encoder. Failures: unsupported naming what the model
// lacks.
Result<VectorJob> make_pair_job(const std::vector<TextPair>& pairs, manager::Lease lease);

// From what the head gives: sigmoid of one class, the second of two after softmax.
// Spec: sentence-transformers 5, CrossEncoder.predict.
double relevance(const std::vector<float>& classes);

// Cosine of the angle between two vectors of the same size.
double cosine(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace inferneo::gateway::endpoints
