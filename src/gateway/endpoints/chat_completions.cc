#include <utility>

#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/model_lease.h"

namespace inferneo::gateway::endpoints {
namespace {

Result<ChatRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return bind_chat_request(std::move(body));
}

void start(const Services& services,
           std::shared_ptr<http::Exchange> exchange,
           ChatRequest chat,
           Result<manager::Lease> lease,
           TimePoint started_at) {
  const auto make_answer = chat.stream ? make_chat_stream : make_chat_answer;
  Result<GenerationJob> job =
      lease.has_value()
          ? make_chat_job(
                services, std::move(chat), *std::move(lease), started_at, "chatcmpl-", make_answer)
          : lease.error();
  if (!job.has_value()) {
    exchange->respond(http::error_response(job.error()));
    return;
  }
  start_generation(services, std::move(exchange), *std::move(job));
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<ChatRequest> chat = read(exchange->request());
  if (!chat.has_value()) {
    exchange->respond(http::error_response(chat.error()));
    return;
  }
  const std::string model = chat->model;
  const ModelWait wait{.events = chat->stream, .keep_alive = chat->keep_alive};
  with_model(
      services,
      exchange,
      model,
      [&services, exchange, chat = *std::move(chat), started_at](
          Result<manager::Lease> lease) mutable {
        start(services, std::move(exchange), std::move(chat), std::move(lease), started_at);
      },
      wait);
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
