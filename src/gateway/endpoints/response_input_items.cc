#include <algorithm>
#include <charconv>
#include <vector>

#include "base/str.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/response_job.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kResponseInputItemsEndpoint;
const Endpoint kResponseInputItemsEndpoint{
    .method = "GET",
    .path = "/v1/responses/{id}/input_items",
    .summary = "The items that a stored response was asked with (query: limit, order, after)",
    .handle = handle,
};

namespace {

// Spec: OpenAI's default and bound for lists.
constexpr std::size_t kLimitDefault = 20;
constexpr std::size_t kLimitMax = 100;

struct Page {
  std::size_t limit = kLimitDefault;
  bool is_ascending = false;
  std::string after;
};

Result<Page> read_page(std::string_view query) {
  Page page;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    if (name == "limit") {
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), page.limit);
      if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size() || page.limit < 1 ||
          page.limit > kLimitMax) {
        return invalid_argument(str("'limit' must be an integer from 1 to ", kLimitMax))
            .with_where("limit");
      }
    } else if (name == "order") {
      if (value != "asc" && value != "desc") {
        return invalid_argument("'order' must be asc or desc").with_where("order");
      }
      page.is_ascending = value == "asc";
    } else if (name == "after") {
      page.after = value;
    }
  }
  return page;
}

Result<std::string> list(const Services& services, std::string_view id, std::string_view query) {
  ASSIGN_OR_RETURN(const Page page, read_page(query));
  ASSIGN_OR_RETURN(const std::shared_ptr<const StoredResponse> stored, find_response(services, id));
  std::vector<std::size_t> order(stored->input_items.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = page.is_ascending ? i : order.size() - 1 - i;
  }
  std::size_t begin = 0;
  if (!page.after.empty()) {
    const auto found = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
      return stored->input_item_ids[i] == page.after;
    });
    if (found == order.end()) {
      return invalid_argument("'after' names no item of this response").with_where("after");
    }
    begin = static_cast<std::size_t>(found - order.begin()) + 1;
  }
  const std::size_t end = std::min(order.size(), begin + page.limit);
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  for (std::size_t i = begin; i < end; ++i) json.members(stored->input_items[order[i]]);
  json.end_array();
  const auto write_id = [&](std::string_view name, std::size_t at) {
    json.key(name);
    if (begin == end) return json.null();
    json.string(stored->input_item_ids[order[at]]);
  };
  write_id("first_id", begin);
  write_id("last_id", end - 1);
  json.key("has_more");
  json.boolean(end < order.size());
  json.end_object();
  return body;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const http::RequestHead& head = exchange->request().head;
  const auto body = list(services, path_id(kResponseInputItemsEndpoint, head.path), head.query);
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
