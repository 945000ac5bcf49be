// Ctrl-C for verbs without a server: the first one asks to stop the answer, and a second one while
// the first is pending ends the program.
// Thread: main creates it before other threads; requested() from any.
#pragma once

#include <atomic>

namespace inferneo::app {

class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  // Restores the default action.
  ~Interrupt();

  [[nodiscard]] const std::atomic<bool>& requested() const;
  // Forgets a request that has been obeyed.
  void clear();
};

}  // namespace inferneo::app
