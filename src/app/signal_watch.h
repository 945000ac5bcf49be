// Signals as values: blocks those that stop the program and lets the main thread wait for them, so
// that no code runs in a signal handler. SIGPIPE is ignored: a closed socket is an error code.
// Thread: constructed and waited on by main, before any other thread starts (threads inherit the
// mask); wake() from any.
#pragma once

#include <pthread.h>
#include <signal.h>

#include "base/clock.h"

namespace inferneo::app {

// kTerminate: SIGTERM, as service managers send it. kInterrupt: Ctrl-C, someone is waiting.
enum class Signal { kNone, kTerminate, kInterrupt, kReload, kWake };

constexpr bool asks_to_stop(Signal signal) {
  return signal == Signal::kTerminate || signal == Signal::kInterrupt;
}

class SignalWatch {
 public:
  // `kWake` is what wake() sends.
  SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Blocks until a signal comes or `timeout` has passed (kNone).
  Signal wait(Duration timeout);
  void wake() const;

 private:
  sigset_t set_;
  pthread_t owner_;
};

}  // namespace inferneo::app
