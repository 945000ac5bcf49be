// Restart in place: a new process of the program takes over the listening socket of the running
// one, so that no connection is refused and no request fails.
//
// The new process (`serve --takeover`) asks the running one for the socket, loads its models while
// the other still serves, then accepts on the same socket and says so; the other accepts no more,
// finishes what it has and exits. Should the new one fail before that, nothing has changed.
//
// They meet on an abstract Unix socket named after user, host and port. Why: it lives and dies with
// the processes, in the same network namespace as the port itself, leaves no file behind and needs
// no setting; each side checks the other's user id, because such names have no permissions. Why not
// a signal and exec: the new process comes from whoever supervises it, with its environment, limits
// and program file, and a failing one never endangers the running one. Why not SO_REUSEPORT: what
// waits in a closing socket's queue is lost.
// Spec: unix(7), SCM_RIGHTS and SO_PEERCRED.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace inferneo::app {

// A descriptor that is closed at the end.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The new process's side. Thread: one.
class Predecessor {
 public:
  // The process that serves `address` ("127.0.0.1:8000", as both are configured), with a copy of
  // its listening socket; empty when there is none. Blocks for a moment. Failures:
  // permission_denied (another user's), unavailable (another successor is under way, or it does not
  // answer).
  static Result<std::optional<Predecessor>> find(std::string_view address);

  [[nodiscard]] int listener() const { return listener_.get(); }
  [[nodiscard]] int take_listener() { return listener_.release(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // This process accepts now: the other one leaves. Returns when it accepts no more.
  // Failures: unavailable when it has gone in the meantime, which does no harm.
  Status finish();

 private:
  OwnedFd channel_;
  OwnedFd listener_;
  pid_t pid_ = 0;
};

// The running process's side. Thread: created and destroyed by main; calls back on a thread of its
// own, "handover".
class Successors {
 public:
  struct Events {
    // A successor has the socket and begins to load. Called before it is told.
    std::function<void(pid_t)> on_taken;
    // It has gone without taking over: this process goes on alone.
    std::function<void(pid_t)> on_abandoned;
    // It accepts: this process must accept no more before this returns.
    std::function<void(pid_t)> on_finished;
  };
  // Takes ownership of `listener`. Failures: already_exists when another process has the name
  // (after waiting a moment for a predecessor to give it up), internal.
  static Result<std::unique_ptr<Successors>> start(std::string_view address,
                                                   OwnedFd listener,
                                                   Events events);
  ~Successors();
  Successors(const Successors&) = delete;
  Successors& operator=(const Successors&) = delete;

 private:
  Successors(OwnedFd door, OwnedFd listener, OwnedFd stop, Events events);
  void run();
  // False when this process has been succeeded.
  bool serve(int peer);
  // Waits for input of either; true for `fd`, false when the process stops.
  [[nodiscard]] bool wait_for(int fd) const;

  OwnedFd door_;
  OwnedFd listener_;
  OwnedFd stop_;  // readable from the destructor on
  Events events_;
  std::thread thread_;
};

}  // namespace inferneo::app
