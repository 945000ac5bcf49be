// The bytes of the paged key/value cache of one runner. For each layer the keys of all blocks of
// its pool (layers with a window have another than those without), then their values; within a
// block [kv_head][slot][head_dim], as the attention kernels read it. int8 elements have a scale for
// each row, held apart as [block][kv_head][slot]. Of a latent cache the keys are the values, too.
// Thread: one engine thread and the workers of its device. Ownership: owns the memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/result.h"
#include "graph/program.h"
#include "kernels/kernel_table.h"

namespace inferneo::graph {

// Types that keys and values may have: f32, f16, bf16 and i8.
bool is_kv_type(tensor::DType dtype);

class KvCache {
 public:
  // Failures: resource_exhausted with the numbers.
  static Result<KvCache> allocate(const Program& program,
                                  std::int64_t block_count,
                                  std::int64_t window_block_count);

  // Gives the memory of blocks from `block_count` on back to the system, in layers without a
  // window; they are zero when they are used again. Memory is whole pages: the last block's
  // neighbours may keep a page each.
  void resize(std::int64_t block_count) const noexcept;

  [[nodiscard]] bool has_window(std::int32_t layer) const { return at(layer).has_window; }
  [[nodiscard]] std::byte* keys(std::int32_t layer) const {
    return memory_.data() + at(layer).offset;
  }
  [[nodiscard]] std::byte* values(std::int32_t layer) const {
    return keys(layer) + (planes_ - 1) * pool_of(layer).stride();
  }
  // Null but for int8.
  [[nodiscard]] float* key_scales(std::int32_t layer) const {
    return scales_of(layer, keys(layer));
  }
  [[nodiscard]] float* value_scales(std::int32_t layer) const {
    return scales_of(layer, values(layer));
  }

  enum class Plane : std::uint8_t { kKeys, kValues };
  struct Slot {
    std::int64_t block = 0;
    std::int64_t slot = 0;  // in the block
  };
  // Rounds heads [head_begin, head_end) of the key or the value of one token to the cache's type
  // and stores them. Shape: heads [kv_heads][head_dim].
  void store(const kernels::KernelTable& table,
             std::int32_t layer,
             Plane plane,
             Slot at,
             std::int64_t head_begin,
             std::int64_t head_end,
             const float* heads) const noexcept;

 private:
  // Of a layer: all keys, or all values, and their scales.
  struct Pool {
    std::size_t plane_size = 0;
    std::size_t scales_size = 0;
    [[nodiscard]] std::size_t stride() const { return plane_size + scales_size; }
  };
  struct Layer {
    bool has_window = false;
    std::size_t offset = 0;
  };
  [[nodiscard]] const Layer& at(std::int32_t layer) const {
    return layers_[static_cast<std::size_t>(layer)];
  }
  [[nodiscard]] const Pool& pool_of(std::int32_t layer) const {
    return pools_[has_window(layer) ? 1 : 0];
  }
  [[nodiscard]] float* scales_of(std::int32_t layer, std::byte* plane) const {
    const Pool& pool = pool_of(layer);
    return pool.scales_size == 0 ? nullptr : reinterpret_cast<float*>(plane + pool.plane_size);
  }

  AnonymousMemory memory_;
  tensor::DType dtype_ = tensor::DType::kF32;
  std::int64_t kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  std::size_t planes_ = 2;     // of a layer: keys and values, or what is both
  std::array<Pool, 2> pools_;  // without and with a window
  std::vector<Layer> layers_;
};

}  // namespace inferneo::graph
