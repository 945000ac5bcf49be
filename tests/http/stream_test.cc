// Streams: content, promptness, slow readers, shutdown in the middle.
#include <atomic>
#include <vector>

#include "base/str.h"
#include "server_fixture.h"

namespace inferneo::http_test {
namespace {

using gateway::http::Response;
using gateway::http::ServerOptions;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Response event_stream() {
  Response head;
  head.content_type = "text/event-stream";
  return head;
}

class StreamTest : public ServerFixture {
 protected:
  // Starts /hold on a new connection and gives its exchange.
  std::shared_ptr<Exchange> hold(Client& client) {
    client.send(get("/hold"));
    auto held = routes.take_held(1);
    return held.empty() ? nullptr : held[0];
  }
};

TEST_F(StreamTest, many_events_arrive_complete_and_in_order) {
  start();
  constexpr int kCount = 60'000;
  std::string expected;
  for (int i = 0; i < kCount; ++i) expected += str("data: ", i, "\n\n");
  Client client = connect();
  client.send(get(str("/stream?", kCount)));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  ASSERT_TRUE(reply->is_complete);
  EXPECT_EQ(reply->body, expected);
  EXPECT_LT(reply->chunk_count, std::size_t{kCount}) << "waiting events share one write";
}

TEST_F(StreamTest, each_event_arrives_before_the_next_is_made) {
  start();
  Client client = connect();
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  ASSERT_TRUE(client.read_head().has_value());
  for (int i = 0; i < 50; ++i) {
    const std::string event = str("data: ", i, "\n\n");
    ASSERT_TRUE(exchange->write(event));
    std::string received;
    while (received.find(event) == std::string::npos) {
      const std::string more = client.read_some();
      ASSERT_FALSE(more.empty());
      received += more;
    }
  }
  exchange->end_stream();
}

TEST_F(StreamTest, the_head_arrives_before_the_first_event) {
  start();
  Client client = connect();
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  const auto head = client.read_head();
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->header("content-type"), "text/event-stream");
  exchange->end_stream();
}

TEST_F(StreamTest, sixteen_streams_at_once_keep_apart) {
  ServerOptions options;
  options.io_thread_count = 2;
  start(options);
  std::vector<Client> clients;
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect());
    exchanges.push_back(hold(clients.back()));
    ASSERT_NE(exchanges.back(), nullptr);
    exchanges.back()->start_stream(event_stream());
  }
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < exchanges.size(); ++i) {
    writers.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) exchanges[i]->write(str(i, ":", n, "\n"));
      exchanges[i]->end_stream();
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    std::string expected;
    for (int n = 0; n < 200; ++n) expected += str(i, ":", n, "\n");
    const auto reply = clients[i].read_reply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->body, expected);
  }
}

TEST_F(StreamTest, a_client_that_does_not_read_is_cancelled_by_its_buffer) {
  ServerOptions options;
  options.response_buffer_size_max = 64 * 1024;
  start(options);
  Client client = connect(4096);
  client.send(get("/flood"));
  ASSERT_TRUE(eventually([&] { return routes.is_flood_over.load(); }));
  // The writer sees the full buffer before the connection's thread has cancelled and counted.
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(5)));
  EXPECT_EQ(metrics.slow_reader_cancels.value(), 1U);
  EXPECT_EQ(metrics.client_disconnects.value(), 0U);
  const auto reply = client.read_reply();
  EXPECT_FALSE(reply && reply->is_complete) << "a cancelled stream must not look complete";
}

TEST_F(StreamTest, a_client_that_does_not_read_is_cancelled_by_time) {
  ServerOptions options;
  options.response_buffer_size_max = 64 * 1024 * 1024;
  options.write_stall_timeout = milliseconds(300);
  start(options);
  Client client = connect(4096);
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  ASSERT_TRUE(exchange->write(std::string(32 * 1024 * 1024, 'x')));
  const auto begin = steady_clock::now();
  EXPECT_TRUE(routes.wait_left(1));
  EXPECT_GE(milliseconds_since(begin), 250);
  EXPECT_FALSE(exchange->write("more"));
  EXPECT_EQ(metrics.slow_reader_cancels.value(), 1U);
}

