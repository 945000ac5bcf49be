#include "gateway/endpoints/pair_scores.h"

#include <algorithm>
#include <cmath>
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

// A pair, and where its second segment begins.
struct PairTokens {
  std::vector<TokenId> ids;
  std::int32_t second_begin = 0;
};

Result<PairTokens> encode_pair(const manager::ServedModel& model, const TextPair& pair) {
  if (model.tokenizer == nullptr) {
    return unsupported(str("model '", model.name, "' has no tokenizer")).with_where("model");
  }
  text::EncodedPair joined = model.tokenizer->encode_pair(pair.query, pair.text);
  const text::EncodedPair bare =
      model.tokenizer->encode_pair(pair.query, pair.text, {.add_special_tokens = false});
  // Without marks between them the texts would be one to the model.
  const bool is_marked = joined.ids.size() > bare.ids.size();
  const bool in_order =
      std::ranges::is_sorted(joined.types) && (joined.types.empty() || joined.types.back() <= 1);
  if (!is_marked || !in_order) {
    return unsupported(str("the tokenizer of model '",
                           model.name,
                           "' does not say how two texts are joined in one or two segments "
                           "(post_processor of its tokenizer.json)"))
        .with_where("model");
  }
  const auto second = std::ranges::find(joined.types, 1) - joined.types.begin();
  return PairTokens{std::move(joined.ids), static_cast<std::int32_t>(second)};
}

}  // namespace

Result<VectorJob> make_pair_job(const std::vector<TextPair>& pairs, manager::Lease lease) {
  const manager::ServedModel& model = lease.model();
  RETURN_IF_ERROR(check_model(model));
  VectorJob job{.lease = lease, .texts = {}, .second_begins = {}, .fields = {}};
  job.pooling = model.model->info().vectors.pooling;
  for (const TextPair& pair : pairs) {
    ASSIGN_OR_RETURN(PairTokens tokens, encode_pair(model, pair));
    job.second_begins.push_back(tokens.second_begin);
    job.texts.push_back(std::move(tokens.ids));
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
