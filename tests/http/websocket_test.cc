// WebSocket connections under stress: clients that do not read, flood, vanish, come and go; servers
// that stop.
#include <atomic>

#include "base/str.h"
#include "server_fixture.h"
#include "websocket_client.h"

namespace inferneo::http_test {
namespace {

using gateway::http::ServerOptions;
using std::chrono::milliseconds;

class WebSocketTest : public ServerFixture {
 protected:
  bool all_gone() {
    return eventually([&] {
      return metrics.connections.value() == 0 && metrics.requests_in_flight.value() == 0 &&
             routes.websocket_handler_count == 0;
    });
  }
};

TEST_F(WebSocketTest, follows_requests_on_the_same_connection) {
  start();
  WebSocketClient client(server->port());
  client.send(get("/hello"));
  ASSERT_TRUE(client.client.read_reply().has_value());
  ASSERT_TRUE(client.open("/ws/echo"));
  client.send(text_frame("x"));
  EXPECT_EQ(client.receive_text(), "x");
}

TEST_F(WebSocketTest, pipelined_handshake_is_answered_in_turn) {
  start();
  WebSocketClient client(server->port());
  client.send(get("/hello") + handshake("/ws/echo"));
  ASSERT_EQ(client.client.read_reply()->status, 200);
  ASSERT_EQ(client.client.read_head()->status, 101);
  client.send(text_frame("x"));
  EXPECT_EQ(client.receive_text(), "x");
}

TEST_F(WebSocketTest, client_that_does_not_read_is_dropped) {
  start({.write_stall_timeout = milliseconds(300), .response_buffer_size_max = 64 * 1024});
  WebSocketClient client(server->port(), 4096);
  ASSERT_TRUE(client.open("/ws/flood"));
  client.send(text_frame("go"));
  EXPECT_TRUE(eventually([&] { return metrics.slow_reader_cancels.value() == 1; }));
  EXPECT_TRUE(all_gone());
}

TEST_F(WebSocketTest, flood_of_messages_is_answered_at_its_reader_s_pace) {
  start();
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  constexpr int kCount = 5000;
  std::string frames;
  for (int i = 0; i < kCount; ++i) frames += text_frame(str(i));
  std::thread sender([&] { client.client.send(frames); });
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(client.receive_text(), str(i));
  sender.join();
}

TEST_F(WebSocketTest, flood_of_control_frames_is_refused) {
  start();
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  std::string frames;
  for (int i = 0; i < 2000; ++i) frames += encode({.opcode = kPong, .payload = "x"});
  client.send(frames);
  const Received received = client.receive();
  EXPECT_EQ(received.close_code(), 1008U);
}

TEST_F(WebSocketTest, half_open_peer_is_pinged_and_dropped) {
  start({.websocket_idle_timeout = milliseconds(400)});
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  // Reads the ping, but never answers.
  EXPECT_EQ(client.receive().opcode, kPing);
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() == 0; }));
  EXPECT_TRUE(all_gone());
}

TEST_F(WebSocketTest, quiet_peer_that_answers_pings_stays) {
  start({.websocket_idle_timeout = milliseconds(1500)});
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  for (int i = 0; i < 3; ++i) {
    const Received received = client.receive();
    ASSERT_EQ(received.opcode, kPing);
    client.send(encode({.opcode = kPong, .payload = received.payload}));
  }
  client.send(text_frame("still here"));
  EXPECT_EQ(client.receive_text(), "still here");
}

TEST_F(WebSocketTest, message_that_never_ends_is_given_up) {
  start({.body_idle_timeout = milliseconds(300)});
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  client.send(encode({.payload = "begin", .fin = false}));
  EXPECT_EQ(client.receive().close_code(), 1008U);
}

// INFERNEO_WS_CYCLES says how many times.
TEST_F(WebSocketTest, connecting_and_aborting_leaves_nothing_behind) {
  // Sockets that are being closed still count for a moment.
  start({.connection_count_max = 100'000, .connection_per_address_count_max = 100'000});
  const char* wish = std::getenv("INFERNEO_WS_CYCLES");
  const int cycles = wish == nullptr ? 10000 : std::atoi(wish);
  const std::string request = handshake("/ws/echo");
  for (int i = 0; i < cycles; ++i) {
    WebSocketClient client(server->port());
    switch (i % 6) {
      case 0:  // in the handshake
        client.send(std::string_view(request).substr(0, request.size() / 2));
        break;
      case 1:  // before its answer was read
        client.send(request);
        break;
      case 2:
        ASSERT_TRUE(client.open("/ws/echo")) << i;
        break;
      case 3:  // in the middle of a frame
        ASSERT_TRUE(client.open("/ws/echo")) << i;
        client.send(text_frame("half of this").substr(0, 9));
        break;
      case 4:  // with answers on their way
        ASSERT_TRUE(client.open("/ws/echo")) << i;
        client.send(text_frame("x") + text_frame("y"));
        break;
      default:
        ASSERT_TRUE(client.open("/ws/work")) << i;
        client.send(text_frame("x"));
        ASSERT_EQ(client.receive_text(), "began") << i;
    }
    if (i % 2 == 0) {
      client.client.reset();
    } else {
      client.client.close();
    }
  }
  EXPECT_TRUE(all_gone());
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  client.send(text_frame("alive"));
  EXPECT_EQ(client.receive_text(), "alive");
}

TEST_F(WebSocketTest, stopping_says_goodbye_to_idle_ones_and_waits_for_work) {
  start();
  WebSocketClient idle(server->port());
  WebSocketClient busy(server->port());
  ASSERT_TRUE(idle.open("/ws/echo"));
  ASSERT_TRUE(busy.open("/ws/work"));
  busy.send(text_frame("x"));
  ASSERT_EQ(busy.receive_text(), "began");
  server->stop_accepting();
  EXPECT_EQ(idle.receive().close_code(), 1001U);
  EXPECT_FALSE(server->wait_idle(milliseconds(50)));
  busy.send(text_frame("end"));
  EXPECT_EQ(busy.receive_text(), "ended");
  EXPECT_EQ(busy.receive().close_code(), 1001U);
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(10)));
}

TEST_F(WebSocketTest, server_may_end_while_handlers_still_send) {
  start();
  WebSocketClient client(server->port());
  ASSERT_TRUE(client.open("/ws/echo"));
  client.send(text_frame("x"));
  ASSERT_EQ(client.receive_text(), "x");
  const auto socket = routes.last_websocket();
  ASSERT_NE(socket, nullptr);
  server.reset();
  EXPECT_FALSE(socket->send("late"));
  socket->close(1000, "");
  socket->work_began();
  socket->work_ended();
}

}  // namespace
}  // namespace inferneo::http_test
