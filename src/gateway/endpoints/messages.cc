// Anthropic's dialect of a conversation.
#include <utility>

#include "gateway/endpoints/anthropic/answer.h"
#include "gateway/endpoints/anthropic/error.h"
#include "gateway/endpoints/anthropic/request.h"
#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/model_lease.h"

namespace inferneo::gateway::endpoints {
namespace {

using anthropic::MessagesRequest;

Result<MessagesRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return anthropic::bind_messages_request(std::move(body), /*counts_only=*/false);
}

void start(const Services& services,
           const std::shared_ptr<http::Exchange>& exchange,
           MessagesRequest request,
           const Result<manager::Lease>& lease,
           TimePoint started_at) {
  const bool stream = request.chat.stream;
  anthropic::MessageOptions message{std::move(request.stop_sequences),
                                    exchange->request().head.request_id};
  const auto make_answer = [&](AnswerOptions options) {
    options.call_id_prefix = "toolu_";
    return stream ? anthropic::make_message_stream(std::move(options), message)
                  : anthropic::make_message(std::move(options), message);
  };
  Result<GenerationJob> job =
      lease.has_value()
          ? make_chat_job(
                services, std::move(request.chat), *lease, started_at, "msg_", make_answer)
          : lease.error();
  if (!job.has_value()) {
    exchange->respond(anthropic::error_response(job.error(), *exchange));
    return;
  }
  start_generation(services, exchange, *std::move(job));
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<MessagesRequest> request = read(exchange->request());
  if (!request.has_value()) {
    exchange->respond(anthropic::error_response(request.error(), *exchange));
    return;
  }
  const std::string model = request->chat.model;
  with_model(services,
             exchange,
             model,
             [&services, exchange, request = *std::move(request), started_at](
                 const Result<manager::Lease>& lease) mutable {
               start(services, exchange, std::move(request), lease, started_at);
             });
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
