#include <utility>

#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {
namespace {

Result<ChatRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return bind_chat_request(std::move(body));
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<ChatRequest> chat = read(exchange->request());
  if (!chat.has_value()) return exchange->respond(http::error_response(chat.error()));
  GenerationPlan plan{.model = chat->model,
                      .wait = {.events = chat->stream, .keep_alive = chat->keep_alive},
                      .make_job = {}};
  plan.make_job = [&services, chat = *std::move(chat), started_at](manager::Lease lease) mutable {
    const auto make_answer = chat.stream ? make_chat_stream : make_chat_answer;
    return make_chat_job(
        services, std::move(chat), std::move(lease), started_at, "chatcmpl-", make_answer);
  };
  generate(services, exchange, std::move(plan));
}

}  // namespace

extern const Endpoint kChatCompletionsEndpoint;
const Endpoint kChatCompletionsEndpoint{
    .method = "POST",
    .path = "/v1/chat/completions",
    .summary = "The model's reply to a conversation, whole or streamed",
    .handle = handle,
    .fields = chat_field_rows,
};

}  // namespace inferneo::gateway::endpoints
