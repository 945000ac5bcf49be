// A few threads that run one function together; they sleep in between.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace starter {

// Thread: run() from one thread at a time.
class Team {
 public:
  explicit Team(size_t size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  size_t size() const { return threads_.size(); }

  // Calls work(index) on every thread, index 0 .. size() - 1, and returns when all are done.
  template <typename Work>
  void run(Work work) {
    start([](void* context, size_t index) { (*static_cast<Work*>(context))(index); }, &work);
  }

 private:
  using Call = void (*)(void* context, size_t index);

  void start(Call call, void* context);
  void loop(size_t index);

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  Call call_ = nullptr;
  void* context_ = nullptr;
  size_t round_ = 0, busy_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace starter
