// Ollama's dialect of a completion: a prompt in the model's template, or as it is.
#include <utility>

#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/ollama/answer.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/ollama/generation.h"
#include "gateway/endpoints/ollama/request.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using ollama::AnswerKind;
using ollama::CommonRequest;
using text::Value;

struct GenerateBody : CommonRequest {
  std::string prompt;
  std::string system;
  bool raw = false;
};

Status bind_prompt(Value& value, GenerateBody& body) {
  ASSIGN_OR_RETURN(body.prompt, take_string(value, limits::kHttpBodySizeMax));
  return ok_status();
}

Status bind_system(Value& value, GenerateBody& body) {
  ASSIGN_OR_RETURN(body.system, take_string(value, limits::kHttpBodySizeMax));
  return ok_status();
}

Status bind_raw(Value& value, GenerateBody& body) {
  ASSIGN_OR_RETURN(body.raw, read_bool(value));
  return ok_status();
}

// Fields that are accepted where they ask for nothing.
Status accept_empty(const Value& value, std::string_view why_else) {
  const bool empty = (value.as_string() != nullptr && value.as_string()->empty()) ||
                     (value.as_list() != nullptr && value.as_list()->empty());
  return empty ? ok_status() : unsupported(str("is not supported: ", why_else));
}
#define EMPTY_ELSE(why) \
  [](Value& value, GenerateBody&) -> Status { return accept_empty(value, why); }

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;

constexpr Field<GenerateBody> kFields[] = {
    {{"prompt", kWorks, "the text to answer; none: only load the model"}, bind_prompt},
    {{"system", kWorks, "a system message before it"}, bind_system},
    {{"raw", kWorks, "continue the prompt as it is, without the model's template; default false"},
     bind_raw},
    {{"suffix", kNoEffect, "only an empty one is accepted; /v1/completions has it"},
     EMPTY_ELSE("use /v1/completions")},
    {{"images", kNoEffect, "only an empty list is accepted: the model reads text only"},
     EMPTY_ELSE("the model reads text only")},
    {{"template", kNoEffect, "only an empty one is accepted: templates come with the model"},
     EMPTY_ELSE("templates come with the model")},
    {{"context", kNoEffect, "only an empty list is accepted; /api/chat keeps conversations"},
     EMPTY_ELSE("/api/chat keeps conversations")},
    {{"logprobs", FieldUse::kRefused, "use /v1/completions"}, nullptr},
    {{"top_logprobs", FieldUse::kRefused, "use /v1/completions"}, nullptr},
};

#undef EMPTY_ELSE

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<GenerateBody>>(kFields), rows);
  append_rows(ollama::common_fields(), rows);
  return rows;
}

Result<GenerateBody> read(const Services& services, const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  GenerateBody body;
  body.chat.stream = true;
  RETURN_IF_ERROR(bind_fields(
      members, ollama::common_fields(), std::span<const Field<GenerateBody>>(kFields), body));
  body.chat.model = ollama::served_name(services, std::move(body.chat.model));
  return body;
}

Value message_of(std::string_view role, std::string_view content) {
  Value message;
  message.set("role", Value(role));
  message.set("content", Value(content));
  return message;
}

Result<GenerationJob> make_raw_job(const GenerateBody& body,
                                   manager::Lease lease,
                                   TimePoint started_at) {
  const manager::ServedModel& model = lease.model();
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode(model, body.prompt, true));
  ASSIGN_OR_RETURN(request::GenerateRequest request,
                   make_generate_request(model, body.chat, std::move(ids), 0, "prompt"));
  AnswerOptions options;
  options.identity = make_identity("gen-", model);
  options.prompts.push_back({.text = {}, .ids = request.prompt});
  options.tokenizer = model.tokenizer.get();
  const bool stream = body.chat.stream;
  GenerationJob job{
      .lease = std::move(lease),
      .requests = {},
      .answer = ollama::make_answer(std::move(options), AnswerKind::kGenerate, stream),
      .stream = stream,
      .started_at = started_at};
  job.requests.push_back(std::move(request));
  return job;
}

Result<GenerationJob> make_job(const Services& services,
                               GenerateBody body,
                               manager::Lease lease,
                               TimePoint started_at) {
  // A model without a template continues its prompt.
  if (body.raw || lease.model().chat_template == nullptr) {
    return make_raw_job(body, std::move(lease), started_at);
  }
  Value::List messages;
  if (!body.system.empty()) messages.push_back(message_of("system", body.system));
  messages.push_back(message_of("user", body.prompt));
  body.chat.prompt.messages = Value(std::move(messages));
  const bool stream = body.chat.stream;
  return make_chat_job(services,
                       std::move(body.chat),
                       std::move(lease),
                       started_at,
                       "gen-",
                       [stream](AnswerOptions options) {
                         return ollama::make_answer(
                             std::move(options), AnswerKind::kGenerate, stream);
                       });
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<GenerateBody> body = read(services, exchange->request().body);
  if (!body.has_value()) return exchange->respond(ollama::error_response(body.error()));
  if (body->prompt.empty()) {
    return ollama::answer_load(services, exchange, *body, AnswerKind::kGenerate);
  }
  GenerationPlan plan = ollama::plan_generation(*body);
  plan.make_job = [&services, body = *std::move(body), started_at](manager::Lease lease) mutable {
    return make_job(services, std::move(body), std::move(lease), started_at);
  };
  generate(services, exchange, std::move(plan));
}

}  // namespace

extern const Endpoint kOllamaGenerateEndpoint;
const Endpoint kOllamaGenerateEndpoint{
    .method = "POST",
    .path = "/api/generate",
    .summary = "Ollama: the model's answer to a prompt, whole or line by line",
    .handle = handle,
    .fields = field_rows,
    .body_type = "",
};

}  // namespace inferneo::gateway::endpoints
