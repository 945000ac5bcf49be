// Ollama's dialect of a conversation.
#include <utility>

#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/ollama/answer.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/ollama/generation.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints {
namespace {

using ollama::AnswerKind;
using ollama::CommonRequest;
using text::Value;

struct ChatBody : CommonRequest {
  Value messages;
  Value tools;
};

Status bind_messages_field(Value& value, ChatBody& body) {
  ASSIGN_OR_RETURN(body.messages, ollama::translate_messages(value));
  return ok_status();
}

Status bind_tools_field(Value& value, ChatBody& body) {
  return bind_tools(value, body.chat.prompt);
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<ChatBody> kFields[] = {
    {{"messages",
      kWorks,
      "messages of system, user, assistant and tool; none: only load the model"},
     bind_messages_field},
    {{"tools", kWorks, "as for /v1/chat/completions"}, bind_tools_field},
    {{"logprobs", FieldUse::kRefused, "use /v1/chat/completions"}, nullptr},
    {{"top_logprobs", FieldUse::kRefused, "use /v1/chat/completions"}, nullptr},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<ChatBody>>(kFields), rows);
  append_rows(ollama::common_fields(), rows);
  return rows;
}

Result<ChatBody> read(const Services& services, const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  ChatBody body;
  body.chat.stream = true;
  RETURN_IF_ERROR(bind_fields(
      members, ollama::common_fields(), std::span<const Field<ChatBody>>(kFields), body));
  body.chat.model = ollama::served_name(services, std::move(body.chat.model));
  if (body.messages.as_list() == nullptr || body.messages.as_list()->empty()) {
    body.messages = Value();
    return body;
  }
  // Before the messages are bound, which moves them.
  const Value* role = body.messages.as_list()->back().find("role");
  body.chat.prompt.continue_final_message =
      role != nullptr && role->as_string() != nullptr && *role->as_string() == "assistant";
  RETURN_IF_ERROR(at_field(bind_messages(body.messages, body.chat.prompt), "messages"));
  body.messages = Value(true);  // there are some
  RETURN_IF_ERROR(check_chat_prompt(body.chat.prompt));
  return body;
}

Result<GenerationJob> make_job(const Services& services,
                               ChatBody body,
                               manager::Lease lease,
                               TimePoint started_at) {
  const bool stream = body.chat.stream;
  const auto make_answer = [stream](AnswerOptions options) {
    return ollama::make_answer(std::move(options), AnswerKind::kChat, stream);
  };
  return make_chat_job(
      services, std::move(body.chat), std::move(lease), started_at, "chat-", make_answer);
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<ChatBody> body = read(services, exchange->request().body);
  if (!body.has_value()) return exchange->respond(ollama::error_response(body.error()));
  if (body->messages.is_null()) {
    return ollama::answer_load(services, exchange, *body, AnswerKind::kChat);
  }
  GenerationPlan plan = ollama::plan_generation(*body);
  plan.make_job = [&services, body = *std::move(body), started_at](manager::Lease lease) mutable {
    return make_job(services, std::move(body), std::move(lease), started_at);
  };
  generate(services, exchange, std::move(plan));
}

}  // namespace

extern const Endpoint kOllamaChatEndpoint;
const Endpoint kOllamaChatEndpoint{
    .method = "POST",
    .path = "/api/chat",
    .summary = "Ollama: the model's reply to a conversation, whole or line by line",
    .handle = handle,
    .fields = field_rows,
    .body_type = "",
};

}  // namespace inferneo::gateway::endpoints
