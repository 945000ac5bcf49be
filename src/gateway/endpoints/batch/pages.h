// Lists that are told in pages: limit and after in the query, has_more in the answer.
// Spec: OpenAI API reference, pagination.
// Thread: any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/str.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/query.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::endpoints::batch {

inline constexpr std::int64_t kPageSizeMax = 10'000;

// `records` newest first; each has an id. Failures: invalid_argument at "limit", not_found at
// "after".
template <typename Record, typename Write>
Result<http::Response> write_page(const std::vector<Record>& records,
                                  std::string_view query,
                                  std::int64_t limit_default,
                                  const Write& write) {
  ASSIGN_OR_RETURN(const std::int64_t limit,
                   query_integer(query, "limit", 1, kPageSizeMax, limit_default));
  std::size_t begin = 0;
  if (const std::optional<std::string> after = query_value(query, "after")) {
    while (begin < records.size() && records[begin].id != *after) ++begin;
    if (begin == records.size()) {
      return not_found(str("'after' is '", printable(*after), "', which is not in the list"))
          .with_where("after");
    }
    ++begin;
  }
  const std::size_t end = std::min(records.size(), begin + static_cast<std::size_t>(limit));
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  for (std::size_t i = begin; i < end; ++i) write(json, records[i]);
  json.end_array();
  json.key("first_id");
  if (begin < end) {
    json.string(records[begin].id);
    json.member("last_id", records[end - 1].id);
  } else {
    json.null();
    json.member_null("last_id");
  }
  json.key("has_more");
  json.boolean(end < records.size());
  json.end_object();
  return response;
}

}  // namespace inferneo::gateway::endpoints::batch
