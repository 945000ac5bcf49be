#include "gateway/endpoints/embedding_request.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::string_view kInputKinds =
    "a string, a list of strings, a list of token ids, or a list of such lists";

Result<std::vector<TextOrIds>> take_list(Value::List& list, std::string_view field) {
  std::vector<TextOrIds> inputs;
  const bool texts = list.front().as_string() != nullptr;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = str(field, "[", i, "]");
    if (texts) {
      const std::string* text = list[i].as_string();
      if (text == nullptr) {
        return wrong_value("a string, as the first is", list[i]).with_where(where);
      }
      inputs.emplace_back(*text);
      continue;
    }
    Result<std::vector<TokenId>> ids = read_token_ids(list[i]);
    if (!ids.has_value()) return std::move(ids).error().with_where(where);
    inputs.emplace_back(*std::move(ids));
  }
  return inputs;
}

Status check_model(const EmbeddingParams& params, const manager::ServedModel& model) {
  const runtime::VectorInfo& info = model.model->info().vectors;
  if (info.hidden_size == 0 || info.class_count > 0) {
    return unsupported(str("model '",
                           model.name,
                           info.class_count > 0 ? "' scores pairs of texts and makes no embeddings"
                                                : "' gives no hidden states to embed texts with"))
        .with_where("model");
  }
  if (params.dimensions && *params.dimensions > info.hidden_size) {
    return invalid_argument(str("'dimensions' is ",
                                *params.dimensions,
                                ", but the vectors of model '",
                                model.name,
                                "' have ",
                                info.hidden_size))
        .with_where("dimensions");
  }
  return ok_status();
}

}  // namespace

Result<std::vector<TextOrIds>> take_inputs(Value& value, std::string_view field) {
  std::vector<TextOrIds> inputs;
  if (const std::string* text = value.as_string()) {
    inputs.emplace_back(*text);
    return inputs;
  }
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value(kInputKinds, value);
  if (list->empty()) return invalid_argument("must not be empty");
  if (list->front().as_int() != nullptr) {
    ASSIGN_OR_RETURN(std::vector<TokenId> ids, read_token_ids(value));
    inputs.emplace_back(std::move(ids));
    return inputs;
  }
  if (list->size() > limits::kVectorTextCountMax) {
    return invalid_argument(str("holds ",
                                list->size(),
                                " texts, but at most ",
                                limits::kVectorTextCountMax,
                                " are accepted"));
  }
  if (list->front().as_string() == nullptr && list->front().as_list() == nullptr) {
    return wrong_value(kInputKinds, list->front()).with_where(str(field, "[0]"));
  }
  return take_list(*list, field);
}

Result<VectorJob> make_vector_job(const EmbeddingParams& params,
                                  manager::Lease lease,
                                  std::string_view field) {
  const manager::ServedModel& model = lease.model();
  RETURN_IF_ERROR(check_model(params, model));
  const bool is_one = params.inputs.size() == 1;
  VectorJob job{.lease = lease, .texts = {}, .second_begins = {}, .fields = {}};
  job.pooling = params.pooling.value_or(model.model->info().vectors.pooling);
  for (std::size_t i = 0; i < params.inputs.size(); ++i) {
    job.fields.push_back(is_one ? std::string(field) : str(field, "[", i, "]"));
    const TextOrIds& input = params.inputs[i];
    std::vector<TokenId> ids;
    if (const auto* given = std::get_if<std::vector<TokenId>>(&input)) {
      ids = *given;
    } else {
      ASSIGN_OR_RETURN(ids, encode(model, std::get<std::string>(input), params.add_special_tokens));
    }
    if (ids.empty()) {
      return invalid_argument(str("'", job.fields.back(), "' has no tokens"))
          .with_where(job.fields.back());
    }
    const auto most = static_cast<std::size_t>(model.context_tokens_max);
    if (params.truncate && ids.size() > most) ids.resize(most);
    job.texts.push_back(std::move(ids));
  }
  return job;
}

void shape_vectors(const EmbeddingParams& params,
                   const runtime::VectorInfo& info,
                   Vectors& vectors) {
  for (std::vector<float>& values : vectors.values) {
    if (params.dimensions) values.resize(static_cast<std::size_t>(*params.dimensions));
    if (params.normalize.value_or(info.normalize)) normalize(values);
  }
}

}  // namespace inferneo::gateway::endpoints