TEST_F(StreamTest, a_slow_reader_that_keeps_reading_is_served) {
  ServerOptions options;
  options.write_stall_timeout = milliseconds(400);
  options.response_buffer_size_max = 64 * 1024 * 1024;
  start(options);
  Client client = connect(4096);
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  constexpr std::size_t kSize = 12 * 1024 * 1024;
  exchange->start_stream(event_stream());
  ASSERT_TRUE(exchange->write(std::string(kSize, 'x')));
  exchange->end_stream();
  ASSERT_TRUE(client.read_head().has_value());
  std::size_t received = 0;
  const auto begin = steady_clock::now();
  while (received < kSize) {
    const std::string more = client.read_some();
    ASSERT_FALSE(more.empty()) << "cut after " << received;
    received += more.size();
    if (milliseconds_since(begin) < 1200) std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(metrics.slow_reader_cancels.value(), 0U);
}

TEST_F(StreamTest, a_large_answer_passes_whole) {
  start();
  Client client = connect();
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  Response response;
  response.body = std::string(20 * 1024 * 1024, 'y');
  exchange->respond(std::move(response));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body.size(), 20U * 1024 * 1024);
  EXPECT_TRUE(reply->is_complete);
}

TEST_F(StreamTest, a_client_that_leaves_a_stream_is_noticed_while_nothing_is_written) {
  start();
  Client client = connect();
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  ASSERT_TRUE(exchange->write("data: 1\n\n"));
  ASSERT_TRUE(client.read_head().has_value());
  const auto begin = steady_clock::now();
  client.close();
  ASSERT_TRUE(routes.wait_left(1));
  EXPECT_LT(milliseconds_since(begin), 80);
  EXPECT_FALSE(exchange->write("data: 2\n\n"));
  EXPECT_EQ(metrics.client_disconnects.value(), 1U);
}

TEST_F(StreamTest, a_stream_dropped_in_the_middle_keeps_what_was_written) {
  start();
  Client client = connect();
  auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  exchange->write("data: {\"error\":{}}\n\n");
  exchange.reset();
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, "data: {\"error\":{}}\n\n");
  EXPECT_FALSE(reply->is_complete);
  EXPECT_TRUE(client.is_ended_by_peer());
}

TEST_F(StreamTest, a_server_that_ends_cuts_streams_and_tells_their_handlers) {
  start();
  std::vector<Client> clients;
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(connect());
    exchanges.push_back(hold(clients.back()));
    ASSERT_NE(exchanges.back(), nullptr);
    exchanges.back()->start_stream(event_stream());
  }
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    while (!is_over) {
      for (const auto& exchange : exchanges) exchange->write("data: tick\n\n");
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  std::this_thread::sleep_for(milliseconds(30));
  server->stop_accepting();
  EXPECT_FALSE(server->wait_idle(milliseconds(20)));
  server.reset();
  EXPECT_TRUE(routes.wait_left(4));
  is_over = true;
  writer.join();
  for (Client& client : clients) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_FALSE(reply->is_complete);
  }
}

TEST_F(StreamTest, streams_in_progress_finish_after_accepting_has_stopped) {
  start();
  Client client = connect();
  const auto exchange = hold(client);
  ASSERT_NE(exchange, nullptr);
  exchange->start_stream(event_stream());
  exchange->write("data: 1\n\n");
  server->stop_accepting();
  EXPECT_TRUE(exchange->write("data: 2\n\n"));
  exchange->end_stream();
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(reply->is_complete);
  EXPECT_EQ(reply->body, "data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(5)));
}

}  // namespace
}  // namespace inferneo::http_test
