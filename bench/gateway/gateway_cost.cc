// What the gateway costs, without a model: gateway_cost cost MODEL_DIR prints the time from the
// bytes of a chat request to the engine's queue and that of one streamed event; gateway_cost serve
// MODEL_DIR PORT serves the null model until end of input, for load; gateway_cost load PORT
// CONNECTIONS SECONDS sends chats as fast as they are answered and prints how many a second.
// MODEL_DIR holds the tokenizer and the chat template. bench/gateway/run joins the three.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/str.h"
#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/http/server.h"
#include "manager/manager.h"
#include "null_model.h"

namespace inferneo::bench {
namespace {

namespace endpoints = gateway::endpoints;
namespace http = gateway::http;
using Seconds = std::chrono::duration<double>;
using SteadyTime = std::chrono::steady_clock;

std::string chat_body(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += str("The dog ran to the park on day ", i, ". ");
  return str(R"({"model":"null","temperature":0,"max_tokens":4,"messages":[{"role":"system",)",
             R"("content":"You are kind."},{"role":"user","content":")",
             text,
             R"("}]})");
}

// The endpoints over the null model.
class Service {
 public:
  explicit Service(const std::string& directory)
      : manager_(std::vector<const runtime::Runtime*>(), clock_) {
    auto served = std::make_shared<manager::ServedModel>();
    served->name = "null";
    served->model = std::make_shared<NullModel>();
    served->tokenizer = text::Tokenizer::load(directory).value();
    served->chat_template = text::load_chat_template(directory).value();
    served->context_tokens_max = served->model->info().context_tokens_max;
    served->metrics = std::make_unique<observe::ModelMetrics>();
    engine::EngineOptions options;
    options.name = "null";
    options.kv_block_count = 1 << 16;
    served->engine =
        engine::Engine::create(served->model, served->tokenizer, options, clock_, *served->metrics)
            .value();
    CHECK(manager_.add(std::move(served)).ok());
    endpoints::Services services;
    services.manager = &manager_;
    services.server_metrics = &metrics_;
    services.clock = &clock_;
    dispatcher_ = endpoints::make_dispatcher(services);
  }
  http::Dispatcher& dispatcher() { return *dispatcher_; }
  observe::ServerMetrics& metrics() { return metrics_; }
  const text::Tokenizer& tokenizer() { return *manager_.list().front()->tokenizer; }

 private:
  SteadyClock clock_;
  observe::ServerMetrics metrics_;
  manager::ModelManager manager_;
  std::unique_ptr<http::Dispatcher> dispatcher_;
};

// Keeps nothing but the end.
class NullExchange final : public http::Exchange {
 public:
  explicit NullExchange(http::Request request) : request_(std::move(request)) {}
  [[nodiscard]] const http::Request& request() const override { return request_; }
  void respond(http::Response response) override { finish(response.status); }
  void start_stream(http::Response) override {}
  bool write(std::string_view) override { return true; }
  void end_stream() override { finish(200); }
  void on_disconnect(UniqueFunction<void()>) override {}
  int wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return status_ != 0; });
    return status_;
  }

 private:
  void finish(int status) {
    const std::lock_guard lock(mutex_);
    status_ = status;
    changed_.notify_all();
  }
  const http::Request request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int status_ = 0;
};

void print_percentiles(const char* name, std::vector<double>& microseconds) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double share) {
    return microseconds[static_cast<std::size_t>(static_cast<double>(microseconds.size() - 1) *
                                                 share)];
  };
  std::printf("%-34s p50 %7.1f us   p99 %7.1f us\n", name, at(0.5), at(0.99));
}

void measure_requests(Service& service, std::size_t size) {
  constexpr int kCount = 5000;
  const std::string body = chat_body(size);
  std::vector<double> times;
  for (int i = 0; i < kCount; ++i) {
    http::Request request;
    request.head = {.method = "POST",
                    .path = "/v1/chat/completions",
                    .query = {},
                    .headers = {},
                    .remote_address = {},
                    .request_id = "bench"};
    request.head.headers = {{"content-type", "application/json"}};
    request.body = body;
    auto exchange = std::make_shared<NullExchange>(std::move(request));
    const auto start = SteadyTime::now();
    service.dispatcher().dispatch(exchange);
    times.push_back(Seconds(SteadyTime::now() - start).count() * 1e6);
    CHECK(exchange->wait() == 200);
  }
  print_percentiles(str("chat of ", body.size(), " bytes to queue").c_str(), times);
}

// Beside it, so that the tokenizer's share shows.
void measure_tokenizer(Service& service, std::size_t size) {
  const std::string body = chat_body(size);
  std::vector<double> times;
  for (int i = 0; i < 2000; ++i) {
    const auto start = SteadyTime::now();
    const auto ids = service.tokenizer().encode(body);
    times.push_back(Seconds(SteadyTime::now() - start).count() * 1e6);
    CHECK(!ids.empty());
  }
  print_percentiles("of which tokenising about", times);
}

