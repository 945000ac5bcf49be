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

Result<KvCache> KvCache::allocate(const Program& program, std::int64_t block_count) {
  const std::uint64_t block_size = kv_block_size(program);
  const auto count = static_cast<std::uint64_t>(block_count);
  if (block_count < 1 || count > std::numeric_limits<std::int64_t>::max() / block_size) {
    return resource_exhausted(str("a key/value cache of ",
                                  block_count,
                                  " blocks of ",
                                  block_size,
                                  " bytes cannot be addressed"));
  }
  const AttentionShape& shape = program.attention;
  KvCache cache;
  cache.dtype_ = program.arithmetic.kv;
  cache.layers_ = shape.layers;
  cache.kv_heads_ = shape.kv_heads;
  cache.head_dim_ = shape.head_dim;
  cache.planes_ = shape.is_latent ? 1 : 2;
  const auto rows = static_cast<std::size_t>(block_count * shape.kv_heads) *
                    static_cast<std::size_t>(limits::kKvBlockSizeTokens);
  cache.plane_size_ =
      rows * static_cast<std::size_t>(shape.head_dim) * tensor::dtype_size(cache.dtype_);
  if (cache.dtype_ == DType::kI8) cache.scales_size_ = rows * sizeof(float);
  CHECK(cache.planes_ * static_cast<std::size_t>(shape.layers) * cache.plane_stride() ==
        count * block_size);
  ASSIGN_OR_RETURN(
      cache.memory_,
      AnonymousMemory::allocate(
          count * block_size,
          str("the key/value cache (", block_count, " blocks of ", block_size, " bytes)")));
  return cache;
}

void KvCache::resize(std::int64_t block_count) const noexcept {
  const std::size_t rows = static_cast<std::size_t>(block_count * kv_heads_) *
                           static_cast<std::size_t>(limits::kKvBlockSizeTokens);
  const std::size_t kept = rows * static_cast<std::size_t>(head_dim_) * tensor::dtype_size(dtype_);
  const std::size_t kept_scales = scales_size_ == 0 ? 0 : rows * sizeof(float);
  const auto planes = planes_ * static_cast<std::size_t>(layers_);
  for (std::size_t plane = 0; plane < planes; ++plane) {
    const std::size_t at = plane * plane_stride();
    memory_.keep(at, kept, plane_size_ - kept);
    if (scales_size_ > 0) memory_.keep(at + plane_size_, kept_scales, scales_size_ - kept_scales);
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
