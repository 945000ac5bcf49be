#include "gateway/http/message.h"

namespace inferneo::gateway::http {

std::string_view RequestHead::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace inferneo::gateway::http
