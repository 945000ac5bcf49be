// What Ollama's clients can ask about one model.
#include <utility>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/ollama/model_details.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct ShowBody {
  std::string model;
};

Status bind_model(Value& value, ShowBody& body) {
  ASSIGN_OR_RETURN(body.model, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Status accept_bool(Value& value, ShowBody&) { return read_bool(value).status(); }

constexpr Field<ShowBody> kFields[] = {
    {{"model", FieldUse::kWorks, "name of a served model"}, bind_model},
    {{"name", FieldUse::kWorks, "the older name of model"}, bind_model},
    {{"verbose", FieldUse::kNoEffect, "lists of tokens are not shown"}, accept_bool},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<ShowBody>>(kFields), rows);
  return rows;
}

Result<ShowBody> read(const Services& services, const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  ShowBody body;
  RETURN_IF_ERROR(bind_fields(members,
                              std::span<const Field<ShowBody>>(),
                              std::span<const Field<ShowBody>>(kFields),
                              body));
  if (body.model.empty()) return invalid_argument("'model' must be given").with_where("model");
  body.model = ollama::served_name(services, std::move(body.model));
  return body;
}

// Spec: keys as in GGUF metadata.
void write_info(JsonWriter& json, const manager::ServedModel& model) {
  const runtime::ModelInfo& info = model.model->info();
  const std::string prefix = info.architecture + ".";
  json.key("model_info");
  json.begin_object();
  json.member("general.architecture", info.architecture);
  json.member("general.parameter_count", info.parameter_count);
  json.member(prefix + "block_count", info.layer_count);
  json.member(prefix + "context_length", model.context_tokens_max);
  json.member(prefix + "embedding_length", info.vectors.hidden_size);
  json.member(prefix + "vocab_size", info.vocab_size);
  json.end_object();
}

void write_capabilities(JsonWriter& json, const manager::ServedModel& model) {
  const runtime::ModelInfo& info = model.model->info();
  json.key("capabilities");
  json.begin_array();
  if (info.generates) json.string("completion");
  if (info.generates && model.chat_template != nullptr) json.string("tools");
  if (info.vectors.hidden_size > 0 && info.vectors.class_count == 0) json.string("embedding");
  json.end_array();
}

http::Response describe(const manager::ServedModel& model) {
  const std::chrono::system_clock::time_point created{
      std::chrono::seconds(model.created_unix_seconds)};
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("license", "");
  json.member("modelfile", str("FROM ", model.name, "\n"));
  json.member("parameters", "");
  json.member("template",
              model.chat_template != nullptr ? model.chat_template->source() : std::string_view());
  ollama::write_details(json, model);
  write_info(json, model);
  write_capabilities(json, model);
  json.member("modified_at", ollama::timestamp(created));
  json.end_object();
  return response;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<ShowBody> body = read(services, exchange->request().body);
  if (!body.has_value()) {
    exchange->respond(ollama::error_response(body.error()));
    return;
  }
  with_model(services, exchange, body->model, [exchange](const Result<manager::Lease>& lease) {
    exchange->respond(lease.has_value() ? describe(lease->model())
                                        : ollama::error_response(lease.error()));
  });
}

}  // namespace

extern const Endpoint kOllamaShowEndpoint;
const Endpoint kOllamaShowEndpoint{
    .method = "POST",
    .path = "/api/show",
    .summary = "Ollama: what is known of a model",
    .handle = handle,
    .fields = field_rows,
    .body_type = "",
};

}  // namespace inferneo::gateway::endpoints
