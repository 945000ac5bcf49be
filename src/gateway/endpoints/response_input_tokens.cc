#include <utility>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_response.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/prompts.h"
#include "gateway/endpoints/response_job.h"

namespace inferneo::gateway::endpoints {
namespace {

Result<std::string> count(ResponseRequest request, const manager::ServedModel& model) {
  ASSIGN_OR_RETURN(const std::string text, render_chat(model, std::move(request.prompt)));
  ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                   encode(model, text, request.add_special_tokens.value_or(false)));
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.member("object", "response.input_tokens");
  json.member("input_tokens", ids.size());
  json.end_object();
  return body;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  std::shared_ptr<const ResponseTurn> before;
  Result<ResponseRequest> request =
      read_response_request(services, exchange->request().body, before);
  if (!request.has_value()) return respond_json(*exchange, request.error());
  const std::string model = request->model;
  with_model(services,
             exchange,
             model,
             [exchange, request = *std::move(request)](Result<manager::Lease> lease) mutable {
               respond_json(*exchange,
                            lease.has_value() ? count(std::move(request), lease->model())
                                              : Result<std::string>(lease.error()));
             });
}

}  // namespace

extern const Endpoint kResponseInputTokensEndpoint;
const Endpoint kResponseInputTokensEndpoint{
    .method = "POST",
    .path = "/v1/responses/input_tokens",
    .summary = "How many tokens the input of a response would have",
    .handle = handle,
    .fields = response_field_rows,
};

}  // namespace inferneo::gateway::endpoints
