// How many tokens Anthropic's dialect would make of a conversation; nothing is generated.
#include <utility>

#include "gateway/endpoints/anthropic/error.h"
#include "gateway/endpoints/anthropic/request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using anthropic::MessagesRequest;

Result<MessagesRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return anthropic::bind_messages_request(std::move(body), /*counts_only=*/true);
}

Result<http::Response> count(MessagesRequest request, const Result<manager::Lease>& lease) {
  if (!lease.has_value()) return lease.error();
  ASSIGN_OR_RETURN(const std::string text,
                   render_chat(lease->model(), std::move(request.chat.prompt)));
  ASSIGN_OR_RETURN(const std::vector<TokenId> ids, encode(lease->model(), text, false));
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("input_tokens", ids.size());
  json.end_object();
  return response;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Result<MessagesRequest> request = read(exchange->request());
  if (!request.has_value()) {
    exchange->respond(anthropic::error_response(request.error(), *exchange));
    return;
  }
  const std::string model = request->chat.model;
  with_model(
      services,
      exchange,
      model,
      [exchange, request = *std::move(request)](const Result<manager::Lease>& lease) mutable {
        Result<http::Response> counted = count(std::move(request), lease);
        exchange->respond(counted.has_value()
                              ? *std::move(counted)
                              : anthropic::error_response(counted.error(), *exchange));
      });
}

}  // namespace

extern const Endpoint kMessagesCountTokensEndpoint;
const Endpoint kMessagesCountTokensEndpoint{
    .method = "POST",
    .path = "/v1/messages/count_tokens",
    .summary = "Anthropic's Messages: how many tokens a conversation has",
    .handle = handle,
    .fields = anthropic::messages_field_rows,
};

}  // namespace inferneo::gateway::endpoints
