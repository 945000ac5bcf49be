// Offsets of activation values by greedy first fit, largest value first: at the sizes of a forward
// pass (a handful of live values) this reaches the lower bound set by the largest moment.
#include "graph/memory_planner.h"

#include <algorithm>
#include <numeric>

#include "base/limits.h"

namespace inferneo::graph {
namespace {

constexpr std::uint64_t kAlignment = 64;

// Something that needs memory from one operation to another.
struct Tenant {
  std::uint64_t size = 0;
  std::int32_t first_op = 0;
  std::int32_t last_op = 0;
};

bool lifetimes_meet(const Tenant& a, const Tenant& b) {
  return a.first_op <= b.last_op && b.first_op <= a.last_op;
}

std::uint64_t round_up(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

// Values, then packed inputs.
std::vector<Tenant> list_tenants(const Program& program,
                                 std::span<const PackedInput> inputs,
                                 std::int64_t token_count,
                                 std::int64_t logit_row_count) {
  const auto row_count = [&](const Value& value) {
    return value.rows == Rows::kTokens ? token_count : logit_row_count;
  };
  std::vector<Tenant> tenants;
  for (const Value& value : program.values) {
    const auto size = static_cast<std::uint64_t>(row_count(value) * value.width) * sizeof(float);
    tenants.push_back({round_up(size), value.first_op, value.last_op});
  }
  for (const PackedInput& input : inputs) {
    const Value& value = program.values[static_cast<std::size_t>(input.in)];
    tenants.push_back(
        {round_up(input.ops->size(row_count(value), value.width)), input.op, input.op});
  }
  return tenants;
}

// Offsets by tenant.
std::vector<std::uint64_t> place(const std::vector<Tenant>& tenants) {
  std::vector<std::size_t> order(tenants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tenants[a].size > tenants[b].size;
  });
  std::vector<std::uint64_t> offsets(tenants.size());
  std::vector<std::size_t> placed;
  for (const std::size_t index : order) {
    // Neighbours in time, in order of address: take the first hole that is large enough.
    std::vector<std::size_t> neighbours;
    for (const std::size_t other : placed) {
      if (lifetimes_meet(tenants[index], tenants[other])) neighbours.push_back(other);
    }
    std::sort(neighbours.begin(), neighbours.end(), [&](std::size_t a, std::size_t b) {
      return offsets[a] < offsets[b];
    });
    std::uint64_t offset = 0;
    for (const std::size_t other : neighbours) {
      if (offset + tenants[index].size <= offsets[other]) break;
      offset = std::max(offset, offsets[other] + tenants[other].size);
    }
    offsets[index] = offset;
    placed.push_back(index);
  }
  return offsets;
}

}  // namespace

MemoryLayout plan_memory(const Program& program,
                         std::span<const PackedInput> inputs,
                         std::int64_t token_count,
                         std::int64_t logit_row_count) {
  const std::vector<Tenant> tenants = list_tenants(program, inputs, token_count, logit_row_count);
  const std::vector<std::uint64_t> offsets = place(tenants);
  MemoryLayout layout;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    layout.size = std::max(layout.size, offsets[i] + tenants[i].size);
  }
  const auto first_input = offsets.begin() + static_cast<std::ptrdiff_t>(program.values.size());
  layout.offsets.assign(offsets.begin(), first_input);
  layout.input_offsets.assign(first_input, offsets.end());
  return layout;
}

std::int64_t KvWindows::layer_count() const {
  return std::count(layers.begin(), layers.end(), true);
}

KvWindows kv_windows(const Program& program) {
  KvWindows windows;
  windows.layers.resize(static_cast<std::size_t>(program.attention.layers));
  if (program.attention.is_bidirectional) return windows;
  for (const Op& op : program.ops) {
    const auto* attention = std::get_if<AttentionOp>(&op);
    if (attention == nullptr || attention->reach_before >= kUnlimitedReach) continue;
    windows.layers[static_cast<std::size_t>(attention->layer)] = true;
    windows.reach = std::max(windows.reach, attention->reach_before);
  }
  return windows;
}

std::uint64_t kv_layer_block_size(const Program& program) {
  const AttentionShape& shape = program.attention;
  const tensor::DType kv = program.arithmetic.kv;
  const std::int64_t planes = shape.is_latent ? 1 : 2;
  const auto rows =
      static_cast<std::uint64_t>(planes * shape.kv_heads * limits::kKvBlockSizeTokens);
  const std::size_t scale_size = kv == tensor::DType::kI8 ? sizeof(float) : 0;
  return rows * (static_cast<std::uint64_t>(shape.head_dim) * tensor::dtype_size(kv) + scale_size);
}

}  // namespace inferneo::graph
