// Text in, text out, over the generate extension of the Open Inference Protocol.
// Spec: KServe's generate REST endpoint; Triton's generate extension, with the names of its vLLM
// and TensorRT-LLM backends.
#include <limits>
#include <utility>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/kserve/answer.h"
#include "gateway/endpoints/kserve/error.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// Spec: OpenAI's default for completions, which the backends share.
constexpr std::int32_t kMaxTokensDefault = 16;
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

struct GenerateBody : GenerationParams {
  std::optional<std::string> text;
  std::string id;
  bool exclude_input = true;
};

template <typename Target, typename T>
Status assign(Target& target, Result<T> read) {
  if (!read.has_value()) return std::move(read).error();
  target = *std::move(read);
  return ok_status();
}

Status bind_stop(Value& value, GenerateBody& body) {
  std::vector<Value> one{value};
  const Value::List* list = value.as_string() != nullptr ? &one : value.as_list();
  if (list == nullptr) return wrong_value("a string or a list of strings", value);
  if (list->size() > limits::kStopCountMax) {
    return invalid_argument(str("holds more than ", limits::kStopCountMax, " strings"));
  }
  for (Value item : *list) {
    ASSIGN_OR_RETURN(std::string text, take_string(item, limits::kStopSizeMax));
    if (text.empty()) return invalid_argument("must not be empty");
    body.sampling.stop.push_back(std::move(text));
  }
  return ok_status();
}

Status bind_seed(Value& value, GenerateBody& body) {
  ASSIGN_OR_RETURN(const std::int64_t seed,
                   read_integer(value,
                                std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max()));
  body.sampling.seed = static_cast<std::uint64_t>(seed);
  return ok_status();
}

// Fields of the body, and of its member parameters, are the same.
Status bind_parameters(Value& value, std::string_view name, GenerateBody& body);

constexpr auto kWorks = FieldUse::kWorks;

#define BIND(expression) [](Value& value, GenerateBody& body) -> Status { return expression; }

constexpr Field<GenerateBody> kFields[] = {
    {{"text_input", kWorks, "the prompt, as it is"},
     BIND(assign(body.text, take_string(value, limits::kHttpBodySizeMax)))},
    {{"id", kWorks, "told back"}, BIND(assign(body.id, take_string(value, 256)))},
    {{"parameters", kWorks, "an object of the fields below"},
     BIND(bind_parameters(value, "parameters", body))},
    {{"sampling_parameters", kWorks, "the same as an object or as its JSON text"},
     BIND(bind_parameters(value, "sampling_parameters", body))},
    {{"max_tokens", kWorks, "1 or more generated tokens; default 16"},
     BIND(assign(body.max_tokens, read_int32(value, 1, kInt32Max)))},
    {{"temperature", kWorks, "0 to 2; 0 is greedy; default from the model, else 1"},
     BIND(assign(body.temperature, read_number(value, {.min = 0, .max = 2})))},
    {{"top_p", kWorks, "above 0, up to 1; default from the model, else 1"},
     BIND(assign(body.top_p, read_number(value, {.min = 0, .max = 1, .min_excluded = true})))},
    {{"top_k", kWorks, "1 or more; 0 means all; default from the model, else all"},
     BIND(assign(body.top_k, read_int32(value, 0, kInt32Max)))},
    {{"min_p", kWorks, "0 to 1; default from the model, else 0"},
     BIND(assign(body.min_p, read_number(value, {.min = 0, .max = 1})))},
    {{"repetition_penalty", kWorks, "above 0, up to 10; default from the model, else 1"},
     BIND(assign(body.repetition_penalty,
                 read_number(value, {.min = 0, .max = 10, .min_excluded = true})))},
    {{"presence_penalty", kWorks, "-2 to 2; default 0"},
     BIND(assign(body.sampling.presence_penalty, read_number(value, {.min = -2, .max = 2})))},
    {{"frequency_penalty", kWorks, "-2 to 2; default 0"},
     BIND(assign(body.sampling.frequency_penalty, read_number(value, {.min = -2, .max = 2})))},
    {{"seed", kWorks, "any integer of 64 bits"}, bind_seed},
    {{"random_seed", kWorks, "the same as seed"}, bind_seed},
    {{"stop", kWorks, "a string or up to 16, each 1 to 256 bytes"}, bind_stop},
    {{"stop_words", kWorks, "the same as stop"}, bind_stop},
    {{"ignore_eos", kWorks, "go on after the model's end token; default false"},
     BIND(assign(body.sampling.ignore_eos, read_bool(value)))},
    {{"exclude_input_in_output", kWorks, "leave the prompt out of the text; default true"},
     BIND(assign(body.exclude_input, read_bool(value)))},
    {{"stream", kWorks, "as the path says: true only for generate_stream"},
     BIND(assign(body.stream, read_bool(value)))},
    {{"bad_words", FieldUse::kRefused, "use /v1/completions with logit_bias"}, nullptr},
};
#undef BIND

