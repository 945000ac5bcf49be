#include "app/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace inferneo::app {
namespace {

// A signal handler can reach nothing but globals; lock-free, so safe to set there.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// Spec: shells report death by SIGINT as 128 + 2.
constexpr int kInterruptedExit = 130;

void on_interrupt(int) {
  if (interrupted.exchange(true)) ::_exit(kInterruptedExit);
}

void set_action(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // Why no SA_RESTART: reading a line from the terminal must end too.
  ::sigaction(SIGINT, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  interrupted.store(false);
  set_action(on_interrupt);
}

Interrupt::~Interrupt() { set_action(SIG_DFL); }

const std::atomic<bool>& Interrupt::requested() const { return interrupted; }

void Interrupt::clear() { interrupted.store(false); }

}  // namespace inferneo::app
