#include "gateway/endpoints/pair_scores.h"

#include <cmath>
#include <optional>
#include <utility>

#include "base/str.h"

namespace inferneo::gateway::endpoints {
namespace {

Status check_model(const manager::ServedModel& model) {
  const runtime::VectorInfo& info = model.model->info().vectors;
  if (info.class_count == 0) {
    return unsupported(str("model '",
                           model.name,
                           "' has no classification head that scores pairs of texts"))
        .with_where("model")
        .with_hint("serve a cross-encoder (a reranker), or compare vectors of /v1/embeddings");
  }
  if (info.class_count > 2) {
    return unsupported(str("model '",
                           model.name,
                           "' tells ",
                           info.class_count,
                           " classes apart; a reranker has one or two"))
        .with_where("model");
  }
  return ok_status();
}

Result<text::TokenPair> encode_pair(const manager::ServedModel& model, const TextPair& pair) {
  if (model.tokenizer == nullptr) {
    return unsupported(str("model '", model.name, "' has no tokenizer")).with_where("model");
  }
  std::optional<text::TokenPair> ids = model.tokenizer->encode_pair(pair.query, pair.text);
  if (ids) return *std::move(ids);
  return unsupported(str("the tokenizer of model '",
                         model.name,
                         "' does not say how two texts are joined (post_processor of its "
                         "tokenizer.json)"))
      .with_where("model");
}

}  // namespace

Result<VectorJob> make_pair_job(const std::vector<TextPair>& pairs, manager::Lease lease) {
  const manager::ServedModel& model = lease.model();
  RETURN_IF_ERROR(check_model(model));
  VectorJob job{.lease = lease, .texts = {}, .second_begins = {}, .fields = {}};
  job.pooling = model.model->info().vectors.pooling;
  for (const TextPair& pair : pairs) {
    ASSIGN_OR_RETURN(text::TokenPair ids, encode_pair(model, pair));
    job.second_begins.push_back(static_cast<std::int32_t>(ids.second_begin));
    job.texts.push_back(std::move(ids.ids));
    job.fields.push_back(pair.field);
  }
  return job;
}

double relevance(const std::vector<float>& classes) {
  const double logit =
      classes.size() == 2 ? static_cast<double>(classes[1]) - classes[0] : classes.at(0);
  return 1 / (1 + std::exp(-logit));
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  double a_square = 0;
  double b_square = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    a_square += static_cast<double>(a[i]) * a[i];
    b_square += static_cast<double>(b[i]) * b[i];
  }
  const double size = std::sqrt(a_square * b_square);
  return size > 0 ? dot / size : 0;
}

}  // namespace inferneo::gateway::endpoints
