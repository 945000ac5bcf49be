#include "app/management_api.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "app/exposure.h"
#include "app/http_client.h"
#include "app/serving_host.h"
#include "base/log.h"
#include "base/str.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::app {
namespace {

namespace endpoints = gateway::endpoints;
namespace http = gateway::http;

constexpr std::string_view kPrefix = "/api/v1/model_serving";
// A registration reads all files once, a load packs them.
constexpr std::chrono::seconds kCallTimeout{3600};
constexpr std::chrono::seconds kProbeTimeout{3};

StatusCode code_of(int http_status) {
  switch (http_status) {
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 409:
      return StatusCode::kAlreadyExists;
    case 503:
      return StatusCode::kUnavailable;
    case 507:
      return StatusCode::kResourceExhausted;
    default:
      return http_status >= 500 ? StatusCode::kInternal : StatusCode::kInvalidArgument;
  }
}

Result<Json> body_of(int status, const std::string& text) {
  Result<Json> body = parse_json(text);
  if (status >= 200 && status < 300) return body;
  std::string message = str("the server answered ", status);
  if (body.has_value() && body->is_object() && body->contains("error")) {
    message = (*body)["error"].value("message", message);
  } else if (body.has_value() && body->is_object()) {
    message = body->value("message", message);
  }
  return Status(code_of(status), std::move(message));
}

class RemoteApi final : public ManagementApi {
 public:
  RemoteApi(ServerAddress server, std::string address)
      : server_(std::move(server)), address_(std::move(address)) {}

  Result<Json> call(std::string_view method, const std::string& path, const Json& body) override {
    const std::string text = body.is_null() && method == "POST" ? "{}"
                             : body.is_null()                   ? std::string()
                                                                : dump(body);
    ASSIGN_OR_RETURN(const HttpAnswer answer,
                     http_request(server_, method, str(kPrefix, path), text, kCallTimeout));
    return body_of(answer.status, answer.body);
  }
  [[nodiscard]] std::string address() const override { return address_; }

 private:
  const ServerAddress server_;
  const std::string address_;
};

// An exchange within the process: keeps the answer.
class LocalExchange final : public http::Exchange {
 public:
  explicit LocalExchange(http::Request request) : request_(std::move(request)) {}
  [[nodiscard]] const http::Request& request() const override { return request_; }
  void respond(http::Response response) override {
    const std::lock_guard lock(mutex_);
    if (std::exchange(answered_, true)) return;
    response_ = std::move(response);
    changed_.notify_all();
  }
  void start_stream(http::Response) override { respond(http::http_error(400, "no streams here")); }
  bool write(std::string_view) override { return false; }
  void end_stream() override {}
  void on_disconnect(UniqueFunction<void()>) override {}

  http::Response wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return answered_; });
    return response_;
  }

 private:
  const http::Request request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answered_ = false;
  http::Response response_;
};

class LocalApi final : public ManagementApi {
 public:
  explicit LocalApi(std::unique_ptr<ServingHost> serving) : serving_(std::move(serving)) {
    services_ = {.manager = &serving_->manager(),
                 .server_metrics = &metrics_,
                 .clock = &serving_->host().clock()};
    services_.admin = &serving_->admin();
    services_.management = endpoints::ManagementUse::kOn;
    dispatcher_ = endpoints::make_dispatcher(services_);
  }

  Result<Json> call(std::string_view method, const std::string& path, const Json& body) override {
    http::Request request;
    request.head.method = method;
    const std::size_t query = path.find('?');
    ASSIGN_OR_RETURN(request.head.path, decoded(path.substr(0, query)));
    if (query != std::string::npos) request.head.query = path.substr(query + 1);
    request.head.headers = {{"content-type", "application/json"}};
    request.head.remote_address = "";
    request.body = body.is_null() ? std::string("{}") : dump(body);
    const auto exchange = std::make_shared<LocalExchange>(std::move(request));
    const Result<std::size_t> admitted = dispatcher_->admit(exchange->request().head);
    if (!admitted.has_value()) return admitted.error();
    dispatcher_->dispatch(exchange);
    const http::Response response = exchange->wait();
    return body_of(response.status, response.body);
  }
  [[nodiscard]] std::string address() const override { return {}; }

 private:
  static Result<std::string> decoded(const std::string& path) {
    std::string out(kPrefix);
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] == '%' && i + 2 < path.size()) {
        out += static_cast<char>(std::stoi(path.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        out += path[i];
      }
    }
    return out;
  }

  std::unique_ptr<ServingHost> serving_;
  observe::ServerMetrics metrics_;
  endpoints::Services services_;
  std::unique_ptr<http::Dispatcher> dispatcher_;
};

Result<std::unique_ptr<ManagementApi>> remote(const std::string& address) {
  ASSIGN_OR_RETURN(ServerAddress server, parse_address(address));
  return std::unique_ptr<ManagementApi>(std::make_unique<RemoteApi>(std::move(server), address));
}

// The store itself, or the server that holds it.
Result<std::unique_ptr<ManagementApi>> open_store(const std::string& path, Config config) {
  config.threads = 1;  // nothing is computed
  config.pin_threads = "never";
  // What was done is the answer, not news.
  log::configure(log::Level::kWarning, log::Format::kAuto);
  Result<std::unique_ptr<ServingHost>> serving = ServingHost::create(config, path, nullptr);
  if (serving.has_value()) {
    // Models whose records cannot be used show as what they are; that is no reason to stop here.
    [[maybe_unused]] const Status followed = (*serving)->manager().follow_catalog();
    return std::unique_ptr<ManagementApi>(std::make_unique<LocalApi>(*std::move(serving)));
  }
  const bool is_held =
      serving.error().code() == StatusCode::kUnavailable && serving.error().where() == "catalog";
  const std::string url = is_held ? manager::Catalog::owner_of(path).url : std::string();
  if (url.empty()) return std::move(serving).error();
  return remote(url);
}

// Whether one of our servers, with management, listens where `serve` would.
bool answers(const std::string& address) {
  const Result<ServerAddress> server = parse_address(address);
  if (!server.has_value()) return false;
  const auto answer = http_request(*server, "GET", str(kPrefix, "/aliases"), {}, kProbeTimeout);
  return answer.has_value() && answer->status == 200;
}

}  // namespace

std::string encode_path(std::string_view name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~/:";
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

Result<std::unique_ptr<ManagementApi>> connect(const ManagementTarget& target,
                                               const Config& config) {
  if (!target.address.empty()) return remote(target.address);
  Config chosen = config;
  if (!target.catalog.empty()) chosen.catalog = target.catalog;
  if (target.catalog.empty()) {
    const std::string address =
        base_url(connectable(config.host), static_cast<std::uint16_t>(config.port));
    if (config.port != 0 && answers(address)) return remote(address);
  }
  const std::string path = choose_catalog(chosen, false, true);
  if (path.empty()) {
    return unavailable("no server runs, and no catalog is configured")
        .with_hint("start a server, or name a store with --catalog PATH");
  }
  return open_store(path, chosen);
}

}  // namespace inferneo::app
