// links: inferneo_gateway_endpoints
// Arbitrary bytes as the messages of a WebSocket connection: the first byte chooses the path, NUL
// ends a message. No model is served, so that each request ends with an error; what is sent must be
// the protocol's, and a closed connection holds nothing.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/response_store.h"
#include "gateway/endpoints/websocket_session.h"
#include "manager/manager.h"

namespace {

using namespace inferneo;
using namespace inferneo::gateway;

class Socket final : public http::WebSocket {
 public:
  Socket() {
    head_.method = "GET";
    head_.headers = {{"authorization", "Bearer key"}};
  }
  ~Socket() override { CHECK(work_ == 0); }
  [[nodiscard]] const http::RequestHead& head() const override { return head_; }
  bool send(std::string_view message) override {
    CHECK(utf8::is_valid(message));
    const Result<text::Value::Dict> sent = endpoints::parse_json_object(message);
    CHECK(sent.has_value());
    bool has_type = false;
    for (const auto& [name, value] : *sent) {
      has_type = has_type || (name == "type" && value.as_string() != nullptr);
    }
    CHECK(has_type);
    ++count_;
    return true;
  }
  void close(std::uint16_t, std::string_view) override {}
  void work_began() override { ++work_; }
  void work_ended() override { --work_; }
  [[nodiscard]] int take_count() { return std::exchange(count_, 0); }

 private:
  http::RequestHead head_;
  int count_ = 0;
  int work_ = 0;
};

const endpoints::Services& services() {
  static const SteadyClock clock;
  static manager::ModelManager manager({}, clock);
  static observe::ServerMetrics metrics;
  static const endpoints::Services made = [] {
    endpoints::Services value;
    value.manager = &manager;
    value.server_metrics = &metrics;
    value.clock = &clock;
    value.responses = std::make_shared<endpoints::ResponseStore>(
        endpoints::ResponseStoreLimits{
            .count_max = 16, .bytes_max = 1 << 16, .age_max = std::chrono::hours(1)},
        clock);
    return value;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::string_view kPaths[] = {
      "/v1/chat/completions", "/v1/completions", "/v1/responses"};
  const auto handler = endpoints::make_websocket_session(services(), kPaths[data[0] % 3]);
  const auto socket = std::make_shared<Socket>();
  const auto held = std::make_shared<int>(0);  // what messages have taken of the budget
  handler->on_open(socket);
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    handler->on_message(std::string(rest.substr(0, end)), held);
    // At least an answer to each, but to a pong.
    CHECK(socket->take_count() > 0 || rest.find("pong") != std::string_view::npos);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  handler->on_overload();
  CHECK(socket->take_count() == 1);
  handler->on_close();
  CHECK(held.use_count() == 1);
  return 0;
}
