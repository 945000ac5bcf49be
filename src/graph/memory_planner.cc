// Offsets of activation values by greedy first fit, largest value first: at the sizes of a forward
// pass (a handful of live values) this reaches the lower bound set by the largest moment.
#include <algorithm>
#include <numeric>

#include "base/limits.h"
#include "graph/program.h"
#include "kernels/kernel_table.h"

namespace inferneo::graph {
namespace {

constexpr std::uint64_t kAlignment = 64;

std::uint64_t value_size(const Value& value,
                         std::int64_t token_count,
                         std::int64_t logit_row_count) {
  std::int64_t rows = value.rows == Rows::kTokens ? token_count : logit_row_count;
  if (value.packed)
    rows = (rows + kernels::kPackRows - 1) / kernels::kPackRows * kernels::kPackRows;
  const std::uint64_t size = static_cast<std::uint64_t>(rows * value.width) * sizeof(float);
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

bool lifetimes_meet(const Value& a, const Value& b) {
  return a.first_op <= b.last_op && b.first_op <= a.last_op;
}

}  // namespace

MemoryLayout plan_memory(const Program& program,
                         std::int64_t token_count,
                         std::int64_t logit_row_count) {
  const std::vector<Value>& values = program.values;
  std::vector<std::uint64_t> sizes(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    sizes[i] = value_size(values[i], token_count, logit_row_count);
  }
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sizes[a] > sizes[b];
  });

  MemoryLayout layout;
  layout.offsets.assign(values.size(), 0);
  std::vector<std::size_t> placed;
  for (const std::size_t index : order) {
    // Neighbours in time, in order of address: take the first hole that is large enough.
    std::vector<std::size_t> neighbours;
    for (const std::size_t other : placed) {
      if (lifetimes_meet(values[index], values[other])) neighbours.push_back(other);
    }
    std::sort(neighbours.begin(), neighbours.end(), [&](std::size_t a, std::size_t b) {
      return layout.offsets[a] < layout.offsets[b];
    });
    std::uint64_t offset = 0;
    for (const std::size_t other : neighbours) {
      if (offset + sizes[index] <= layout.offsets[other]) break;
      offset = std::max(offset, layout.offsets[other] + sizes[other]);
    }
    layout.offsets[index] = offset;
    layout.size = std::max(layout.size, offset + sizes[index]);
    placed.push_back(index);
  }
  return layout;
}

std::uint64_t kv_block_size(const Program& program) {
  const AttentionShape& shape = program.attention;
  const tensor::DType kv = program.arithmetic.kv;
  const auto rows =
      static_cast<std::uint64_t>(shape.layers * 2 * shape.kv_heads * limits::kKvBlockSizeTokens);
  const std::size_t scale_size = kv == tensor::DType::kI8 ? sizeof(float) : 0;
  return rows * (static_cast<std::uint64_t>(shape.head_dim) * tensor::dtype_size(kv) + scale_size);
}

}  // namespace inferneo::graph
