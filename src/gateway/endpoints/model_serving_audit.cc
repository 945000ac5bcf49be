// GET /api/v1/model_serving/audit: who changed what.
#include <charconv>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "manager/catalog_json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

Result<std::uint64_t> count_parameter(std::string_view query,
                                      std::string_view name,
                                      std::uint64_t otherwise,
                                      std::uint64_t max) {
  const std::string text = query_parameter(query, name);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec == std::errc() && parsed.ptr == end && value >= 1 && value <= max) return value;
  return invalid_argument(str("'", name, "' must be a number from 1 to ", max))
      .with_where(std::string(name));
}

Result<manager::AuditQuery> read_query(const http::RequestHead& head) {
  manager::AuditQuery query;
  query.subject = query_parameter(head.query, "model");
  ASSIGN_OR_RETURN(query.before_id, count_parameter(head.query, "before", 0, INT64_MAX));
  ASSIGN_OR_RETURN(const std::uint64_t limit,
                   count_parameter(head.query, "limit", query.count_max, 1000));
  query.count_max = static_cast<std::size_t>(limit);
  return query;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  const Result<manager::AuditQuery> query = read_query(exchange->request().head);
  if (!query.has_value()) return answer_failure(*exchange, query.error());
  const auto records = services.admin->catalog().audit(*query);
  if (!records.has_value()) return answer_failure(*exchange, records.error());
  Value::List list;
  for (const manager::AuditRecord& record : *records) list.push_back(manager::audit_value(record));
  Value::Dict data;
  data.emplace_back("records", std::move(list));
  // What to ask for next, when there may be more.
  data.emplace_back("next_before",
                    records->size() == query->count_max ? number(records->back().id) : Value());
  answer_data(*exchange, std::move(data));
}

}  // namespace

extern const Endpoint kModelServingAuditEndpoint;
const Endpoint kModelServingAuditEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/audit",
    .summary = "Changes and refused changes, newest first (`?model=`, `?before=ID`, `?limit=`)",
    .handle = handle,
    .query = "model,before,limit",
};

}  // namespace inferneo::gateway::endpoints
