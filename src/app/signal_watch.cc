#include "app/signal_watch.h"

#include <cerrno>
#include <ctime>

namespace inferneo::app {
namespace {

constexpr int kWakeSignal = SIGUSR1;

timespec to_timespec(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
}

}  // namespace

SignalWatch::SignalWatch() : owner_(pthread_self()) {
  ::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, kWakeSignal}) sigaddset(&set_, number);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

Signal SignalWatch::wait(Duration timeout) {
  const timespec limit = to_timespec(timeout);
  switch (::sigtimedwait(&set_, nullptr, &limit)) {
    case SIGINT:
      return Signal::kInterrupt;
    case SIGTERM:
      return Signal::kTerminate;
    case SIGHUP:
      return Signal::kReload;
    case kWakeSignal:
      return Signal::kWake;
    default:
      return Signal::kNone;  // timeout, or EINTR by a signal that is not ours
  }
}

void SignalWatch::wake() const { pthread_kill(owner_, kWakeSignal); }

}  // namespace inferneo::app
