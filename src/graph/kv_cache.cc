#include "graph/kv_cache.h"

#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"

namespace inferneo::graph {
namespace {

using tensor::DType;

void store_row(const kernels::KernelTable& table,
               DType dtype,
               const float* source,
               std::int64_t row,
               std::int64_t head_dim,
               std::byte* plane,
               float* scales) {
  std::byte* to = plane + static_cast<std::size_t>(row * head_dim) * tensor::dtype_size(dtype);
  switch (dtype) {
    case DType::kF16:
      return table.f32_to_f16(source, reinterpret_cast<kernels::F16*>(to), head_dim);
    case DType::kBf16:
      return table.f32_to_bf16(source, reinterpret_cast<kernels::Bf16*>(to), head_dim);
    case DType::kI8:
      return table.f32_to_i8(source, reinterpret_cast<std::int8_t*>(to), scales + row, head_dim);
    default:
      std::memcpy(to, source, static_cast<std::size_t>(head_dim) * sizeof(float));
  }
}

}  // namespace

bool is_kv_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16 ||
         dtype == DType::kI8;
}

Result<KvCache> KvCache::allocate(const Program& program,
                                  std::int64_t block_count,
                                  std::int64_t window_block_count) {
  const AttentionShape& shape = program.attention;
  const KvWindows windows = kv_windows(program);
  const std::uint64_t block_size = kv_layer_block_size(program);
  const auto most =
      static_cast<std::int64_t>(std::numeric_limits<std::int64_t>::max() / (2 * block_size) /
                                static_cast<std::uint64_t>(shape.layers));
  for (const std::int64_t count : {block_count, window_block_count}) {
    if (count >= 1 && count <= most) continue;
    return resource_exhausted(str("a key/value cache of ",
                                  count,
                                  " blocks of ",
                                  block_size,
                                  " bytes in each of ",
                                  shape.layers,
                                  " layers cannot be addressed"));
  }
  KvCache cache;
  cache.dtype_ = program.arithmetic.kv;
  cache.kv_heads_ = shape.kv_heads;
  cache.head_dim_ = shape.head_dim;
  cache.planes_ = shape.is_latent ? 1 : 2;
  for (const bool has_window : {false, true}) {
    const auto rows = static_cast<std::size_t>(has_window ? window_block_count : block_count) *
                      static_cast<std::size_t>(shape.kv_heads * limits::kKvBlockSizeTokens);
    Pool& pool = cache.pools_[has_window ? 1 : 0];
    pool.plane_size =
        rows * static_cast<std::size_t>(shape.head_dim) * tensor::dtype_size(cache.dtype_);
    if (cache.dtype_ == DType::kI8) pool.scales_size = rows * sizeof(float);
  }
  std::size_t size = 0;
  for (const bool has_window : windows.layers) {
    cache.layers_.push_back({has_window, size});
    size += cache.planes_ * cache.pools_[has_window ? 1 : 0].stride();
  }
  ASSIGN_OR_RETURN(cache.memory_,
                   AnonymousMemory::allocate(size,
                                             str("the key/value cache (",
                                                 block_count,
                                                 " blocks, ",
                                                 window_block_count,
                                                 " in layers with a window, of ",
                                                 block_size,
                                                 " bytes a layer)")));
  return cache;
}

void KvCache::resize(std::int64_t block_count) const noexcept {
  const Pool& pool = pools_[0];
  const std::size_t rows = static_cast<std::size_t>(block_count * kv_heads_) *
                           static_cast<std::size_t>(limits::kKvBlockSizeTokens);
  const std::size_t kept = rows * static_cast<std::size_t>(head_dim_) * tensor::dtype_size(dtype_);
  const std::size_t kept_scales = pool.scales_size == 0 ? 0 : rows * sizeof(float);
  for (const Layer& layer : layers_) {
    if (layer.has_window) continue;
    for (std::size_t plane = 0; plane < planes_; ++plane) {
      const std::size_t begin = layer.offset + plane * pool.stride();
      memory_.keep(begin, kept, pool.plane_size - kept);
      if (pool.scales_size == 0) continue;
      memory_.keep(begin + pool.plane_size, kept_scales, pool.scales_size - kept_scales);
    }
  }
}

void KvCache::store(const kernels::KernelTable& table,
                    std::int32_t layer,
                    Plane plane,
                    Slot at,
                    std::int64_t head_begin,
                    std::int64_t head_end,
                    const float* heads) const noexcept {
  std::byte* elements = plane == Plane::kKeys ? keys(layer) : values(layer);
  float* scales = plane == Plane::kKeys ? key_scales(layer) : value_scales(layer);
  for (std::int64_t head = head_begin; head < head_end; ++head) {
    const std::int64_t row =
        (at.block * kv_heads_ + head) * std::int64_t{limits::kKvBlockSizeTokens} + at.slot;
    store_row(table, dtype_, heads + head * head_dim_, row, head_dim_, elements, scales);
  }
}

}  // namespace inferneo::graph
