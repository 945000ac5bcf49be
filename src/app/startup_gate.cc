#include "app/startup_gate.h"

#include <algorithm>

namespace inferneo::app {

Result<std::size_t> StartupGate::admit(const gateway::http::RequestHead& head) {
  static constexpr std::string_view kAlways[] = {
      "/health", "/metrics", "/version", "/api/version", "/v2", "/v2/health/live"};
  if (!open_.load(std::memory_order_acquire) &&
      std::ranges::find(kAlways, head.path) == std::end(kAlways)) {
    return unavailable("the models are still loading").with_hint("retry in a few seconds");
  }
  return next_->admit(head);
}

gateway::http::Response StartupGate::refusal(const gateway::http::RequestHead& head,
                                             const Status& status) const {
  return next_->refusal(head, status);
}

void StartupGate::dispatch(std::shared_ptr<gateway::http::Exchange> exchange) {
  next_->dispatch(std::move(exchange));
}

Result<std::shared_ptr<gateway::http::WebSocketHandler>> StartupGate::open_websocket(
    const gateway::http::RequestHead& head) {
  if (!open_.load(std::memory_order_acquire)) {
    return unavailable("the models are still loading").with_hint("retry in a few seconds");
  }
  return next_->open_websocket(head);
}

}  // namespace inferneo::app
