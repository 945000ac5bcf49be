#include "gateway/endpoints/model_serving.h"

#include <chrono>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/query.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::string_view kSwitchHint =
    "the configuration key 'management' decides; on an address that others can reach it is "
    "read-only unless it says 'on'";

manager::Actor actor_of(const http::Exchange& exchange) {
  const std::string& address = exchange.request().head.remote_address;
  // Without an address it is the command line on the catalog itself. There are no keys yet:
  // everyone who reaches the server is the same principal.
  return {.principal = address.empty() ? "cli" : "anonymous", .address = address};
}

}  // namespace

void answer_data(http::Exchange& exchange, Value data, std::string_view message, int http_status) {
  Value::Dict body;
  body.emplace_back("status", http_status == 202 ? "accepted" : "success");
  if (!message.empty()) body.emplace_back("message", message);
  body.emplace_back("data", std::move(data));
  body.emplace_back("server_side_rendered", true);
  http::Response response;
  response.status = http_status;
  response.body = text::to_json(body);
  exchange.respond(std::move(response));
}

void answer_failure(http::Exchange& exchange, const Status& status) {
  http::Response response = http::error_response(status);
  Result<Value> body = text::parse_json(response.body);
  if (body.has_value()) {
    const Value* error = body->find("error");
    const Value* message = error == nullptr ? nullptr : error->find("message");
    if (message != nullptr) body->set("detail", *message);
    response.body = text::to_json(*body);
  }
  exchange.respond(std::move(response));
}

bool may_read_models(const Services& services, http::Exchange& exchange) {
  if (services.admin != nullptr && services.management != ManagementUse::kOff) return true;
  answer_failure(exchange,
                 not_found("the management of models is off").with_hint(std::string(kSwitchHint)));
  return false;
}

void change_models(const Services& services,
                   const std::shared_ptr<http::Exchange>& exchange,
                   ModelChangeTask change) {
  if (!may_read_models(services, *exchange)) return;
  if (services.management != ManagementUse::kOn) {
    answer_failure(*exchange,
                   permission_denied("the management of models is read-only here")
                       .with_hint(std::string(kSwitchHint)));
    return;
  }
  manager::ModelAdmin& admin = *services.admin;
  const Status status =
      admin.run([&admin, actor = actor_of(*exchange), change = std::move(change)]() mutable {
        change(admin, actor);
      });
  if (!status.ok()) answer_failure(*exchange, status);
}

std::string query_parameter(std::string_view query, std::string_view name) {
  return query_value(query, name).value_or(std::string());
}

std::string target_of(std::string_view id, const http::RequestHead& head) {
  const std::string version = query_parameter(head.query, "version");
  return version.empty() ? std::string(id) : str(id, ":", version);
}

Value or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

}  // namespace inferneo::gateway::endpoints
