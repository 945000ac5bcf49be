#include "team.h"

#include "matrix.h"

namespace starter {

Team::Team(size_t size) {
  for (size_t i = 0; i < size; ++i) threads_.emplace_back([this, i] { loop(i); });
}

Team::~Team() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begin_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::start(Call call, void* context) {
  std::unique_lock lock(mutex_);
  call_ = call;
  context_ = context;
  busy_ = threads_.size();
  ++round_;
  begin_.notify_all();
  end_.wait(lock, [this] { return busy_ == 0; });
}

void Team::loop(size_t index) {
  prepare_thread();
  size_t done = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    begin_.wait(lock, [&] { return stop_ || round_ != done; });
    if (stop_) return;
    done = round_;
    lock.unlock();
    call_(context_, index);
    lock.lock();
    if (--busy_ == 0) end_.notify_one();
  }
}

}  // namespace starter
