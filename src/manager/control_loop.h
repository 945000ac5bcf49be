// The control thread: carries out what is posted, one after another, and looks at the time when it
// has to. All mutable state of the control plane belongs to it.
// Thread: any, except where a method says otherwise.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/unique_function.h"

namespace inferneo::manager {

class ControlLoop {
 public:
  using Task = UniqueFunction<void()>;

  // After each batch of tasks, and when `next_look` says so, `look` runs. Thread of both: control.
  ControlLoop(const Clock& clock, std::function<void()> look, std::function<TimePoint()> next_look);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  // Dropped when the loop has ended.
  void post(Task task);
  // Runs `task` on the control thread and waits for its end and the look after it. Not to be called
  // on that thread.
  void run(const std::function<void()>& task);
  [[nodiscard]] bool is_own_thread() const;
  // Wakes it for a look. Cheap when it is awake.
  void poke();
  // Carries out what was posted before, and ends.
  void stop();

 private:
  void loop();

  const Clock& clock_;
  const std::function<void()> look_;
  const std::function<TimePoint()> next_look_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Task> tasks_;
  std::vector<std::promise<void>*> runs_;  // of run(), told after the look
  bool poked_ = false;
  bool stopping_ = false;
  std::jthread thread_;  // declared last: ends before what it uses
};

}  // namespace inferneo::manager
