// The tables that each instruction set exports. Only isa_tables.cc knows which of them this build
// holds and which a processor supports.
// Thread: any.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/cpu/isa/cpu_features.h"
#include "kernels/kernel_table.h"

namespace inferneo::kernels {

extern const KernelTable kAvx2Table;
extern const KernelTable kAvx2VnniTable;
extern const KernelTable kAvx512Table;
extern const KernelTable kAvx512VnniTable;
extern const KernelTable kAvx512Bf16Table;
extern const KernelTable kAmxTable;
extern const KernelTable kAmxFp16Table;
extern const KernelTable kNeonTable;
extern const KernelTable kNeonDotTable;

// Bound: at least the tables that one architecture has.
inline constexpr std::size_t kIsaTableCountMax = 10;

// Those of a processor with these features, slowest first; unused places at the end are null.
std::array<const KernelTable*, kIsaTableCountMax> isa_tables(const CpuFeatures& features);

}  // namespace inferneo::kernels
