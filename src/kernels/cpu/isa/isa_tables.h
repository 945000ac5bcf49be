// The tables that each instruction set exports. Only isa_tables.cc knows which of them this build
// holds and which the running processor supports.
// Thread: any.
#pragma once

#include <array>

#include "kernels/kernel_table.h"

namespace inferneo::kernels {

extern const KernelTable kAvx2Table;
extern const KernelTable kAvx512Table;
extern const KernelTable kAvx512VnniTable;
extern const KernelTable kAvx512Bf16Table;
extern const KernelTable kAmxTable;
extern const KernelTable kAmxFp16Table;
extern const KernelTable kNeonTable;

// Slowest first; unused places at the end are null.
std::array<const KernelTable*, 6> supported_isa_tables();

}  // namespace inferneo::kernels
