#include "gateway/endpoints/response_job.h"

#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {

Result<ResponseRequest> read_response_request(const Services& services,
                                              const std::string& body,
                                              std::shared_ptr<const ResponseTurn>& before) {
  ASSIGN_OR_RETURN(text::Value::Dict object, parse_json_object(body));
  ASSIGN_OR_RETURN(ResponseRequest request, bind_response_request(std::move(object)));
  text::Value::List said;
  if (!request.previous_response_id.empty()) {
    const auto stored = services.responses->find(request.previous_response_id);
    if (stored == nullptr || stored->turn == nullptr) {
      return not_found(str("the response '",
                           printable(request.previous_response_id),
                           stored == nullptr ? "' is not stored (any more)"
                                             : "' is not complete, so that nothing can follow it"))
          .with_where("previous_response_id")
          .with_hint("send the whole conversation as input");
    }
    before = stored->turn;
    if (before->message_count() + request.input.messages.size() >= limits::kMessageCountMax) {
      return invalid_argument(str("the conversation has more than ",
                                  limits::kMessageCountMax,
                                  " messages, which is the most"))
          .with_where("previous_response_id");
    }
    said = before->conversation();
  }
  RETURN_IF_ERROR(join_conversation(request, std::move(said)));
  return request;
}

Result<std::shared_ptr<const StoredResponse>> find_response(const Services& services,
                                                            std::string_view id) {
  auto stored = services.responses->find(id);
  if (stored == nullptr) {
    return not_found(str("the response '", printable(id), "' is not stored (any more)"));
  }
  return stored;
}

}  // namespace inferneo::gateway::endpoints
