// A step allocates nothing: operator new of this test program counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>
#include <vector>

#include "runtimes/native/native_runtime.h"

namespace {
std::atomic<std::int64_t> allocation_count{0};
}  // namespace

// Why noinline: inlined, the compiler pairs malloc with delete and warns of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size > 0 ? size : 1);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace inferneo::runtimes::native {
namespace {

TEST(Allocation, steps_allocate_nothing) {
  const auto device = device::CpuDevice::create({2, ""}).value();
  const auto model = make_runtime(*device)
                         ->load(std::string(INFERNEO_SOURCE_DIR) + "/models/starter", {}, {})
                         .value();
  const auto runner = model->make_runner({8, 64, 2, 2}).value();
  std::vector<TokenId> ids(40);
  std::iota(ids.begin(), ids.end(), 5);
  const std::vector<kv::BlockId> blocks = {1, 5, 2, 7};
  const std::int32_t last_row = 39;
  const std::int32_t first_row = 0;
  const runtime::StepSequence prefill = {0, 40, 0, blocks};
  const std::int64_t before = allocation_count.load();
  ASSERT_GT(before, 0);  // it does count
  (void)runner->wait(runner->submit({ids, std::span(&prefill, 1), std::span(&last_row, 1)}));
  for (std::int32_t i = 0; i < 20; ++i) {
    const runtime::StepSequence decode = {0, 1, 40 + i, blocks};
    const auto result = runner->wait(
        runner->submit({std::span(ids).first(1), std::span(&decode, 1), std::span(&first_row, 1)}));
    ASSERT_EQ(result.logits.size(), 4096U);
  }
  EXPECT_EQ(allocation_count.load(), before);
}

}  // namespace
}  // namespace inferneo::runtimes::native
