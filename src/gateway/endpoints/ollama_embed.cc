// Ollama's dialect of embeddings, and the older one for a single prompt.
#include <utility>

#include "gateway/endpoints/embedding_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct EmbedBody : ollama::CommonRequest {
  EmbeddingParams params;
  bool is_list = true;  // the answer is a list of vectors
};

Status bind_input(Value& value, EmbedBody& body) {
  ASSIGN_OR_RETURN(body.params.inputs, take_inputs(value, "input"));
  return ok_status();
}

Status bind_prompt(Value& value, EmbedBody& body) {
  ASSIGN_OR_RETURN(std::string text, take_string(value, limits::kHttpBodySizeMax));
  body.params.inputs = {std::move(text)};
  return ok_status();
}

Status bind_truncate(Value& value, EmbedBody& body) {
  ASSIGN_OR_RETURN(body.params.truncate, read_bool(value));
  return ok_status();
}

Status bind_dimensions(Value& value, EmbedBody& body) {
  ASSIGN_OR_RETURN(body.params.dimensions, read_int32(value, 1, 1 << 20));
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<EmbedBody> kEmbedFields[] = {
    {{"input", kWorks, "a string or up to 2048 strings"}, bind_input},
    {{"truncate", kWorks, "cut texts that are too long at their end; default true"}, bind_truncate},
    {{"dimensions", kWorks, "1 to the model's size; keeps the first ones; default all"},
     bind_dimensions},
};

constexpr Field<EmbedBody> kEmbeddingsFields[] = {
    {{"prompt", kWorks, "the text"}, bind_prompt},
};

std::vector<FieldRow> embed_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<EmbedBody>>(kEmbedFields), rows);
  append_rows(ollama::model_fields(), rows);
  return rows;
}

std::vector<FieldRow> embeddings_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<EmbedBody>>(kEmbeddingsFields), rows);
  append_rows(ollama::model_fields(), rows);
  return rows;
}

Result<EmbedBody> read(const Services& services,
                       const std::string& http_body,
                       std::span<const Field<EmbedBody>> fields,
                       std::string_view input) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  EmbedBody body;
  body.params.truncate = true;
  RETURN_IF_ERROR(bind_fields(members, ollama::model_fields(), fields, body));
  if (body.params.inputs.empty()) {
    return invalid_argument(str("'", input, "' must be given")).with_where(std::string(input));
  }
  body.is_list = input == "input";
  body.chat.model = ollama::served_name(services, std::move(body.chat.model));
  return body;
}

void write_vector(JsonWriter& json, const std::vector<float>& values) {
  json.begin_array();
  for (const float value : values) json.number(value);
  json.end_array();
}

http::Response write(const EmbedBody& body,
                     const manager::ServedModel& model,
                     Vectors vectors,
                     Duration elapsed) {
  // The older dialect gives vectors as the model does.
  if (!body.is_list) {
    http::Response response;
    JsonWriter json(response.body);
    json.begin_object();
    json.key("embedding");
    write_vector(json, vectors.values.front());
    json.end_object();
    return response;
  }
  shape_vectors(body.params, model.model->info().vectors, vectors);
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("model", model.name);
  json.key("embeddings");
  json.begin_array();
  for (const std::vector<float>& values : vectors.values) write_vector(json, values);
  json.end_array();
  json.member("total_duration",
              std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
  json.member("load_duration", 0);
  json.member("prompt_eval_count", vectors.token_count);
  json.end_object();
  return response;
}

void start(const Services& services,
           const std::shared_ptr<http::Exchange>& exchange,
           EmbedBody body,
           const Result<manager::Lease>& lease) {
  const TimePoint started_at = services.clock->now();
  Result<VectorJob> job =
      lease.has_value() ? make_vector_job(body.params, *lease, body.is_list ? "input" : "prompt")
                        : lease.error();
  if (!job.has_value()) return exchange->respond(ollama::error_response(job.error()));
  compute_vectors(services,
                  exchange,
                  *std::move(job),
                  [&services, exchange, lease = *lease, body = std::move(body), started_at](
                      Result<Vectors> vectors) mutable {
                    const Duration elapsed = services.clock->now() - started_at;
                    exchange->respond(vectors.has_value()
                                          ? write(body, lease.model(), *std::move(vectors), elapsed)
                                          : ollama::error_response(vectors.error()));
                  });
}

void answer(const Services& services,
            const std::shared_ptr<http::Exchange>& exchange,
            Result<EmbedBody> body) {
  if (!body.has_value()) return exchange->respond(ollama::error_response(body.error()));
  const std::string model = body->chat.model;
  const ModelWait wait{.events = false, .keep_alive = body->chat.keep_alive};
  with_model(
      services,
      exchange,
      model,
      [&services, exchange, body = *std::move(body)](const Result<manager::Lease>& lease) mutable {
        start(services, exchange, std::move(body), lease);
      },
      wait);
}

void handle_embed(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, read(services, exchange->request().body, kEmbedFields, "input"));
}

void handle_embeddings(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, read(services, exchange->request().body, kEmbeddingsFields, "prompt"));
}

}  // namespace

extern const Endpoint kOllamaEmbedEndpoint;
const Endpoint kOllamaEmbedEndpoint{
    .method = "POST",
    .path = "/api/embed",
    .summary = "Ollama: vectors of texts",
    .handle = handle_embed,
    .fields = embed_rows,
    .body_type = "",
};

extern const Endpoint kOllamaEmbeddingsEndpoint;
const Endpoint kOllamaEmbeddingsEndpoint{
    .method = "POST",
    .path = "/api/embeddings",
    .summary = "Ollama: the vector of one text, not normalised (the older form of /api/embed)",
    .handle = handle_embeddings,
    .fields = embeddings_rows,
    .body_type = "",
};

}  // namespace inferneo::gateway::endpoints
