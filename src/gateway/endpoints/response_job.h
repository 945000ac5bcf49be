// From a bound request of the Responses API to a prompt: the turn before, the messages.
// Thread: front.
#pragma once

#include <memory>

#include "base/result.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/response_request.h"
#include "gateway/endpoints/response_store.h"

namespace inferneo::gateway::endpoints {

// Parses, binds, finds the turn that is continued (into `before`) and joins the conversation.
// Failures: those of bind_response_request; not_found at previous_response_id.
Result<ResponseRequest> read_response_request(const Services& services,
                                              const std::string& body,
                                              std::shared_ptr<const ResponseTurn>& before);

// The stored response that a path names, or not_found.
Result<std::shared_ptr<const StoredResponse>> find_response(const Services& services,
                                                            std::string_view id);

}  // namespace inferneo::gateway::endpoints
