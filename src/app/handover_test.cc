#include "app/handover.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "base/str.h"

namespace inferneo::app {
namespace {

// A listening socket on a free port, as a server has it.
struct Listener {
  Listener() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    port = port_of(fd.get());
    where = str("127.0.0.1:", port);
  }
  static std::uint16_t port_of(int socket) {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  OwnedFd fd;
  std::uint16_t port = 0;
  std::string where;
};

// Keeps what was told, in order.
class Log {
 public:
  Successors::Events events() {
    return {.on_taken = [this](pid_t pid) { add("taken", pid); },
            .on_abandoned = [this](pid_t pid) { add("abandoned", pid); },
            .on_finished = [this](pid_t pid) { add("finished", pid); }};
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool becomes(const std::string& wanted) {
    for (int i = 0; i < 5000; ++i) {
      if (text() == wanted) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

 private:
  void add(const char* what, pid_t pid) {
    const std::lock_guard lock(mutex_);
    text_ += str(what, pid == ::getpid() ? " " : " by a stranger ");
  }
  std::mutex mutex_;
  std::string text_;
};

TEST(Handover, without_a_server_there_is_nobody_to_succeed) {
  Listener unused;
  const auto found = Predecessor::find(unused.where);
  ASSERT_TRUE(found.has_value()) << found.status().to_string();
  EXPECT_FALSE(found->has_value());
}

TEST(Handover, the_successor_gets_the_same_socket_and_the_other_leaves) {
  Listener listener;
  const std::uint16_t port = listener.port;
  const std::string where = listener.where;
  Log log;
  auto successors = Successors::start(where, std::move(listener.fd), log.events());
  ASSERT_TRUE(successors.has_value()) << successors.status().to_string();
  auto found = Predecessor::find(where);
  ASSERT_TRUE(found.has_value()) << found.status().to_string();
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->pid(), ::getpid());
  EXPECT_EQ(Listener::port_of((*found)->listener()), port);
  EXPECT_NE(::fcntl((*found)->listener(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(log.text(), "taken ");
  // A connection that was made while the other still accepted is not lost.
  const OwnedFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_TRUE((*found)->finish().ok());
  EXPECT_EQ(log.text(), "taken finished ");
  const OwnedFd accepted(::accept((*found)->listener(), nullptr, nullptr));
  EXPECT_GE(accepted.get(), 0);
  // The name is free: the successor can be succeeded.
  Log next;
  auto again = Successors::start(where, OwnedFd((*found)->take_listener()), next.events());
  ASSERT_TRUE(again.has_value()) << again.status().to_string();
  EXPECT_TRUE(Predecessor::find(where)->has_value());
}

TEST(Handover, a_successor_that_fails_changes_nothing) {
  Listener listener;
  const std::string where = listener.where;
  Log log;
  auto successors = Successors::start(where, std::move(listener.fd), log.events());
  ASSERT_TRUE(successors.has_value());
  for (int i = 0; i < 3; ++i) {
    const auto found = Predecessor::find(where);
    ASSERT_TRUE(found.has_value() && found->has_value()) << found.status().to_string();
  }
  EXPECT_TRUE(log.becomes("taken abandoned taken abandoned taken abandoned "));
}

TEST(Handover, a_second_successor_is_told_to_wait) {
  Listener listener;
  const std::string where = listener.where;
  Log log;
  auto successors = Successors::start(where, std::move(listener.fd), log.events());
  ASSERT_TRUE(successors.has_value());
  auto first = Predecessor::find(where);
  ASSERT_TRUE(first.has_value() && first->has_value());
  const auto second = Predecessor::find(where);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), StatusCode::kUnavailable);
  EXPECT_NE(second.error().message().find("being succeeded"), std::string::npos);
  EXPECT_TRUE((*first)->finish().ok());
}

TEST(Handover, a_server_that_ends_answers_nobody_and_frees_the_name) {
  Listener listener;
  const std::string where = listener.where;
  Log log;
  auto first = Successors::start(where, OwnedFd(::dup(listener.fd.get())), log.events());
  ASSERT_TRUE(first.has_value());
  auto waiting = Predecessor::find(where);
  first->reset();  // with a successor under way
  EXPECT_FALSE((*waiting)->finish().ok());
  EXPECT_FALSE(Predecessor::find(where)->has_value());
  EXPECT_TRUE(Successors::start(where, std::move(listener.fd), log.events()).has_value());
}

}  // namespace
}  // namespace inferneo::app
