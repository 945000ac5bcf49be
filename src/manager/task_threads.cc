#include "manager/task_threads.h"

#include <exception>

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"

namespace inferneo::manager {

TaskThreads::TaskThreads(const std::string& name, int count) {
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([this, label = str(name, "-", i)] { run(label); });
  }
}

TaskThreads::~TaskThreads() { stop(); }

bool TaskThreads::post(Task& task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

std::size_t TaskThreads::count() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size() + running_;
}

void TaskThreads::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  threads_.clear();
}

void TaskThreads::stop() {
  std::deque<Task> dropped;  // destroyed outside the lock: they may own what calls us
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(tasks_);
  }
  finish();
}

void TaskThreads::run(const std::string& name) {
  set_thread_name(name);
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      ++running_;
    }
    try {
      task();
    } catch (const std::exception& error) {
      // Our own mistake or memory has run out; state is unknown then.
      log::error(name, error.what());
      log::flush();
      std::terminate();
    }
    task = Task();  // what it owns goes before it counts as done
    const std::lock_guard lock(mutex_);
    --running_;
  }
}

}  // namespace inferneo::manager
