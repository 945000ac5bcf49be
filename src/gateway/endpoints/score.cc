// How similar pairs of texts are: by a cross-encoder, or by the cosine of their embeddings.
// Spec: the shape of vLLM's /score.
#include <utility>

#include "gateway/endpoints/embedding_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/pair_scores.h"
#include "gateway/endpoints/vector_endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct ScoreRequest {
  std::string model;
  std::vector<std::string> first;
  std::vector<std::string> second;
};

Status bind_model(Value& value, ScoreRequest& request) {
  ASSIGN_OR_RETURN(request.model, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Result<std::vector<std::string>> take_texts(const Value& value, std::string_view field) {
  if (const std::string* text = value.as_string()) return std::vector<std::string>{*text};
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a string or a list of strings", value);
  if (list->empty()) return invalid_argument("must not be empty");
  if (list->size() > limits::kVectorTextCountMax) {
    return invalid_argument(str("holds ",
                                list->size(),
                                " texts, but at most ",
                                limits::kVectorTextCountMax,
                                " are accepted"));
  }
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string* text = (*list)[i].as_string();
    if (text == nullptr) {
      return wrong_value("a string", (*list)[i]).with_where(str(field, "[", i, "]"));
    }
    texts.push_back(*text);
  }
  return texts;
}

Status bind_first(Value& value, ScoreRequest& request) {
  ASSIGN_OR_RETURN(request.first, take_texts(value, "text_1"));
  return ok_status();
}

Status bind_second(Value& value, ScoreRequest& request) {
  ASSIGN_OR_RETURN(request.second, take_texts(value, "text_2"));
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<ScoreRequest> kFields[] = {
    {{"model", kWorks, "name of a served model; may be left out when one is served"}, bind_model},
    {{"text_1", kWorks, "a string, or as many strings as text_2"}, bind_first},
    {{"text_2", kWorks, "a string, or 1 to 2048 strings"}, bind_second},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<ScoreRequest>>(kFields), rows);
  return rows;
}

Result<ScoreRequest> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  ScoreRequest request;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<ScoreRequest>>(),
                              std::span<const Field<ScoreRequest>>(kFields),
                              request));
  if (request.first.empty()) return invalid_argument("'text_1' must be given").with_where("text_1");
  if (request.second.empty()) {
    return invalid_argument("'text_2' must be given").with_where("text_2");
  }
  if (request.first.size() != 1 && request.first.size() != request.second.size()) {
    return invalid_argument(str("'text_1' holds ",
                                request.first.size(),
                                " texts and 'text_2' ",
                                request.second.size(),
                                "; they must hold as many, or 'text_1' one"))
        .with_where("text_1");
  }
  return request;
}

bool is_cross_encoder(const manager::ServedModel& model) {
  return model.model->info().vectors.class_count > 0;
}

// Of an embedding model: the vectors of the first texts, then those of the second.
Result<VectorJob> make_job(const ScoreRequest& request, const manager::Lease& lease) {
  if (!is_cross_encoder(lease.model())) {
    EmbeddingParams params;
    for (const auto* texts : {&request.first, &request.second}) {
      params.inputs.insert(params.inputs.end(), texts->begin(), texts->end());
    }
    return make_vector_job(params, lease, "text");
  }
  std::vector<TextPair> pairs;
  for (std::size_t i = 0; i < request.second.size(); ++i) {
    const std::string& first = request.first[request.first.size() == 1 ? 0 : i];
    pairs.push_back({first, request.second[i], str("text_2[", i, "]")});
  }
  return make_pair_job(pairs, lease);
}

http::Response write(const ScoreRequest& request,
                     const manager::ServedModel& model,
                     Vectors&& vectors) {
  const AnswerIdentity identity = make_identity("score-", model);
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("id", identity.id);
  json.member("object", "list");
  json.member("created", identity.created_unix_seconds);
  json.member("model", identity.model);
  json.key("data");
  json.begin_array();
  for (std::size_t i = 0; i < request.second.size(); ++i) {
    const std::vector<float>& first = vectors.values[request.first.size() == 1 ? 0 : i];
    json.begin_object();
    json.member("index", i);
    json.member("object", "score");
    json.key("score");
    json.number(is_cross_encoder(model) ? relevance(vectors.values[i])
                                        : cosine(first, vectors.values[request.first.size() + i]));
    json.end_object();
  }
  json.end_array();
  json.key("usage");
  json.begin_object();
  json.member("prompt_tokens", vectors.token_count);
  json.member("total_tokens", vectors.token_count);
  json.end_object();
  json.end_object();
  return response;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer_with_vectors<ScoreRequest>(
      services, exchange, read(exchange->request().body), {.make_job = make_job, .write = write});
}

}  // namespace

extern const Endpoint kScoreEndpoint;
const Endpoint kScoreEndpoint{
    .method = "POST",
    .path = "/v1/score",
    .summary = "How similar pairs of texts are, by a cross-encoder or by their embeddings",
    .handle = handle,
    .fields = field_rows,
};

extern const Endpoint kScorePlainEndpoint;
const Endpoint kScorePlainEndpoint{
    .method = "POST",
    .path = "/score",
    .summary = "The same as /v1/score",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
