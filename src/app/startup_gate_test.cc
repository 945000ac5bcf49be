#include "app/startup_gate.h"

#include <gtest/gtest.h>

namespace inferneo::app {
namespace {

class AcceptAll final : public gateway::http::Dispatcher {
 public:
  Result<std::size_t> admit(const gateway::http::RequestHead&) override { return std::size_t{7}; }
  void dispatch(std::shared_ptr<gateway::http::Exchange>) override {}
};

gateway::http::RequestHead get(const char* path) {
  gateway::http::RequestHead head;
  head.method = "GET";
  head.path = path;
  return head;
}

TEST(startup_gate, only_probes_pass_until_the_models_are_loaded) {
  StartupGate gate(std::make_unique<AcceptAll>());
  EXPECT_TRUE(gate.admit(get("/health")).has_value());
  EXPECT_TRUE(gate.admit(get("/metrics")).has_value());
  for (const char* path : {"/ready", "/v1/models", "/v1/chat/completions", "/nothing"}) {
    const auto refused = gate.admit(get(path));
    ASSERT_FALSE(refused.has_value()) << path;
    EXPECT_EQ(refused.error().code(), StatusCode::kUnavailable) << path;
  }
  gate.open();
  EXPECT_EQ(gate.admit(get("/v1/models")).value(), 7U);
}

}  // namespace
}  // namespace inferneo::app
