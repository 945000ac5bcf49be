// Documents in the order in which they answer a query, by a cross-encoder.
// Spec: the shape that Cohere, Jina and vLLM share.
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/pair_scores.h"
#include "gateway/endpoints/vector_endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct RerankRequest {
  std::string model;
  std::optional<std::string> query;
  std::vector<std::string> documents;
  std::optional<std::int32_t> top_n;
  bool return_documents = true;
};

Status bind_model(Value& value, RerankRequest& request) {
  ASSIGN_OR_RETURN(request.model, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Status bind_query(Value& value, RerankRequest& request) {
  ASSIGN_OR_RETURN(request.query, take_string(value, limits::kHttpBodySizeMax));
  return ok_status();
}

// A document is a string, or an object with a member text.
Status bind_documents(Value& value, RerankRequest& request) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of strings or of {\"text\": ...}", value);
  if (list->empty()) return invalid_argument("must not be empty");
  if (list->size() > limits::kVectorTextCountMax) {
    return invalid_argument(str("holds ",
                                list->size(),
                                " documents, but at most ",
                                limits::kVectorTextCountMax,
                                " are accepted"));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Value& item = (*list)[i];
    const Value* text = item.as_dict() != nullptr ? item.find("text") : &item;
    if (text == nullptr || text->as_string() == nullptr) {
      return wrong_value("a string or {\"text\": ...}", item).with_where(str("documents[", i, "]"));
    }
    request.documents.push_back(*text->as_string());
  }
  return ok_status();
}

Status bind_top_n(Value& value, RerankRequest& request) {
  ASSIGN_OR_RETURN(request.top_n, read_int32(value, 1, std::numeric_limits<std::int32_t>::max()));
  return ok_status();
}

Status bind_return_documents(Value& value, RerankRequest& request) {
  ASSIGN_OR_RETURN(request.return_documents, read_bool(value));
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<RerankRequest> kFields[] = {
    {{"model", kWorks, "name of a served cross-encoder; may be left out when one is served"},
     bind_model},
    {{"query", kWorks, "what the documents are compared with"}, bind_query},
    {{"documents", kWorks, "1 to 2048 strings, or objects with a member text"}, bind_documents},
    {{"top_n", kWorks, "1 or more; keep only so many of the best; default all"}, bind_top_n},
    {{"return_documents", kWorks, "repeat the documents in the answer; default true"},
     bind_return_documents},
    {{"max_chunks_per_doc", FieldUse::kRefused, "a document that is too long is refused"}, nullptr},
    {{"max_tokens_per_doc", FieldUse::kRefused, "a document that is too long is refused"}, nullptr},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<RerankRequest>>(kFields), rows);
  return rows;
}

Result<RerankRequest> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  RerankRequest request;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<RerankRequest>>(),
                              std::span<const Field<RerankRequest>>(kFields),
                              request));
  if (!request.query) return invalid_argument("'query' must be given").with_where("query");
  if (request.documents.empty()) {
    return invalid_argument("'documents' must be given").with_where("documents");
  }
  return request;
}

http::Response write(const RerankRequest& request,
                     const manager::ServedModel& model,
                     Vectors&& scores) {
  std::vector<std::size_t> order(request.documents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> relevances;
  for (const std::vector<float>& classes : scores.values) relevances.push_back(relevance(classes));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return relevances[a] > relevances[b];
  });
  if (request.top_n && order.size() > static_cast<std::size_t>(*request.top_n)) {
    order.resize(static_cast<std::size_t>(*request.top_n));
  }
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("id", make_identity("rerank-", model).id);
  json.member("model", model.name);
  json.key("results");
  json.begin_array();
  for (const std::size_t index : order) {
    json.begin_object();
    json.member("index", index);
    json.key("relevance_score");
    json.number(relevances[index]);
    if (request.return_documents) {
      json.key("document");
      json.begin_object();
      json.member("text", request.documents[index]);
      json.end_object();
    }
    json.end_object();
  }
  json.end_array();
  json.key("usage");
  json.begin_object();
  json.member("prompt_tokens", scores.token_count);
  json.member("total_tokens", scores.token_count);
  json.end_object();
  json.end_object();
  return response;
}

Result<VectorJob> make_job(const RerankRequest& request, const manager::Lease& lease) {
  std::vector<TextPair> pairs;
  for (std::size_t i = 0; i < request.documents.size(); ++i) {
    pairs.push_back({*request.query, request.documents[i], str("documents[", i, "]")});
  }
  return make_pair_job(pairs, lease);
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer_with_vectors<RerankRequest>(
      services, exchange, read(exchange->request().body), {.make_job = make_job, .write = write});
}

}  // namespace

extern const Endpoint kRerankEndpoint;
const Endpoint kRerankEndpoint{
    .method = "POST",
    .path = "/v1/rerank",
    .summary = "Documents in the order in which they answer a query, by a cross-encoder",
    .handle = handle,
    .fields = field_rows,
};

// The names that clients of other servers use.
extern const Endpoint kRerankPlainEndpoint;
const Endpoint kRerankPlainEndpoint{
    .method = "POST",
    .path = "/rerank",
    .summary = "The same as /v1/rerank",
    .handle = handle,
    .fields = field_rows,
};

extern const Endpoint kRerankV2Endpoint;
const Endpoint kRerankV2Endpoint{
    .method = "POST",
    .path = "/v2/rerank",
    .summary = "The same as /v1/rerank",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
