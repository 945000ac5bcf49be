// Limits, overload, leaving clients, and the life of the server.
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/str.h"
#include "server_fixture.h"

namespace inferneo::http_test {
namespace {

using gateway::http::Server;
using gateway::http::ServerOptions;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::size_t descriptor_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/self/task")) {
    ++count;
  }
  return count;
}

// Lets this process open `more` descriptors beyond those in use, until destruction.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(std::size_t more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lowered = before_;
    lowered.rlim_cur = descriptor_count() + more;
    setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

class ServerTest : public ServerFixture {};

TEST_F(ServerTest, port_in_use_is_named) {
  start();
  ServerOptions options;
  options.port = server->port();
  const auto second = Server::start(options, routes, metrics);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(second.error().message().find(str("127.0.0.1:", server->port(), " is in use")),
            std::string::npos);
  EXPECT_NE(second.error().hint().find("--port"), std::string::npos);
}

TEST_F(ServerTest, address_that_is_not_ours_is_refused) {
  for (const char* host : {"192.0.2.1", "no such host", "999.1.1.1"}) {
    ServerOptions options;
    options.host = host;
    options.port = 0;
    const auto started = Server::start(options, routes, metrics);
    ASSERT_FALSE(started.has_value()) << host;
    EXPECT_EQ(started.error().code(), StatusCode::kInvalidArgument) << host;
  }
}

TEST_F(ServerTest, bad_options_are_refused) {
  ServerOptions options;
  options.io_thread_count = 0;
  EXPECT_FALSE(Server::start(options, routes, metrics).has_value());
  options = {};
  options.front_queue_size = 0;
  EXPECT_FALSE(Server::start(options, routes, metrics).has_value());
}

TEST_F(ServerTest, wildcard_address_answers_to_ip_literals_but_not_to_names) {
  ServerOptions options;
  options.host = "0.0.0.0";
  start(options);
  for (const auto& [host, status] : {std::pair("10.1.2.3:80", 200),
                                     std::pair("[2001:db8::1]", 200),
                                     std::pair("localhost", 200),
                                     std::pair("evil.example", 421)}) {
    Client client = connect();
    client.send(str("GET /hello HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, status) << host;
  }
}

TEST_F(ServerTest, start_and_stop_leave_no_thread_and_no_descriptor) {
  const std::size_t threads = thread_count();
  const std::size_t descriptors = descriptor_count();
  for (int i = 0; i < 20; ++i) {
    ServerOptions options;
    options.io_thread_count = 2;
    start(options);
    Client client = connect();
    client.send(get("/hello"));
    EXPECT_TRUE(client.read_reply().has_value());
    server.reset();
  }
  EXPECT_EQ(thread_count(), threads);
  EXPECT_EQ(descriptor_count(), descriptors);
}

TEST_F(ServerTest, a_client_that_closes_is_noticed_at_once) {
  start();
  std::vector<double> latencies;
  for (int i = 0; i < 20; ++i) {
    Client client = connect();
    client.send(get("/hold"));
    const auto held = routes.take_held(1);
    ASSERT_EQ(held.size(), 1U);
    const auto begin = steady_clock::now();
    if (i % 2 == 0) {
      client.close();
    } else {
      client.reset();
    }
    ASSERT_TRUE(routes.wait_left(i + 1));
    latencies.push_back(milliseconds_since(begin));
  }
  // Far below the 100 ms within which a cancelled request must free its memory; sanitizers and a
  // busy machine included.
  EXPECT_LT(*std::max_element(latencies.begin(), latencies.end()), 80);
  EXPECT_EQ(metrics.client_disconnects.value(), 20U);
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(5)));
}

TEST_F(ServerTest, a_client_that_leaves_behind_pipelined_bytes_is_noticed) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);
  // More than the server keeps of later requests, so that it has stopped reading.
  client.send(post("/echo", std::string(150'000, 'a')));
  std::this_thread::sleep_for(milliseconds(50));
  client.close();
  EXPECT_TRUE(routes.wait_left(1));
}

TEST_F(ServerTest, leaving_before_the_callback_is_set_is_told_at_once) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);
  client.close();
  ASSERT_TRUE(routes.wait_left(1));
  bool was_called = false;
  held[0]->on_disconnect([&] { was_called = true; });
  EXPECT_TRUE(was_called);
  held[0]->start_stream({});
  EXPECT_FALSE(held[0]->write("nobody listens"));
}

