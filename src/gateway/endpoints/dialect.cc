#include "gateway/endpoints/dialect.h"

#include "base/str.h"

namespace inferneo::gateway::endpoints {

const Dialect kOpenAiDialect{.append_stream_error = [](const Status& status, std::string& out) {
  out += str("data: ", http::error_json(status), "\n\n");
}};

}  // namespace inferneo::gateway::endpoints
