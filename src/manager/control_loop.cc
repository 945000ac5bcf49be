#include "manager/control_loop.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "base/check.h"
#include "base/log.h"
#include "base/thread.h"

namespace inferneo::manager {
namespace {

// Why at least this: a clock that stands still (tests) would otherwise make the loop spin.
constexpr Duration kSleepMin = std::chrono::milliseconds(1);
constexpr Duration kSleepMax = std::chrono::hours(1);

}  // namespace

ControlLoop::ControlLoop(const Clock& clock,
                         std::function<void()> look,
                         std::function<TimePoint()> next_look)
    : clock_(clock), look_(std::move(look)), next_look_(std::move(next_look)), thread_([this] {
        set_thread_name("control");
        try {
          loop();
        } catch (const std::exception& error) {
          log::error("control", error.what());
          log::flush();
          std::terminate();
        }
      }) {}

ControlLoop::~ControlLoop() { stop(); }

void ControlLoop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void ControlLoop::run(const std::function<void()>& task) {
  CHECK(!is_own_thread());
  std::promise<void> done;
  bool posted = false;
  {
    const std::lock_guard lock(mutex_);
    posted = !stopping_;
    if (posted) {
      tasks_.emplace_back([&] { task(); });
      runs_.push_back(&done);
    }
  }
  if (!posted) return;
  changed_.notify_one();
  done.get_future().wait();
}

bool ControlLoop::is_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

void ControlLoop::poke() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
  }
  changed_.notify_one();
}

void ControlLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable() && !is_own_thread()) thread_.join();
}

void ControlLoop::loop() {
  std::vector<Task> tasks;
  std::vector<std::promise<void>*> runs;
  for (;;) {
    const TimePoint next = next_look_();
    const Duration sleep = next == TimePoint::max()
                               ? kSleepMax
                               : std::clamp<Duration>(next - clock_.now(), kSleepMin, kSleepMax);
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, sleep, [this] { return stopping_ || poked_ || !tasks_.empty(); });
      poked_ = false;
      tasks.swap(tasks_);
      runs.swap(runs_);
      if (tasks.empty() && stopping_) return;
    }
    for (Task& task : tasks) {
      task();
      task = Task();
    }
    tasks.clear();
    look_();
    for (std::promise<void>* run : runs) run->set_value();
    runs.clear();
  }
}

}  // namespace inferneo::manager
