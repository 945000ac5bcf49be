// Refuses work until the models are loaded. The server binds its port first, so that a port in use
// is found before minutes of loading and probes get answers meanwhile; until open() only liveness,
// metrics and version are let through, everything else is answered 503.
// Thread: any. Ownership: owns the dispatcher behind it.
#pragma once

#include <atomic>
#include <memory>

#include "gateway/http/server.h"

namespace inferneo::app {

class StartupGate final : public gateway::http::Dispatcher {
 public:
  explicit StartupGate(std::unique_ptr<gateway::http::Dispatcher> next) : next_(std::move(next)) {}

  void open() { open_.store(true, std::memory_order_release); }

  Result<std::size_t> admit(const gateway::http::RequestHead& head) override;
  [[nodiscard]] gateway::http::Response refusal(const gateway::http::RequestHead& head,
                                                const Status& status) const override;
  void dispatch(std::shared_ptr<gateway::http::Exchange> exchange) override;
  Result<std::shared_ptr<gateway::http::WebSocketHandler>> open_websocket(
      const gateway::http::RequestHead& head) override;

 private:
  std::unique_ptr<gateway::http::Dispatcher> next_;
  std::atomic<bool> open_{false};
};

}  // namespace inferneo::app
