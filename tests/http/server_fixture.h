// A server over the test routes, for tests that need own options.
// Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "client.h"
#include "routes.h"

namespace inferneo::http_test {

class ServerFixture : public testing::Test {
 protected:
  void start(gateway::http::ServerOptions options = {}) {
    options.port = 0;
    auto started = gateway::http::Server::start(options, routes, metrics);
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
    server = *std::move(started);
  }
  [[nodiscard]] Client connect(int receive_buffer_size = 0) const {
    return Client(server->port(), receive_buffer_size);
  }
  // Waits until `condition` holds; false after ten seconds.
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  observe::ServerMetrics metrics;
  Routes routes;
  std::unique_ptr<gateway::http::Server> server;
};

inline double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace inferneo::http_test
