// The CPU as a device: a kernel table chosen once and a team of worker threads.
// Several models share one CpuDevice; their parallel sections take turns.
// Thread: parallel_for from any engine thread; the rest from the thread that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "device/next_read.h"
#include "kernels/kernel_table.h"

namespace inferneo::device {

// Whether each thread of the team stays on one processor.
enum class Pinning : std::uint8_t {
  kAuto,  // when there is a thread for every core
  kOn,
  kOff,
};

struct CpuOptions {
  int thread_count = 0;  // 0 means default_thread_count() of this machine
  std::string isa;       // "" means the fastest supported table
  Pinning pinning = Pinning::kAuto;
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
  // the last. How many workers take part is decided at every call: a body must not wait for
  // another range to begin. Allocates nothing. `next` stays in force until another is known.
  void parallel_for(std::int64_t item_count,
                    std::int64_t grain,
                    Body body,
                    void* context,
                    const NextRead& next = {}) noexcept;

  // The same for a callable f(begin, end, worker).
  template <typename F>
  void parallel_for(std::int64_t item_count,
                    std::int64_t grain,
                    F& f,
                    const NextRead& next = {}) noexcept {
    parallel_for(
        item_count,
        grain,
        [](void* context, std::int64_t begin, std::int64_t end, int worker) noexcept {
          (*static_cast<F*>(context))(begin, end, worker);
        },
        &f,
        next);
  }

  // Keeps the threads for one caller from section to section, as far as the callers of other models
  // do not wait for them (Turns).
  class Turn {
   public:
    explicit Turn(CpuDevice& device) : device_(device) { device_.begin_turn(); }
    ~Turn() { device_.end_turn(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    CpuDevice& device_;
  };

  // Calls of parallel_for so far that had work for more than one thread, each a barrier.
  [[nodiscard]] std::uint64_t section_count() const;

 private:
  void begin_turn();
  void end_turn();

  struct Impl;
  explicit CpuDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::device