Status bind_all(Value::Dict& members, GenerateBody& body) {
  return bind_fields(members,
                     std::span<const Field<GenerateBody>>(),
                     std::span<const Field<GenerateBody>>(kFields),
                     body);
}

Status bind_parameters(Value& value, std::string_view name, GenerateBody& body) {
  Value::Dict parsed;
  Value::Dict* members = value.as_dict();
  if (const std::string* text = value.as_string()) {
    ASSIGN_OR_RETURN(parsed, parse_json_object(*text));
    members = &parsed;
  }
  if (members == nullptr) return wrong_value("an object", value);
  Status status = bind_all(*members, body);
  if (status.ok() || status.where().empty()) return status;
  std::string where = str(name, ".", status.where());
  return std::move(status).with_where(std::move(where));
}

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<GenerateBody>>(kFields), rows);
  return rows;
}

Result<GenerateBody> read(const std::string& http_body, bool streams) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  GenerateBody body;
  body.stream = streams;
  RETURN_IF_ERROR(bind_all(members, body));
  if (!body.text) return invalid_argument("'text_input' must be given").with_where("text_input");
  if (body.stream && !streams) {
    return invalid_argument("'stream' is true, but this path does not stream; use generate_stream")
        .with_where("stream");
  }
  body.stream = streams;
  return body;
}

Result<GenerationJob> make_job(GenerateBody body,
                               manager::Lease lease,
                               std::string version,
                               TimePoint started_at) {
  const manager::ServedModel& model = lease.model();
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode(model, *body.text, true));
  ASSIGN_OR_RETURN(
      request::GenerateRequest request,
      make_generate_request(model, body, std::move(ids), kMaxTokensDefault, "text_input"));
  AnswerOptions options;
  options.identity = make_identity("gen-", model);
  options.prompts.push_back({.text = {}, .ids = request.prompt});
  options.tokenizer = model.tokenizer.get();
  kserve::TextOutputOptions output{.id = std::move(body.id),
                                   .version = std::move(version),
                                   .prefix = body.exclude_input ? std::string() : *body.text};
  GenerationJob job{
      .lease = std::move(lease),
      .requests = {},
      .answer = kserve::make_text_output(std::move(options), std::move(output), body.stream),
      .stream = body.stream,
      .started_at = started_at};
  job.requests.push_back(std::move(request));
  return job;
}

void answer(const Services& services,
            const std::shared_ptr<http::Exchange>& exchange,
            const Endpoint& endpoint,
            bool streams) {
  const TimePoint started_at = services.clock->now();
  const std::string& path = exchange->request().head.path;
  Result<GenerateBody> body = read(exchange->request().body, streams);
  if (!body.has_value()) return exchange->respond(kserve::error_response(body.error()));
  GenerationPlan plan{.model = kserve::target_of(endpoint, path),
                      .make_job = {},
                      .error_response = kserve::error_response};
  plan.make_job = [body = *std::move(body),
                   version = std::string(path_parameter(endpoint, path, "version")),
                   started_at](manager::Lease lease) mutable {
    return make_job(std::move(body), std::move(lease), std::move(version), started_at);
  };
  generate(services, exchange, std::move(plan));
}

void handle_whole(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_stream(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_version_stream(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kKserveGenerateEndpoint;
const Endpoint kKserveGenerateEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/generate",
    .summary = "Open Inference Protocol: the continuation of a text",
    .handle = handle_whole,
    .fields = field_rows,
};

extern const Endpoint kKserveGenerateStreamEndpoint;
const Endpoint kKserveGenerateStreamEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/generate_stream",
    .summary = "Open Inference Protocol: the continuation of a text as server-sent events",
    .handle = handle_stream,
    .fields = field_rows,
};

extern const Endpoint kKserveGenerateVersionEndpoint;
const Endpoint kKserveGenerateVersionEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/versions/{version}/generate",
    .summary = "Open Inference Protocol: the same by one version of a model",
    .handle = handle_version,
    .fields = field_rows,
};

extern const Endpoint kKserveGenerateStreamVersionEndpoint;
const Endpoint kKserveGenerateStreamVersionEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/versions/{version}/generate_stream",
    .summary = "Open Inference Protocol: the same by one version of a model",
    .handle = handle_version_stream,
    .fields = field_rows,
};

namespace {

void handle_whole(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, kKserveGenerateEndpoint, false);
}
void handle_stream(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, kKserveGenerateStreamEndpoint, true);
}
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, kKserveGenerateVersionEndpoint, false);
}
void handle_version_stream(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, exchange, kKserveGenerateStreamVersionEndpoint, true);
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
