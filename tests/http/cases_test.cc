// Runs every conversation of cases/ against a server with short time-outs.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <regex>
#include <thread>

#include "base/str.h"
#include "case_file.h"
#include "client.h"
#include "routes.h"

namespace inferneo::http_test {
namespace {

constexpr std::string_view kCasesDir = INFERNEO_SOURCE_DIR "/tests/http/cases";

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kCasesDir)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

gateway::http::ServerOptions short_timeouts() {
  gateway::http::ServerOptions options;
  options.port = 0;
  options.header_read_timeout = std::chrono::milliseconds(700);
  options.body_idle_timeout = std::chrono::milliseconds(700);
  options.keep_alive_timeout = std::chrono::milliseconds(1500);
  options.allowed_hosts = {"models.example.org", "ported.example.org:9000"};
  return options;
}

class Conversation : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    metrics_ = new observe::ServerMetrics();
    routes_ = new Routes();
    auto started = gateway::http::Server::start(short_timeouts(), *routes_, *metrics_);
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
    server_ = std::move(*started).release();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete routes_;
    delete metrics_;
  }

  void run(const std::vector<Step>& steps);
  void check(const Step& step, Client& client);
  void check_reply(const Step& step) const;

  std::optional<Reply> reply_;

  static inline observe::ServerMetrics* metrics_ = nullptr;
  static inline Routes* routes_ = nullptr;
  static inline gateway::http::Server* server_ = nullptr;
};

void Conversation::run(const std::vector<Step>& steps) {
  Client client(server_->port());
  ASSERT_TRUE(client.is_connected());
  for (const Step& step : steps) {
    SCOPED_TRACE(str("line ", step.line));
    switch (step.kind) {
      case Step::Kind::kSend:
        client.send(step.text);  // a refusal may come, and the end with it, before all is sent
        break;
      case Step::Kind::kPause:
        std::this_thread::sleep_for(std::chrono::milliseconds(step.number));
        break;
      case Step::Kind::kShutdown:
        client.shutdown_send();
        break;
      default:
        check(step, client);
    }
    if (HasFatalFailure()) return;
  }
}

void Conversation::check(const Step& step, Client& client) {
  switch (step.kind) {
    case Step::Kind::kExpect:
    case Step::Kind::kExpectHead:
      reply_ = client.read_reply(step.kind == Step::Kind::kExpectHead);
      ASSERT_TRUE(reply_.has_value()) << "no response";
      ASSERT_EQ(reply_->status, step.number) << reply_->body;
      if (reply_->status >= 200) {
        EXPECT_FALSE(reply_->header("x-request-id").empty());
      }
      break;
    case Step::Kind::kOpen:
      ASSERT_TRUE(client.send(get("/hello")));
      reply_ = client.read_reply();
      ASSERT_TRUE(reply_.has_value()) << "the connection was not kept";
      EXPECT_EQ(reply_->body, "hello");
      break;
    case Step::Kind::kClosed:
      EXPECT_TRUE(client.is_ended_by_peer()) << "the connection was not closed, or more came";
      break;
    default:
      check_reply(step);
  }
}

void Conversation::check_reply(const Step& step) const {
  ASSERT_TRUE(reply_.has_value()) << "no response to look at";
  if (step.kind == Step::Kind::kCut) {
    EXPECT_FALSE(reply_->is_complete);
    return;
  }
  EXPECT_TRUE(reply_->is_complete || step.kind != Step::Kind::kBody);
  if (step.kind == Step::Kind::kNoHeader) {
    EXPECT_EQ(reply_->header(step.text), "");
    return;
  }
  const bool is_body = step.kind == Step::Kind::kBody;
  const std::string actual = is_body ? reply_->body : std::string(reply_->header(step.name));
  EXPECT_TRUE(std::regex_match(actual, std::regex(step.text)))
      << (is_body ? "body" : step.name) << " is '" << printable(actual, 500) << "', not "
      << step.text;
}

TEST_P(Conversation, goes_as_written) {
  const auto steps = read_case(str(kCasesDir, "/", GetParam(), ".txt"));
  ASSERT_TRUE(steps.has_value()) << steps.error().to_string();
  ASSERT_FALSE(steps->empty());
  run(*steps);
}

INSTANTIATE_TEST_SUITE_P(Http,
                         Conversation,
                         testing::ValuesIn(case_names()),
                         [](const auto& given) { return given.param; });

TEST(Cases, there_are_many) { EXPECT_GE(case_names().size(), 120U); }

}  // namespace
}  // namespace inferneo::http_test
