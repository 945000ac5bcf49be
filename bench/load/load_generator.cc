// load_generator --port N --model NAME --vocab N [--seed N] [--timeout S]
// Sends the requests that stdin plans (CLIENT AT_SECONDS SHARED OWN OUTPUT, one a line) to a server
// on this machine and prints one JSON object for each: when it was due and sent, and when each
// piece of its answer came. One thread on epoll, so that it takes next to nothing from the server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "planned_request.h"
#include "stream_parser.h"

namespace inferneo::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  std::uint16_t port = 8000;
  std::string model;
  std::int32_t vocab = 32000;
  std::uint64_t seed = 1;
  double timeout_s = 600;
};

// One request in the air.
struct Exchange {
  std::size_t index = 0;
  PlannedRequest plan;
  int socket = -1;
  std::string unsent;
  StreamParser parser;
  double sent_s = 0;
  std::vector<double> event_s;
};

class Generator {
 public:
  Generator(const Flags& flags, const std::vector<PlannedRequest>& plan)
      : flags_(flags), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = 0; i < plan.size(); ++i) waiting_[plan[i].client].push_back({i, plan[i]});
    left_ = plan.size();
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  ~Generator() { ::close(epoll_); }

  // False when the time ran out.
  bool run() {
    start_ = Clock::now();
    while (left_ > 0 && now() < flags_.timeout_s) {
      const double next = start_due();
      epoll_event events[64];
      const int wait_ms = static_cast<int>(std::min(1000.0, std::max(0.0, (next - now()) * 1e3)));
      const int count = epoll_wait(epoll_, events, 64, wait_ms);
      for (int i = 0; i < count; ++i) serve(events[i].data.fd, events[i].events);
    }
    return left_ == 0;
  }

 private:
  struct Waiting {
    std::size_t index = 0;
    PlannedRequest plan;
  };

  [[nodiscard]] double now() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

  // Starts what is due; the time of the next start.
  double start_due() {
    double next = flags_.timeout_s;
    for (auto& [client, queue] : waiting_) {
      if (queue.empty() || busy_[client]) continue;
      if (queue.front().plan.at_s <= now()) {
        begin(queue.front());
        queue.pop_front();
      } else {
        next = std::min(next, queue.front().plan.at_s);
      }
    }
    return next;
  }

  void begin(const Waiting& waiting) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(flags_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Exchange exchange;
    exchange.index = waiting.index;
    exchange.plan = waiting.plan;
    exchange.socket = socket;
    exchange.sent_s = now();
    // Connecting to a loopback address does not wait for the server to accept.
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      print(exchange, std::strerror(errno));
      ::close(socket);
      --left_;
      return;
    }
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ::fcntl(socket, F_SETFL, O_NONBLOCK);
    const std::string host = "127.0.0.1:" + std::to_string(flags_.port);
    exchange.unsent =
        request_bytes(exchange.plan, exchange.index, flags_.seed, host, flags_.model, flags_.vocab);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.fd = socket;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
    busy_[exchange.plan.client] = true;
    in_air_.emplace(socket, std::move(exchange));
  }

  void serve(int socket, std::uint32_t events) {
    const auto found = in_air_.find(socket);
    if (found == in_air_.end()) return;
    Exchange& exchange = found->second;
    if ((events & EPOLLOUT) != 0) send_more(exchange);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    char buffer[65536];
    const ssize_t got = ::read(socket, buffer, sizeof(buffer));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) {
      const int count = exchange.parser.feed({buffer, static_cast<std::size_t>(got)});
      for (int i = 0; i < count; ++i) exchange.event_s.push_back(now());
    }
    if (got <= 0 || exchange.parser.done()) finish(exchange);
  }

  void send_more(Exchange& exchange) {
    const ssize_t sent =
        ::send(exchange.socket, exchange.unsent.data(), exchange.unsent.size(), MSG_NOSIGNAL);
    if (sent > 0) exchange.unsent.erase(0, static_cast<std::size_t>(sent));
    if (!exchange.unsent.empty()) return;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = exchange.socket;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, exchange.socket, &event);
  }

  void finish(Exchange& exchange) {
    print(exchange, exchange.parser.done() ? "" : "the answer broke off");
    busy_[exchange.plan.client] = false;
    --left_;
    const int socket = exchange.socket;
    ::close(socket);
    in_air_.erase(socket);
  }

  void print(const Exchange& exchange, const char* error) const {
    std::printf(
        "{\"index\": %zu, \"client\": %d, \"due_s\": %.6f, \"sent_s\": %.6f, "
        "\"end_s\": %.6f, \"status\": %d, \"tokens\": %" PRId64 ", ",
        exchange.index,
        exchange.plan.client,
        exchange.plan.at_s,
        exchange.sent_s,
        now(),
        exchange.parser.status(),
        exchange.parser.completion_tokens());
    std::string refusal;
    for (const char c : exchange.parser.refusal()) {
      refusal += c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    std::printf("\"error\": \"%s%s\", \"event_s\": [", error, refusal.c_str());
    for (std::size_t i = 0; i < exchange.event_s.size(); ++i) {
      std::printf("%s%.6f", i == 0 ? "" : ", ", exchange.event_s[i]);
    }
    std::puts("]}");
  }

  Flags flags_;
  int epoll_;
  Clock::time_point start_{};
  std::map<std::int32_t, std::deque<Waiting>> waiting_;
  std::map<std::int32_t, bool> busy_;
  std::map<int, Exchange> in_air_;
  std::size_t left_ = 0;
};

bool parse_flags(int argc, char** argv, Flags& flags) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--port") {
      flags.port = static_cast<std::uint16_t>(std::atoi(value));
    } else if (name == "--model") {
      flags.model = value;
    } else if (name == "--vocab") {
      flags.vocab = std::atoi(value);
    } else if (name == "--seed") {
      flags.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--timeout") {
      flags.timeout_s = std::atof(value);
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

int main_of(int argc, char** argv) {
  Flags flags;
  if (!parse_flags(argc, argv, flags)) {
    std::fputs(
        "use: load_generator --port N --model NAME --vocab N [--seed N] [--timeout S] < PLAN\n",
        stderr);
    return 2;
  }
  std::vector<PlannedRequest> plan;
  std::string error;
  if (!read_plan(std::cin, plan, error)) {
    std::fprintf(stderr, "load_generator: %s\n", error.c_str());
    return 2;
  }
  if (Generator(flags, plan).run()) return 0;
  std::fputs("load_generator: the time ran out\n", stderr);
  return 1;
}

}  // namespace
}  // namespace inferneo::bench

int main(int argc, char** argv) { return inferneo::bench::main_of(argc, argv); }
