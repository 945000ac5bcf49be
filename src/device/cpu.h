// The CPU as a device: a kernel table chosen once and a team of worker threads.
// Several models share one CpuDevice; their parallel sections take turns.
// Thread: parallel_for from any engine thread; the rest from the thread that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "kernels/kernel_table.h"

namespace inferneo::device {

struct CpuOptions {
  int thread_count = 0;  // 0 means all usable processors
  std::string isa;       // "" means the fastest supported table
};

class CpuDevice {
 public:
  // Failures: invalid_argument naming the tables this machine supports.
  static Result<std::unique_ptr<CpuDevice>> create(const CpuOptions& options);
  CpuDevice(const CpuDevice&) = delete;
  CpuDevice& operator=(const CpuDevice&) = delete;
  ~CpuDevice();

  [[nodiscard]] const kernels::KernelTable& kernels() const;
  [[nodiscard]] int thread_count() const;

  // Body of a parallel section: items [begin, end), on worker 0 .. thread_count-1.
  using Body = void (*)(void* context, std::int64_t begin, std::int64_t end, int worker) noexcept;

  // Calls body over disjoint ranges that cover [0, item_count), in parallel, with the caller as one
  // of the workers, and returns when all are done. Ranges hold a multiple of `grain` items, except
  // the last. Allocates nothing.
  void parallel_for(std::int64_t item_count, std::int64_t grain, Body body, void* context) noexcept;

  // The same for a callable f(begin, end, worker).
  template <typename F>
  void parallel_for(std::int64_t item_count, std::int64_t grain, F& f) noexcept {
    parallel_for(
        item_count,
        grain,
        [](void* context, std::int64_t begin, std::int64_t end, int worker) noexcept {
          (*static_cast<F*>(context))(begin, end, worker);
        },
        &f);
  }

 private:
  struct Impl;
  explicit CpuDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::device
