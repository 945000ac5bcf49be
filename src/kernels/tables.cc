#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/kernel_table.h"

namespace inferneo::kernels {
namespace {

constexpr std::size_t kTableCountMax = 1 + kIsaTableCountMax;

struct TableList {
  std::array<const KernelTable*, kTableCountMax> tables{};
  std::size_t count = 0;
};

TableList probe_tables() {
  TableList list;
  list.tables[list.count++] = &reference_table();
  for (const KernelTable* table : isa_tables(detect_cpu_features())) {
    if (table != nullptr && list.count < kTableCountMax) list.tables[list.count++] = table;
  }
  return list;
}

}  // namespace

std::span<const KernelTable* const> supported_tables() {
  static const TableList list = probe_tables();
  return std::span(list.tables).first(list.count);
}

const KernelTable* find_table(const char* name) {
  const auto tables = supported_tables();
  const std::string_view wanted = name == nullptr ? "" : name;
  if (wanted.empty()) return tables.back();
  for (const KernelTable* table : tables) {
    if (wanted == table->name) return table;
  }
  return nullptr;
}

std::int64_t attention_scratch_floats(std::int32_t head_dim, std::int32_t /*group*/) {
  const std::int64_t vectors = vector_attention_floats(head_dim);
  return fits_tiles(head_dim) ? std::max(vectors, tile_attention_floats(head_dim)) : vectors;
}

std::int64_t attention_partial_floats(std::int64_t query_count, std::int32_t head_dim) {
  return partial_floats(query_count, head_dim);
}

}  // namespace inferneo::kernels
