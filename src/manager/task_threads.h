// A few named threads that carry out tasks in the order they were given: loads, and the tearing
// down of models. What is still waiting when they end is dropped.
// Thread: any. Bound: the callers' (one task a version at a time).
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_function.h"

namespace inferneo::manager {

class TaskThreads {
 public:
  using Task = UniqueFunction<void()>;

  // Threads are called "<name>-0", "<name>-1", ...
  TaskThreads(const std::string& name, int count);
  // Waits for the tasks that are being carried out.
  ~TaskThreads();
  TaskThreads(const TaskThreads&) = delete;
  TaskThreads& operator=(const TaskThreads&) = delete;

  // False when the threads are ending; the task is then left with the caller.
  bool post(Task& task);
  bool post(Task&& task) { return post(task); }
  // Tasks being carried out or waiting.
  [[nodiscard]] std::size_t count() const;
  // Both take nothing more and wait for the threads; the first carries out what is waiting, the
  // second drops it.
  void finish();
  void stop();

 private:
  void run(const std::string& name);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace inferneo::manager
