// What the endpoints of /api/v1/model_serving share: the envelope of their answers, who may call
// them, and how a version of a model is shown.
// Thread: front, and the administrator's thread in tasks of change_models().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/endpoints/endpoint.h"
#include "manager/model_admin.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// {"status": "success", "data", "server_side_rendered": true} and "message" unless it is empty.
void answer_data(http::Exchange& exchange,
                 text::Value data,
                 std::string_view message = {},
                 int http_status = 200);
// The error object of all endpoints, with "detail" beside it, which clients of this API read.
void answer_failure(http::Exchange& exchange, const Status& status);

// Answers 404 or 403 and returns false where the server's configuration forbids the call.
bool may_read_models(const Services& services, http::Exchange& exchange);
// The same for a call that changes something; then runs `change` on the administrator's thread,
// or answers 503 when too many wait. `change` answers the exchange.
using ModelChangeTask = UniqueFunction<void(manager::ModelAdmin&, const manager::Actor&)>;
void change_models(const Services& services,
                   const std::shared_ptr<http::Exchange>& exchange,
                   ModelChangeTask change);

// A parameter of the query, percent-decoded; empty when it is not there.
std::string query_parameter(std::string_view query, std::string_view name);
// "id" of the path and "version" of the query as one: "name", "name:version" or an alias.
std::string target_of(std::string_view id, const http::RequestHead& head);

// A count as a JSON number.
template <typename Count>
text::Value number(Count count) {
  return static_cast<std::int64_t>(count);
}
text::Value or_null(std::string_view text);

// Gigabytes are 10^9 bytes.
double gigabytes(std::uint64_t bytes);
text::Value memory_value(const manager::VersionInfo& version);
// "healthy", "rolled_back", "error", "loading", "unloaded"
std::string_view health_word(const manager::ModelAdmin& admin, const manager::VersionInfo& version);
text::Value health_value(const manager::ModelAdmin& admin, const manager::VersionInfo& version);
text::Value serving_value(const manager::VersionInfo& version);
text::Value engine_value(const manager::VersionInfo& version);
// How requests for a name are shared between its versions now.
text::Value balance_value(const manager::ModelAdmin& admin, const std::string& name);
// All of the above and what the catalog records.
text::Value allocation_value(const manager::ModelAdmin& admin, const manager::VersionInfo& version);
text::Value performance_value(const Services& services);
text::Value health_summary_value(const Services& services);

}  // namespace inferneo::gateway::endpoints
