// Several independent completions or conversations in one request, answered together.
#include <atomic>
#include <mutex>
#include <utility>

#include "gateway/endpoints/batch/local_exchange.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct BatchBody {
  std::vector<Value> requests;
  std::string model;
};

Status bind_requests(Value& value, BatchBody& body) {
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of requests", value);
  if (list->empty()) return invalid_argument("must hold at least one request");
  if (list->size() > limits::kPromptCountMax) {
    return invalid_argument(str("holds ",
                                list->size(),
                                " requests, but at most ",
                                limits::kPromptCountMax,
                                " are accepted"));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string where = str("requests[", i, "]");
    if ((*list)[i].as_dict() == nullptr) {
      return wrong_value("an object", (*list)[i]).with_where(where);
    }
    const Value* stream = (*list)[i].find("stream");
    if (stream != nullptr && stream->as_bool() != nullptr && *stream->as_bool()) {
      return invalid_argument("must not be true in a batch").with_where(where + ".stream");
    }
  }
  body.requests = std::move(*list);
  return ok_status();
}

Status bind_model(Value& value, BatchBody& body) {
  ASSIGN_OR_RETURN(body.model, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

constexpr Field<BatchBody> kFields[] = {
    {{"requests",
      FieldUse::kWorks,
      "1 to 64 bodies of /v1/completions, or of /v1/chat/completions where they have messages; a "
      "member custom_id is told back"},
     bind_requests},
    {{"model", FieldUse::kWorks, "for requests that name none"}, bind_model},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<BatchBody>>(kFields), rows);
  return rows;
}

Result<BatchBody> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(http_body));
  BatchBody body;
  RETURN_IF_ERROR(bind_fields(members,
                              std::span<const Field<BatchBody>>(),
                              std::span<const Field<BatchBody>>(kFields),
                              body));
  if (body.requests.empty()) {
    return invalid_argument("'requests' must be given").with_where("requests");
  }
  return body;
}

// Answers the exchange when the last of its requests has been answered.
class Gathering {
 public:
  Gathering(std::shared_ptr<http::Exchange> exchange, std::size_t count)
      : exchange_(std::move(exchange)), answers_(count), ids_(count), left_(count) {}

  void set_id(std::size_t index, std::string id) { ids_[index] = std::move(id); }
  void watch(const std::shared_ptr<batch::LocalExchange>& exchange) {
    const std::lock_guard lock(mutex_);
    running_.push_back(exchange);
  }
  void take(std::size_t index, http::Response response) {
    {
      const std::lock_guard lock(mutex_);
      answers_[index] = std::move(response);
      if (--left_ > 0) return;
    }
    exchange_->respond(write());
  }
  void abandon() {
    std::vector<std::weak_ptr<batch::LocalExchange>> running;
    {
      const std::lock_guard lock(mutex_);
      running.swap(running_);
    }
    for (const auto& weak : running) {
      if (const auto exchange = weak.lock()) exchange->cancel();
    }
  }

 private:
  [[nodiscard]] http::Response write() const {
    http::Response response;
    JsonWriter json(response.body);
    json.begin_object();
    json.member("id", random_id("batch_", 24));
    json.member("object", "list");
    json.key("data");
    json.begin_array();
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      json.begin_object();
      json.member("index", i);
      if (!ids_[i].empty()) json.member("custom_id", ids_[i]);
      json.member("status_code", answers_[i].status);
      json.key("body");
      json.members(answers_[i].body);
      json.end_object();
    }
    json.end_array();
    json.end_object();
    return response;
  }

  const std::shared_ptr<http::Exchange> exchange_;
  std::mutex mutex_;
  std::vector<http::Response> answers_;
  std::vector<std::string> ids_;
  std::vector<std::weak_ptr<batch::LocalExchange>> running_;
  std::size_t left_;
};

void start_one(const Services& services,
               const std::shared_ptr<Gathering>& gathering,
               const http::RequestHead& head,
               std::size_t index,
               Value body) {
  http::Request request;
  request.head = head;
  request.head.path = body.find("messages") != nullptr ? "/v1/chat/completions" : "/v1/completions";
  request.body = text::to_json(body);
  auto exchange = std::make_shared<batch::LocalExchange>(
      std::move(request),
      [gathering, index](http::Response response) { gathering->take(index, std::move(response)); });
  gathering->watch(exchange);
  services.dispatcher->dispatch(std::move(exchange));
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Result<BatchBody> body = read(exchange->request().body);
  if (!body.has_value()) {
    exchange->respond(http::error_response(body.error()));
    return;
  }
  const http::RequestHead head = exchange->request().head;
  const auto gathering = std::make_shared<Gathering>(exchange, body->requests.size());
  for (std::size_t i = 0; i < body->requests.size(); ++i) {
    Value::Dict members = std::move(*body->requests[i].as_dict());
    std::erase_if(members, [&](auto& member) {
      if (member.first != "custom_id") return false;
      if (const std::string* id = member.second.as_string()) gathering->set_id(i, *id);
      return true;
    });
    Value request(std::move(members));
    if (request.find("model") == nullptr && !body->model.empty()) {
      request.set("model", Value(body->model));
    }
    start_one(services, gathering, head, i, std::move(request));
  }
  exchange->on_disconnect([weak = std::weak_ptr<Gathering>(gathering)] {
    if (const auto alive = weak.lock()) alive->abandon();
  });
}

}  // namespace

extern const Endpoint kCompletionsBatchEndpoint;
const Endpoint kCompletionsBatchEndpoint{
    .method = "POST",
    .path = "/v1/completions/batch",
    .summary = "Several completions or conversations, run together and answered at once",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
