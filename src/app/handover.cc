#include "app/handover.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error_text.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "routing/subject.h"

namespace inferneo::app {
namespace {

// The messages: one line each, the number is that of the protocol.
constexpr std::string_view kTake = "inferneo-take 1\n";
constexpr std::string_view kTaken = "taken\n";
constexpr std::string_view kBusy = "busy\n";
constexpr std::string_view kReady = "ready\n";
constexpr std::string_view kLeft = "left\n";
constexpr std::size_t kMessageSizeMax = 32;

// The other side answers at once, unless it stands still.
constexpr std::chrono::seconds kAnswerTimeout{10};
constexpr std::chrono::milliseconds kRequestTimeout{100};  // of a second successor

// Spec: unix(7), abstract: the name begins with a zero byte and is as long as the size says.
std::pair<sockaddr_un, socklen_t> address_of(std::string_view served) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A hash, because a name has little room and a host name may be long.
  const std::string name =
      str("inferneo-handover-", ::getuid(), "-", routing::SubjectHash().add(served).value());
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

Status failed(std::string_view what) { return internal_error(str(what, ": ", error_text(errno))); }

Result<OwnedFd> make_socket() {
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return failed("a socket for the hand-over");
  return fd;
}

Result<ucred> peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return failed("who is at the other side of the hand-over");
  }
  if (peer.uid != ::getuid() && peer.uid != 0) {
    return permission_denied(str("process ", peer.pid, " belongs to user ", peer.uid));
  }
  return peer;
}

bool wait_readable(int fd, Duration timeout) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  for (;;) {
    const int ready = ::poll(&entry, 1, static_cast<int>(ms));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

// A message with a descriptor when `passed` is one.
bool send_message(int fd, std::string_view text, int passed = -1) {
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (passed >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &passed, sizeof(int));
  }
  // Bound: a few bytes always fit into the buffer of a socket that is otherwise empty.
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

struct Message {
  std::string text;  // empty: the other side has gone
  OwnedFd passed;
};

Message receive_message(int fd) {
  Message received;
  std::array<char, kMessageSizeMax> bytes{};
  iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return received;
  received.text.assign(bytes.data(), static_cast<std::size_t>(size));
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int passed = -1;
    std::memcpy(&passed, CMSG_DATA(header), sizeof(int));
    received.passed = OwnedFd(passed);
  }
  return received;
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<Predecessor>> Predecessor::find(std::string_view served) {
  ASSIGN_OR_RETURN(OwnedFd channel, make_socket());
  const auto [address, size] = address_of(served);
  if (::connect(channel.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno == ECONNREFUSED) return std::optional<Predecessor>();
    return failed("connecting to the running server");
  }
  ASSIGN_OR_RETURN(const ucred peer, peer_of(channel.get()));
  if (!send_message(channel.get(), kTake) || !wait_readable(channel.get(), kAnswerTimeout)) {
    return unavailable(str("process ", peer.pid, " serves ", served, " but does not answer"));
  }
  Message answer = receive_message(channel.get());
  if (answer.text == kBusy) {
    return unavailable(str("process ", peer.pid, " is being succeeded by another process"));
  }
  if (answer.text != kTaken || answer.passed.get() < 0) {
    return unavailable(str("process ", peer.pid, " did not hand over its socket"));
  }
  Predecessor predecessor;
  predecessor.channel_ = std::move(channel);
  predecessor.listener_ = std::move(answer.passed);
  predecessor.pid_ = peer.pid;
  return std::optional<Predecessor>(std::move(predecessor));
}

Status Predecessor::finish() {
  if (!send_message(channel_.get(), kReady) || !wait_readable(channel_.get(), kAnswerTimeout) ||
      receive_message(channel_.get()).text != kLeft) {
    return unavailable(str("process ", pid_, " did not say that it left"));
  }
  return ok_status();
}

Result<std::unique_ptr<Successors>> Successors::start(std::string_view served,
                                                      OwnedFd listener,
                                                      Events events) {
  ASSIGN_OR_RETURN(OwnedFd door, make_socket());
  const auto [address, size] = address_of(served);
  if (::bind(door.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno != EADDRINUSE) return failed("the name for the hand-over");
    return already_exists(str("another process answers for ", served));
  }
  if (::listen(door.get(), 4) != 0) return failed("the name for the hand-over");
  OwnedFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (stop.get() < 0) return failed("an event for the hand-over");
  return std::unique_ptr<Successors>(
      new Successors(std::move(door), std::move(listener), std::move(stop), std::move(events)));
}

Successors::Successors(OwnedFd door, OwnedFd listener, OwnedFd stop, Events events)
    : door_(std::move(door)),
      listener_(std::move(listener)),
      stop_(std::move(stop)),
      events_(std::move(events)),
      thread_([this] { run(); }) {}

Successors::~Successors() {
  const std::uint64_t one = 1;
  // Cannot fail: the counter is far from its largest value.
  (void)!::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

bool Successors::wait_for(int fd) const {
  std::array<pollfd, 2> entries{pollfd{.fd = fd, .events = POLLIN, .revents = 0},
                                pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  for (;;) {
    const int ready = ::poll(entries.data(), entries.size(), -1);
    if (ready < 0 && errno != EINTR) return false;
    if (entries[1].revents != 0) return false;
    if (entries[0].revents != 0) return true;
  }
}

void Successors::run() {
  set_thread_name("handover");
  while (wait_for(door_.get())) {
    const OwnedFd peer(::accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (peer.get() < 0) continue;
    if (const Result<ucred> who = peer_of(peer.get()); !who.has_value()) {
      log::warning("serve", str("a hand-over was refused: ", who.error().message()));
      continue;
    }
    if (!serve(peer.get())) return;
  }
}

bool Successors::serve(int peer) {
  const Result<ucred> who = peer_of(peer);
  // Bound: one that says nothing holds the door for the time of an answer.
  if (!who.has_value() || !wait_readable(peer, kAnswerTimeout)) return true;
  if (receive_message(peer).text != kTake) return true;
  events_.on_taken(who->pid);
  if (!send_message(peer, kTaken, listener_.get())) {
    events_.on_abandoned(who->pid);
    return true;
  }
  for (;;) {
    // Others that come meanwhile are told so at once.
    std::array<pollfd, 3> entries{pollfd{.fd = peer, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = door_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return true;
    if (entries[1].revents != 0) return true;
    if (entries[0].revents != 0) break;
    if (entries[2].revents != 0) {
      const OwnedFd other(::accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (other.get() < 0) continue;
      // Why read first: closing with a message unread would break the other's connection before
      // it has the answer.
      if (wait_readable(other.get(), kRequestTimeout)) receive_message(other.get());
      send_message(other.get(), kBusy);
    }
  }
  if (receive_message(peer).text != kReady) {
    events_.on_abandoned(who->pid);
    return true;
  }
  events_.on_finished(who->pid);
  // The name is free for the successor before it hears that this process left; a connection that
  // was accepted here just before is still this process's.
  door_ = OwnedFd();
  listener_ = OwnedFd();
  send_message(peer, kLeft);
  return false;
}

}  // namespace inferneo::app