TEST_F(ServerTest, no_callback_after_an_answer) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);
  held[0]->respond({});
  EXPECT_TRUE(client.read_reply().has_value());
  client.close();
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() == 0; }));
  EXPECT_FALSE(metrics.client_disconnects.value() > 0);
}

TEST_F(ServerTest, a_full_front_queue_answers_503_and_recovers) {
  ServerOptions options;
  options.front_thread_count = 1;
  options.front_queue_size = 4;
  start(options);
  std::vector<Client> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(connect());
    clients.back().send(get("/sleep?40"));
  }
  int served = 0;
  int refused = 0;
  for (Client& client : clients) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value());
    if (reply->status == 200) {
      ++served;
    } else {
      EXPECT_EQ(reply->status, 503);
      EXPECT_GE(std::atoi(std::string(reply->header("retry-after")).c_str()), 1);
      ++refused;
    }
  }
  EXPECT_GE(served, 4);
  EXPECT_GE(refused, 20);
  clients[0].send(get("/hello"));
  EXPECT_EQ(clients[0].read_reply()->body, "hello");
}

TEST_F(ServerTest, connections_beyond_the_limit_get_503) {
  ServerOptions options;
  options.connection_count_max = 8;
  start(options);
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(connect());
    clients.back().send(get("/hello"));
    ASSERT_TRUE(clients.back().read_reply().has_value());
  }
  Client refused = connect();
  refused.send(get("/hello"));
  const auto reply = refused.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 503);
  EXPECT_TRUE(refused.is_ended_by_peer());
  clients.pop_back();
  EXPECT_TRUE(eventually([&] {
    Client next = connect();
    next.send(get("/hello"));
    const auto answer = next.read_reply();
    return answer && answer->status == 200;
  }));
}

TEST_F(ServerTest, connections_of_one_address_are_limited) {
  ServerOptions options;
  options.connection_per_address_count_max = 2;
  start(options);
  Client first = connect();
  Client second = connect();
  first.send(get("/hello"));
  second.send(get("/hello"));
  EXPECT_EQ(first.read_reply()->status, 200);
  EXPECT_EQ(second.read_reply()->status, 200);
  Client third = connect();
  third.send(get("/hello"));
  EXPECT_EQ(third.read_reply()->status, 503);
}

TEST_F(ServerTest, a_flood_of_refused_connections_is_cut_short) {
  ServerOptions options;
  options.connection_count_max = 1;
  start(options);
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(connect());
  // 1 served, 64 told, the rest closed without a word.
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() <= 65; }));
}

TEST_F(ServerTest, running_out_of_descriptors_does_not_spin) {
#ifdef __SANITIZE_ADDRESS__
  // UBSan tests a vptr by opening a pipe, and takes the missing descriptor for a bad object.
  GTEST_SKIP() << "UndefinedBehaviorSanitizer itself needs descriptors";
#endif
  start();
  std::vector<Client> clients;
  double used = 0;
  {
    const DescriptorLimit limit(11);
    // Each connection takes two of the process: the client's and the server's. At the end clients
    // connect, but the server cannot accept them.
    for (int i = 0; i < 11; ++i) clients.push_back(connect());
    std::this_thread::sleep_for(milliseconds(100));
    const double before = cpu_seconds();
    std::this_thread::sleep_for(milliseconds(500));
    used = cpu_seconds() - before;
  }
  EXPECT_LT(used, 0.1);
  clients.clear();
  Client client = connect();
  client.send(get("/hello"));
  EXPECT_TRUE(client.read_reply().has_value());
}

