#include "gateway/http/exchange_state.h"

#include <gtest/gtest.h>

namespace inferneo::gateway::http {
namespace {

class CountingConnection final : public Wakeable {
 public:
  void wake() override { ++wake_count; }
  void resume(UniqueFunction<void()> task) override { resumed.push_back(std::move(task)); }
  std::vector<UniqueFunction<void()>> resumed;
  int wake_count = 0;
};

class ExchangeStateTest : public testing::Test {
 protected:
  CountingConnection connection;
  std::shared_ptr<ExchangeState> state =
      std::make_shared<ExchangeState>(Request{}, connection, 100);
  std::shared_ptr<Exchange> exchange = make_exchange(state);
  std::string bytes;
};

TEST_F(ExchangeStateTest, many_writes_wake_once) {
  exchange->start_stream({});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(exchange->write("ab"));
  EXPECT_EQ(connection.wake_count, 1);
  const auto output = state->take(bytes);
  EXPECT_TRUE(output.head.has_value());
  EXPECT_TRUE(output.is_stream);
  EXPECT_FALSE(output.is_ended);
  EXPECT_EQ(bytes.size(), 20U);
  exchange->write("c");
  EXPECT_EQ(connection.wake_count, 2);
}

TEST_F(ExchangeStateTest, taken_bytes_count_until_they_are_sent) {
  exchange->start_stream({});
  EXPECT_TRUE(exchange->write(std::string(60, 'x')));
  state->take(bytes);
  EXPECT_TRUE(exchange->write(std::string(40, 'x')));
  EXPECT_FALSE(exchange->write("x"));
  EXPECT_TRUE(state->is_slow());
  EXPECT_FALSE(exchange->write("")) << "the stream is over";
}

TEST_F(ExchangeStateTest, sent_bytes_make_room) {
  exchange->start_stream({});
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(exchange->write(std::string(90, 'x')));
    bytes.clear();
    state->take(bytes);
    state->sent(bytes.size());
  }
  EXPECT_FALSE(state->is_slow());
}

TEST_F(ExchangeStateTest, a_waiting_handler_goes_on_unless_its_client_has_left) {
  int count = 0;
  exchange->resume([&] { ++count; });
  ASSERT_EQ(connection.resumed.size(), 1U);
  connection.resumed[0]();
  EXPECT_EQ(count, 1);
  state->client_left();
  exchange->resume([&] { ++count; });
  EXPECT_EQ(connection.resumed.size(), 1U);
  EXPECT_EQ(count, 1);
}

TEST_F(ExchangeStateTest, an_empty_callback_takes_the_former_back) {
  bool called = false;
  exchange->on_disconnect([&] { called = true; });
  exchange->on_disconnect({});
  EXPECT_FALSE(state->client_left());
  exchange->on_disconnect({});
  EXPECT_FALSE(called);
}

TEST_F(ExchangeStateTest, early_events_go_on_as_the_stream) {
  EXPECT_TRUE(exchange->begin_events());
  EXPECT_FALSE(exchange->begin_events());
  EXPECT_TRUE(exchange->write(": loading\n\n"));
  exchange->start_stream({});
  EXPECT_TRUE(exchange->write("data: x\n\n"));
  exchange->end_stream();
  const auto output = state->take(bytes);
  EXPECT_EQ(output.head->content_type, "text/event-stream");
  EXPECT_TRUE(output.is_stream);
  EXPECT_TRUE(output.is_ended);
  EXPECT_EQ(bytes, ": loading\n\ndata: x\n\n");
}

TEST_F(ExchangeStateTest, an_answer_after_early_events_is_their_last_one) {
  EXPECT_TRUE(exchange->begin_events());
  exchange->respond(
      {.status = 503, .content_type = "application/json", .body = "{}", .headers = {}});
  const auto output = state->take(bytes);
  EXPECT_EQ(output.head->status, 200);
  EXPECT_TRUE(output.is_ended);
  EXPECT_FALSE(output.is_aborted);
  EXPECT_EQ(bytes, "data: {}\n\n");
}

TEST_F(ExchangeStateTest, letting_go_without_an_answer_is_500) {
  exchange.reset();
  const auto output = state->take(bytes);
  ASSERT_TRUE(output.head.has_value());
  EXPECT_EQ(output.head->status, 500);
  EXPECT_TRUE(output.is_ended);
  EXPECT_FALSE(output.is_aborted);
}

TEST_F(ExchangeStateTest, letting_go_of_a_stream_aborts_it) {
  exchange->start_stream({});
  exchange->write("half");
  exchange.reset();
  const auto output = state->take(bytes);
  EXPECT_TRUE(output.is_ended);
  EXPECT_TRUE(output.is_aborted);
  EXPECT_EQ(bytes, "half");
}

TEST_F(ExchangeStateTest, the_first_answer_counts) {
  Response first;
  first.status = 201;
  exchange->respond(first);
  exchange->respond({});
  exchange->start_stream({});
  EXPECT_FALSE(exchange->write("x"));
  EXPECT_EQ(state->take(bytes).head->status, 201);
}

TEST_F(ExchangeStateTest, the_callback_runs_at_most_once_and_not_after_the_answer) {
  int count = 0;
  exchange->on_disconnect([&] { ++count; });
  if (auto callback = state->client_left()) callback();
  if (auto callback = state->detach()) callback();
  EXPECT_EQ(count, 1);

  const auto other = std::make_shared<ExchangeState>(Request{}, connection, 100);
  other->on_disconnect([&] { ++count; });
  other->respond({});
  EXPECT_FALSE(other->client_left());
  EXPECT_FALSE(other->detach());
  EXPECT_EQ(count, 1);
}

TEST_F(ExchangeStateTest, nothing_reaches_a_connection_that_has_detached) {
  state->detach();
  exchange->start_stream({});
  EXPECT_FALSE(exchange->write("x"));
  exchange.reset();
  EXPECT_EQ(connection.wake_count, 0);
}

}  // namespace
}  // namespace inferneo::gateway::http
