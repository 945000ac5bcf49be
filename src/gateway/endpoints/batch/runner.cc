#include "gateway/endpoints/batch/runner.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/str.h"
#include "gateway/endpoints/batch/local_exchange.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

using text::Value;

constexpr std::array<std::string_view, 6> kEndpoints{"/v1/chat/completions",
                                                     "/v1/completions",
                                                     "/v1/embeddings",
                                                     "/v1/responses",
                                                     "/v1/rerank",
                                                     "/v1/score"};
constexpr std::chrono::milliseconds kPoll{50};
// After a queue was found full: its other users come first.
constexpr std::chrono::milliseconds kRetryAfter{200};
constexpr int kOk = 200;
constexpr int kOverloaded = 503;
// Batches wait for everybody else, see the field priority.
constexpr int kBatchPriority = 1000;

Result<std::string> string_member(const Value& line, std::string_view name) {
  const Value* member = line.find(name);
  const std::string* text = member != nullptr ? member->as_string() : nullptr;
  if (text == nullptr) {
    return invalid_argument(str("'", name, "' must be a string")).with_where(std::string(name));
  }
  return *text;
}

bool has_priority(std::string_view url) {
  return url == "/v1/chat/completions" || url == "/v1/completions";
}

class Run {
 public:
  Run(const RunnerOptions& options,
      const std::function<bool(std::string& line)>& source,
      const std::function<Status(const LineResult&)>& emit)
      : options_(options), source_(source), emit_(emit) {}

  Result<bool> run(const std::function<bool()>& stop) {
    while (!stop()) {
      if (Status status = fill(); !status.ok()) return abort(std::move(status));
      if (in_flight_.empty() && retries_.empty() && at_end_) return true;
      if (Status status = take_done(); !status.ok()) return abort(std::move(status));
    }
    cancel_all();
    return false;
  }

 private:
  struct Answered {
    std::uint64_t ticket = 0;
    http::Response response;
  };
  struct InFlight {
    LineRequest request;
    std::string request_id;
    std::weak_ptr<LocalExchange> exchange;
  };

  Status fill() {
    const auto now = std::chrono::steady_clock::now();
    while (in_flight_.size() < options_.in_flight_max) {
      if (!retries_.empty()) {
        if (now < retry_at_) return ok_status();
        LineRequest request = std::move(retries_.front());
        retries_.pop_front();
        start(std::move(request));
        continue;
      }
      std::string line;
      if (at_end_ || !source_(line)) {
        at_end_ = true;
        return ok_status();
      }
      RETURN_IF_ERROR(take_line(line));
    }
    return ok_status();
  }

  Status take_line(std::string_view line) {
    ++line_number_;
    if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) return ok_status();
    Result<LineRequest> request = parse_line(line, options_.endpoint);
    if (!request.has_value()) return refuse(id_of(line), request.error());
    if (!seen_.insert(request->custom_id).second) {
      return refuse({},
                    invalid_argument(
                        str("the custom_id '", printable(request->custom_id), "' occurs before")));
    }
    if (is_done(request->custom_id)) return ok_status();
    start(*std::move(request));
    return ok_status();
  }

  // Under a name of its own, so that a later run knows what it has reported.
  Status refuse(std::string custom_id, const Status& why) {
    LineResult result;
    result.id = random_id("batch_req_", 24);
    const bool is_named = !custom_id.empty() && seen_.insert(custom_id).second;
    result.custom_id = is_named ? std::move(custom_id) : str("line-", line_number_);
    if (is_done(result.custom_id)) return ok_status();
    result.message = str("line ", line_number_, ": ", why.message());
    return emit_(result);
  }

  [[nodiscard]] bool is_done(const std::string& custom_id) const {
    return options_.skip != nullptr && options_.skip->contains(custom_id);
  }

  static std::string id_of(std::string_view line) {
    const Result<Value> value = parse_json(line);
    const Value* id = value.has_value() ? value->find("custom_id") : nullptr;
    return id != nullptr && id->as_string() != nullptr ? *id->as_string() : std::string();
  }

  void start(LineRequest request) {
    const std::uint64_t ticket = ++ticket_;
    http::Request made;
    made.head.method = "POST";
    made.head.path = request.url;
    made.head.headers = {{"content-type", "application/json"}};
    made.head.request_id = random_id("req_", 24);
    made.body = request.body;
    InFlight& entry = in_flight_[ticket];
    entry.request = std::move(request);
    entry.request_id = made.head.request_id;
    auto exchange =
        std::make_shared<LocalExchange>(std::move(made), [this, ticket](http::Response response) {
          const std::lock_guard lock(mutex_);
          done_.push_back({ticket, std::move(response)});
          changed_.notify_one();
        });
    entry.exchange = exchange;
    const Result<std::size_t> admitted = options_.dispatcher->admit(exchange->request().head);
    if (!admitted.has_value()) {
      exchange->respond(http::error_response(admitted.error()));
      return;
    }
    options_.dispatcher->dispatch(std::move(exchange));
  }

  Status take_done() {
    std::vector<Answered> done;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kPoll, [this] { return !done_.empty(); });
      done.swap(done_);
    }
    for (Answered& answered : done) {
      const auto found = in_flight_.find(answered.ticket);
      InFlight entry = std::move(found->second);
      in_flight_.erase(found);
      if (answered.response.status == kOverloaded) {
        retries_.push_back(std::move(entry.request));
        retry_at_ = std::chrono::steady_clock::now() + kRetryAfter;
        continue;
      }
      LineResult result;
      result.id = random_id("batch_req_", 24);
      result.custom_id = std::move(entry.request.custom_id);
      result.status = answered.response.status;
      result.request_id = std::move(entry.request_id);
      result.body = std::move(answered.response.body);
      RETURN_IF_ERROR(emit_(result));
    }
    return ok_status();
  }

  Status abort(Status status) {
    cancel_all();
    return status;
  }

  // Waits until nothing can call back any more.
  void cancel_all() {
    for (auto& [ticket, entry] : in_flight_) {
      if (const auto exchange = entry.exchange.lock()) exchange->cancel();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_.size() >= in_flight_.size(); });
  }

  const RunnerOptions& options_;
  const std::function<bool(std::string& line)>& source_;
  const std::function<Status(const LineResult&)>& emit_;
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
  std::deque<LineRequest> retries_;
  std::chrono::steady_clock::time_point retry_at_{};
  std::uint64_t ticket_ = 0;
  std::uint64_t line_number_ = 0;
  std::unordered_set<std::string> seen_;  // custom_ids
  bool at_end_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answered> done_;  // guarded
};

}  // namespace

