// Spec: OpenAI API reference, embeddings; the list object and embedding objects.
#include <array>
#include <bit>
#include <utility>

#include "base/base64.h"
#include "gateway/endpoints/embedding_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/vector_endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct EmbeddingRequest : EmbeddingParams {
  bool as_base64 = false;
};

Status bind_model(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.model, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Status bind_input(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.inputs, take_inputs(value, "input"));
  return ok_status();
}

Status bind_format(Value& value, EmbeddingRequest& request) {
  const std::string* name = value.as_string();
  if (name == nullptr || (*name != "float" && *name != "base64")) {
    return wrong_value("\"float\" or \"base64\"", value);
  }
  request.as_base64 = *name == "base64";
  return ok_status();
}

Status bind_dimensions(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.dimensions, read_int32(value, 1, 1 << 20));
  return ok_status();
}

Status bind_pooling(Value& value, EmbeddingRequest& request) {
  using request::Pooling;
  constexpr std::array<std::pair<std::string_view, Pooling>, 3> kNames{
      {{"last", Pooling::kLast}, {"mean", Pooling::kMean}, {"cls", Pooling::kCls}}};
  if (const std::string* name = value.as_string()) {
    for (const auto& [known, pooling] : kNames) {
      if (*name != known) continue;
      request.pooling = pooling;
      return ok_status();
    }
  }
  return wrong_value("\"last\", \"mean\" or \"cls\"", value);
}

Status bind_normalize(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.normalize, read_bool(value));
  return ok_status();
}

Status bind_special(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.add_special_tokens, read_bool(value));
  return ok_status();
}

Status bind_truncate(Value& value, EmbeddingRequest& request) {
  ASSIGN_OR_RETURN(request.truncate, read_bool(value));
  return ok_status();
}

Status accept_string(Value& value, EmbeddingRequest&) {
  return take_string(value, limits::kHttpBodySizeMax).status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<EmbeddingRequest> kFields[] = {
    {{"model", kWorks, "name of a served model; may be left out when one is served"}, bind_model},
    {{"input",
      kWorks,
      "a string, a list of strings, a list of token ids, or a list of such lists; at most 2048"},
     bind_input},
    {{"encoding_format", kWorks, "\"float\" (default) or \"base64\" of little-endian f32"},
     bind_format},
    {{"dimensions", kWorks, "1 to the model's size; keeps the first ones; default all"},
     bind_dimensions},
    {{"pooling",
      kWorks,
      "\"last\", \"mean\" or \"cls\": whose hidden state counts; default what the model says, else "
      "\"last\""},
     bind_pooling},
    {{"normalize", kWorks, "bring vectors to length 1; default what the model says, else true"},
     bind_normalize},
    {{"add_special_tokens", kWorks, "let the tokenizer add its start and end tokens; default true"},
     bind_special},
    {{"truncate", kWorks, "cut texts that are too long at their end; default false, refuse them"},
     bind_truncate},
    {{"user", FieldUse::kNoEffect, "an identifier for abuse reports; no use is made of it"},
     accept_string},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<EmbeddingRequest>>(kFields), rows);
  return rows;
}

Result<EmbeddingRequest> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  EmbeddingRequest request;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<EmbeddingRequest>>(),
                              std::span<const Field<EmbeddingRequest>>(kFields),
                              request));
  if (request.inputs.empty()) {
    return invalid_argument("'input' must be given").with_where("input");
  }
  return request;
}

// Bytes of floats are those of the protocol: both are little-endian.
static_assert(std::endian::native == std::endian::little);

void write_embedding(JsonWriter& json,
                     std::size_t index,
                     const std::vector<float>& values,
                     bool as_base64) {
  json.begin_object();
  json.member("object", "embedding");
  json.member("index", index);
  json.key("embedding");
  if (as_base64) {
    std::string text;
    append_base64(text, std::as_bytes(std::span(values)));
    json.string(text);
  } else {
    json.begin_array();
    for (const float value : values) json.number(value);
    json.end_array();
  }
  json.end_object();
}

http::Response write(const EmbeddingRequest& request,
                     const manager::ServedModel& model,
                     Vectors&& vectors) {
  shape_vectors(request, model.model->info().vectors, vectors);
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  for (std::size_t i = 0; i < vectors.values.size(); ++i) {
    write_embedding(json, i, vectors.values[i], request.as_base64);
  }
  json.end_array();
  json.member("model", model.name);
  json.key("usage");
  json.begin_object();
  json.member("prompt_tokens", vectors.token_count);
  json.member("total_tokens", vectors.token_count);
  json.end_object();
  json.end_object();
  return response;
}

Result<VectorJob> make_job(const EmbeddingRequest& request, const manager::Lease& lease) {
  return make_vector_job(request, lease, "input");
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer_with_vectors<EmbeddingRequest>(
      services, exchange, read(exchange->request().body), {.make_job = make_job, .write = write});
}

}  // namespace

extern const Endpoint kEmbeddingsEndpoint;
const Endpoint kEmbeddingsEndpoint{
    .method = "POST",
    .path = "/v1/embeddings",
    .summary = "Vectors of texts: the pooled hidden states of a model",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
