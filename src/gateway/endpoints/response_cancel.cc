#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/response_job.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kResponseCancelEndpoint;
const Endpoint kResponseCancelEndpoint{
    .method = "POST",
    .path = "/v1/responses/{id}/cancel",
    .summary = "Stops a response that is made in the background",
    .handle = handle,
    // Clients send it without a body.
    .body_type = {},
};

namespace {

Result<std::string> cancel(const Services& services, std::string_view id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const StoredResponse> stored, find_response(services, id));
  if (!stored->in_background) {
    return invalid_argument("only a response that was made in the background can be cancelled")
        .with_hint("close the connection of the others");
  }
  UniqueFunction<void()> stop = services.responses->take_cancel(id);
  if (!stop)
    return services.responses->find(id) == nullptr ? stored->body
                                                   : services.responses->find(id)->body;
  ASSIGN_OR_RETURN(text::Value body, text::parse_json(stored->body));
  body.set("status", text::Value("cancelled"));
  StoredResponse cancelled = *stored;
  cancelled.body = text::to_json(body);
  cancelled.is_final = true;
  std::string shown = cancelled.body;
  services.responses->put(std::move(cancelled), true);
  stop();
  return shown;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const auto body =
      cancel(services, path_id(kResponseCancelEndpoint, exchange->request().head.path));
  http::Response response;
  if (body.has_value()) {
    response.body = *body;
  } else {
    response = http::error_response(body.error());
  }
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
