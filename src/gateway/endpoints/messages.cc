// Anthropic's dialect of a conversation.
#include <utility>

#include "gateway/endpoints/anthropic/answer.h"
#include "gateway/endpoints/anthropic/error.h"
#include "gateway/endpoints/anthropic/request.h"
#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {
namespace {

using anthropic::MessagesRequest;

Result<MessagesRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return anthropic::bind_messages_request(std::move(body), /*counts_only=*/false);
}

Result<GenerationJob> make_job(const Services& services,
                               MessagesRequest request,
                               const std::string& request_id,
                               manager::Lease lease,
                               TimePoint started_at) {
  const bool stream = request.chat.stream;
  const anthropic::MessageOptions message{std::move(request.stop_sequences), request_id};
  const auto make_answer = [&](AnswerOptions options) {
    options.call_id_prefix = "toolu_";
    return stream ? anthropic::make_message_stream(std::move(options), message)
                  : anthropic::make_message(std::move(options), message);
  };
  return make_chat_job(
      services, std::move(request.chat), std::move(lease), started_at, "msg_", make_answer);
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  const auto error_response = [exchange](const Status& status) {
    return anthropic::error_response(status, *exchange);
  };
  Result<MessagesRequest> request = read(exchange->request());
  if (!request.has_value()) return exchange->respond(error_response(request.error()));
  GenerationPlan plan{
      .model = request->chat.model, .make_job = {}, .error_response = error_response};
  plan.make_job = [&services,
                   request = *std::move(request),
                   id = exchange->request().head.request_id,
                   started_at](manager::Lease lease) mutable {
    return make_job(services, std::move(request), id, std::move(lease), started_at);
  };
  generate(services, exchange, std::move(plan));
}

}  // namespace

extern const Endpoint kMessagesEndpoint;
const Endpoint kMessagesEndpoint{
    .method = "POST",
    .path = "/v1/messages",
    .summary = "Anthropic's Messages: the model's reply to a conversation, whole or streamed",
    .handle = handle,
    .fields = anthropic::messages_field_rows,
};

}  // namespace inferneo::gateway::endpoints