TEST_F(ServerTest, a_thousand_connections_are_served) {
  ServerOptions options;
  options.connection_per_address_count_max = 2000;
  options.io_thread_count = 2;
  start(options);
  std::vector<Client> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(clients.back().is_connected()) << i;
  }
  for (int round = 0; round < 2; ++round) {
    for (Client& client : clients) ASSERT_TRUE(client.send(post("/echo", "abc")));
    for (Client& client : clients) {
      const auto reply = client.read_reply();
      ASSERT_TRUE(reply.has_value());
      ASSERT_EQ(reply->status, 200);
      ASSERT_EQ(reply->body, "abc");
    }
  }
  EXPECT_EQ(metrics.connections.value(), 1000);
  clients.clear();
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() == 0; }));
}

TEST_F(ServerTest, a_refused_large_body_costs_no_memory_and_the_answer_arrives) {
  start();
  Client client = connect();
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n");
  const std::string part(1'000'000, 'x');
  for (int i = 0; i < 8 && client.send(part); ++i) {
  }
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 413);
}

TEST_F(ServerTest, bodies_beyond_the_bound_of_all_together_get_503) {
  ServerOptions options;
  options.body_total_size_max = 100'000;
  start(options);
  // Two bodies that are never complete take 90,000 bytes; announcing a megabyte takes none.
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
  std::vector<Client> slow;
  for (int i = 0; i < 2; ++i) {
    slow.push_back(connect());
    ASSERT_TRUE(slow.back().send(head + std::string(45'000, 'x')));
  }
  const std::string body(30'000, 'y');
  const auto status_of_another = [&] {
    Client client = connect();
    client.send(post("/echo", body));
    const auto reply = client.read_reply();
    if (!reply) return 0;
    if (reply->status == 503) {
      EXPECT_NE(reply->header("retry-after"), "");
    }
    return reply->status;
  };
  EXPECT_TRUE(eventually([&] { return status_of_another() == 503; }));
  // Requests without a body are served, and what leaves makes room.
  Client small = connect();
  small.send(get("/hello"));
  EXPECT_EQ(small.read_reply()->status, 200);
  slow.clear();
  EXPECT_TRUE(eventually([&] { return status_of_another() == 200; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(status_of_another(), 200);
}

TEST_F(ServerTest, a_body_that_a_handler_holds_counts_until_it_lets_go) {
  ServerOptions options;
  options.body_total_size_max = 50'000;
  start(options);
  Client first = connect();
  first.send(post("/keep", std::string(40'000, 'x')));
  auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);
  Client second = connect();
  second.send(post("/echo", std::string(20'000, 'y')));
  EXPECT_EQ(second.read_reply()->status, 503);
  held[0]->respond({});
  held.clear();
  EXPECT_EQ(first.read_reply()->status, 200);
  EXPECT_TRUE(eventually([&] {
    Client third = connect();
    third.send(post("/echo", std::string(20'000, 'y')));
    return third.read_reply()->status == 200;
  }));
}

TEST_F(ServerTest, stopping_refuses_new_clients_and_finishes_old_requests) {
  start();
  Client idle = connect();
  idle.send(get("/hello"));
  ASSERT_TRUE(idle.read_reply().has_value());
  Client busy = connect();
  busy.send(get("/hold"));
  auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);

  server->stop_accepting();
  EXPECT_TRUE(idle.is_ended_by_peer());
  EXPECT_FALSE(connect().is_connected());
  EXPECT_FALSE(server->wait_idle(milliseconds(50)));

  held[0]->respond({});
  const auto reply = busy.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->header("connection"), "close");
  EXPECT_TRUE(busy.is_ended_by_peer());
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(5)));
}

TEST_F(ServerTest, a_server_that_leaves_ends_connections_with_their_next_answer) {
  start();
  Client idle = connect();
  idle.send(get("/hello"));
  ASSERT_TRUE(idle.read_reply().has_value());
  Client busy = connect();
  busy.send(get("/hold"));
  auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);

  server->leave();
  EXPECT_FALSE(connect().is_connected());
  EXPECT_FALSE(server->wait_no_connections(milliseconds(50)));
  // The client of an idle connection may be sending already: it gets its answer.
  idle.send(get("/hello"));
  const auto last = idle.read_reply();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->status, 200);
  EXPECT_EQ(last->header("connection"), "close");
  EXPECT_TRUE(idle.is_ended_by_peer());
  held[0]->respond({});
  ASSERT_TRUE(busy.read_reply().has_value());
  EXPECT_TRUE(server->wait_no_connections(std::chrono::seconds(5)));
}

TEST_F(ServerTest, two_servers_share_a_socket_and_one_leaves_without_a_refused_connection) {
  start();
  ServerOptions options;
  options.port = server->port();
  const auto listener = server->duplicate_listener();
  ASSERT_TRUE(listener.has_value()) << listener.status().to_string();
  options.listener_fd = *listener;
  const auto successor = Server::start(options, routes, metrics);
  ASSERT_TRUE(successor.has_value()) << successor.status().to_string();
  EXPECT_EQ((*successor)->port(), server->port());
  std::atomic<bool> stopping{false};
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&, port = server->port()] {
      while (!stopping) {
        Client client(port);
        const bool sent = client.is_connected() && client.send(get("/hello"));
        const auto reply = sent ? client.read_reply() : std::nullopt;
        ++(reply.has_value() && reply->status == 200 ? answered : failed);
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return answered > 50; }));
  server->leave();
  EXPECT_TRUE(server->wait_no_connections(std::chrono::seconds(10)));
  server.reset();
  const int so_far = answered;
  EXPECT_TRUE(eventually([&] { return answered > so_far + 50; }));
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
}

TEST_F(ServerTest, an_inherited_descriptor_must_listen_on_the_address) {
  start();
  ServerOptions options;
  options.port = static_cast<std::uint16_t>(server->port() + 1);
  options.listener_fd = *server->duplicate_listener();
  auto started = Server::start(options, routes, metrics);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(started.error().message().find(str("127.0.0.1:", server->port())), std::string::npos);
  const std::size_t before = descriptor_count();
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    options.listener_fd = ::socket(AF_INET, type, 0);
    started = Server::start(options, routes, metrics);
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(descriptor_count(), before) << "the descriptor is the server's to close";
}

TEST_F(ServerTest, exchanges_outlive_the_server) {
  start();
  Client client = connect();
  client.send(get("/hold"));
  const auto held = routes.take_held(1);
  ASSERT_EQ(held.size(), 1U);
  server.reset();
  EXPECT_TRUE(routes.wait_left(1));
  held[0]->start_stream({});
  EXPECT_FALSE(held[0]->write("late"));
  held[0]->end_stream();
}

TEST_F(ServerTest, requests_queued_at_the_end_are_dropped_cleanly) {
  ServerOptions options;
  options.front_thread_count = 1;
  start(options);
  std::vector<Client> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect());
    clients.back().send(get("/sleep?30"));
  }
  std::this_thread::sleep_for(milliseconds(20));
  server.reset();
  for (Client& client : clients) {
    while (client.read_reply()) {
    }
    EXPECT_TRUE(client.is_ended_by_peer());
  }
}

TEST_F(ServerTest, random_clients_under_load_leave_nothing_behind) {
  ServerOptions options;
  options.io_thread_count = 2;
  options.front_thread_count = 3;
  start(options);
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      unsigned state = seed * 7919 + 1;
      for (int i = 0; i < 150; ++i) {
        state = state * 1664525U + 1013904223U;
        Client client = connect();
        const unsigned kind = (state >> 16) % 6;
        client.send(kind == 0   ? get("/stream?2000")
                    : kind == 1 ? get("/drop-stream")
                    : kind == 2 ? post("/echo", std::string(state % 5000, 'e'))
                    : kind == 3 ? get("/hel")
                    : kind == 4 ? std::string("POST /echo HTTP/1.1\r\nHost: localhost\r\n")
                                : get("/hello"));
        if ((state >> 24) % 3 == 0) {
          client.reset();
        } else if (kind != 4 && client.read_reply()) {
          ++answered;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(answered, 100);
  EXPECT_TRUE(server->wait_idle(std::chrono::seconds(10)));
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() == 0; }));
  EXPECT_EQ(metrics.requests_in_flight.value(), 0);
}

}  // namespace
}  // namespace inferneo::http_test