void measure_events() {
  constexpr int kBatch = 100;
  endpoints::AnswerOptions options;
  options.identity = {"chatcmpl-0123456789abcdef0123456789abcdef", 1'700'000'000, "null", "fp_0"};
  options.prompts.push_back({});
  const auto answer = endpoints::make_chat_stream(std::move(options));
  int sockets[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  std::string out;
  char sink[65536];
  std::vector<double> times;
  for (int i = 0; i < 5000; ++i) {
    const auto start = SteadyTime::now();
    for (int j = 0; j < kBatch; ++j) {
      request::OutputDelta delta;
      delta.text = " token";
      delta.token_ids = {17};
      out.clear();
      answer->add(0, std::move(delta), out);
      CHECK(::write(sockets[0], out.data(), out.size()) == static_cast<ssize_t>(out.size()));
    }
    times.push_back(Seconds(SteadyTime::now() - start).count() * 1e6 / kBatch);
    while (::recv(sockets[1], sink, sizeof(sink), MSG_DONTWAIT) > 0) {
    }
  }
  ::close(sockets[0]);
  ::close(sockets[1]);
  print_percentiles("one event formatted and written", times);
}

int serve(const std::string& directory, int port) {
  Service service(directory);
  http::ServerOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.front_thread_count = 1;
  const auto server = http::Server::start(options, service.dispatcher(), service.metrics());
  if (!server.has_value()) {
    std::fprintf(stderr, "%s\n", server.error().to_string().c_str());
    return 1;
  }
  std::printf("port %d\n", (*server)->port());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

// One connection of the load: sends a request, reads its answer, sends the next.
class LoadConnection {
 public:
  LoadConnection(int port, const std::string& request) : request_(request) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      std::perror("connect");
      std::exit(1);
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  [[nodiscard]] int fd() const { return fd_; }
  void send() const {
    CHECK(::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request_.size()));
  }
  // Reads what is there; true when an answer is complete.
  bool read() {
    char bytes[16384];
    const ssize_t count = ::recv(fd_, bytes, sizeof(bytes), 0);
    if (count <= 0) {
      std::fprintf(stderr, "the server closed a connection\n");
      std::exit(1);
    }
    answer_.append(bytes, static_cast<std::size_t>(count));
    const std::size_t head = answer_.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const char* length = ::strcasestr(answer_.c_str(), "content-length:");
    const bool chunked = length == nullptr || length > answer_.c_str() + head;
    const bool whole = chunked
                           ? answer_.ends_with("0\r\n\r\n")
                           : answer_.size() >= head + 4 + std::strtoul(length + 15, nullptr, 10);
    if (!whole) return false;
    if (answer_.compare(9, 3, "200") != 0) {
      std::fprintf(stderr, "%s\n", answer_.c_str());
      std::exit(1);
    }
    answer_.clear();
    return true;
  }

 private:
  const std::string& request_;
  std::string answer_;
  int fd_ = -1;
};

int load(int port, int connection_count, double seconds) {
  const std::string body =
      R"({"model":"null","temperature":0,"max_tokens":4,"messages":[{"role":"user","content":"Hi"}]})";
  const std::string request = str("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:",
                                  port,
                                  "\r\nContent-Type: application/json\r\nContent-Length: ",
                                  body.size(),
                                  "\r\n\r\n",
                                  body);
  std::vector<LoadConnection> connections;
  std::vector<pollfd> polls;
  for (int i = 0; i < connection_count; ++i) {
    connections.emplace_back(port, request);
    polls.push_back({connections.back().fd(), POLLIN, 0});
    connections.back().send();
  }
  std::uint64_t count = 0;
  const auto start = SteadyTime::now();
  while (Seconds(SteadyTime::now() - start).count() < seconds) {
    ::poll(polls.data(), polls.size(), 100);
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].revents == 0 || !connections[i].read()) continue;
      ++count;
      connections[i].send();
    }
  }
  std::printf("%.0f completions/s over %d connections\n",
              static_cast<double>(count) / Seconds(SteadyTime::now() - start).count(),
              connection_count);
  return 0;
}

}  // namespace
}  // namespace inferneo::bench

int main(int argc, char** argv) {
  using namespace inferneo::bench;
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "cost" && argc == 3) {
    Service service(argv[2]);
    measure_requests(service, 2000);
    measure_requests(service, 100);
    measure_tokenizer(service, 2000);
    measure_events();
    return 0;
  }
  if (mode == "serve" && argc == 4) return serve(argv[2], std::atoi(argv[3]));
  if (mode == "load" && argc == 5) {
    return load(std::atoi(argv[2]), std::atoi(argv[3]), std::atof(argv[4]));
  }
  std::fprintf(
      stderr,
      "gateway_cost cost MODEL_DIR | serve MODEL_DIR PORT | load PORT CONNECTIONS SECONDS\n");
  return 2;
}
