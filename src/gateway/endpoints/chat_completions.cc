#include <utility>

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

Result<ChatRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return bind_chat_request(std::move(body));
}

Result<GenerationJob> prepare(ChatRequest chat, manager::Lease lease, TimePoint started_at) {
  const manager::ServedModel& model = lease.model();
  ASSIGN_OR_RETURN(const std::string text, render_chat(model, std::move(chat.prompt)));
  ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                   encode(model, text, chat.add_special_tokens.value_or(false)));
  ASSIGN_OR_RETURN(request::GenerateRequest request,
                   make_generate_request(model, chat, std::move(ids), 0, "messages"));
  AnswerOptions options;
  options.identity = make_identity("chatcmpl-", model);
  options.prompts.push_back({.text = {}, .ids = request.prompt});
  options.choice_count = chat.choice_count;
  options.logprobs = chat.logprobs;
  options.prompt_logprobs = chat.prompt_logprobs.has_value();
  options.return_token_ids = chat.return_token_ids;
  options.include_usage = chat.include_usage;
  options.continuous_usage = chat.continuous_usage;
  options.skip_special_tokens = chat.skip_special_tokens;
  options.tokenizer = model.tokenizer.get();
  GenerationJob job{.lease = std::move(lease),
                    .requests = {},
                    .answer = chat.stream ? make_chat_stream(std::move(options))
                                          : make_chat_answer(std::move(options)),
                    .stream = chat.stream,
                    .started_at = started_at};
  job.requests.push_back(std::move(request));
  return job;
}

void start(const Services& services,
           std::shared_ptr<http::Exchange> exchange,
           ChatRequest chat,
           Result<manager::Lease> lease,
           TimePoint started_at) {
  Result<GenerationJob> job =
      lease.has_value() ? prepare(std::move(chat), *std::move(lease), started_at) : lease.error();
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
