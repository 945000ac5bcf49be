// An endpoint that exists only to show that a file is enough; see tests/extend/arch/sample.cc.
#include "gateway/endpoints/endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  response.body = "{}";
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kSampleEndpoint;
const Endpoint kSampleEndpoint = {
    .method = "GET", .path = "/sample", .summary = "Answers an empty object.", .handle = handle};

}  // namespace inferneo::gateway::endpoints