bool is_batch_endpoint(std::string_view url) {
  return std::find(kEndpoints.begin(), kEndpoints.end(), url) != kEndpoints.end();
}

Result<LineRequest> parse_line(std::string_view line, std::string_view endpoint) {
  ASSIGN_OR_RETURN(Value::Dict members, parse_json_object(line));
  Value value(std::move(members));
  LineRequest request;
  ASSIGN_OR_RETURN(request.custom_id, string_member(value, "custom_id"));
  ASSIGN_OR_RETURN(const std::string method, string_member(value, "method"));
  ASSIGN_OR_RETURN(request.url, string_member(value, "url"));
  if (method != "POST") return invalid_argument("'method' must be \"POST\"").with_where("method");
  if (!is_batch_endpoint(request.url) || (!endpoint.empty() && request.url != endpoint)) {
    return invalid_argument(
               str("'url' is '",
                   printable(request.url),
                   "', but must be ",
                   endpoint.empty() ? str("one of ", joined(kEndpoints)) : std::string(endpoint)))
        .with_where("url");
  }
  const Value* body = value.find("body");
  if (body == nullptr || body->as_dict() == nullptr) {
    return invalid_argument("'body' must be an object").with_where("body");
  }
  const Value* stream = body->find("stream");
  if (stream != nullptr && stream->as_bool() != nullptr && *stream->as_bool()) {
    return invalid_argument("'body.stream' must not be true in a batch").with_where("body.stream");
  }
  Value made = *body;
  if (has_priority(request.url) && made.find("priority") == nullptr) {
    made.set("priority", Value(kBatchPriority));
  }
  request.body = text::to_json(made);
  return request;
}

std::string write_result(const LineResult& result) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("id", result.id);
  json.member("custom_id", result.custom_id);
  json.key("response");
  if (result.status == 0) {
    json.null();
  } else {
    json.begin_object();
    json.member("status_code", result.status);
    json.member("request_id", result.request_id);
    json.key("body");
    json.members(result.body.empty() ? "null" : result.body);
    json.end_object();
  }
  json.key("error");
  if (result.message.empty()) {
    json.null();
  } else {
    json.begin_object();
    json.member("code", "invalid_request");
    json.member("message", result.message);
    json.end_object();
  }
  json.end_object();
  return out;
}

std::optional<PastResult> read_result(std::string_view line) {
  const Result<Value> value = parse_json(line);
  if (!value.has_value()) return std::nullopt;
  const Value* id = value->find("custom_id");
  const Value* response = value->find("response");
  const bool whole = response != nullptr && value->find("error") != nullptr;
  if (!whole || id == nullptr || id->as_string() == nullptr) return std::nullopt;
  const Value* status = response->find("status_code");
  const std::int64_t* code = status != nullptr ? status->as_int() : nullptr;
  return PastResult{*id->as_string(), code != nullptr && *code == kOk};
}

Result<bool> run_batch(const RunnerOptions& options,
                       const std::function<bool(std::string& line)>& source,
                       const std::function<Status(const LineResult&)>& emit,
                       const std::function<bool()>& stop) {
  return Run(options, source, emit).run(stop);
}

}  // namespace inferneo::gateway::endpoints::batch
