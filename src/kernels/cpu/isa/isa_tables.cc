#include "kernels/cpu/isa/isa_tables.h"

#include <cstddef>

namespace inferneo::kernels {

std::array<const KernelTable*, kIsaTableCountMax> isa_tables(const CpuFeatures& features) {
  std::array<const KernelTable*, kIsaTableCountMax> tables{};
  std::size_t count = 0;
#if defined(__x86_64__)
  if (features.avx2) tables[count++] = &kAvx2Table;
  if (features.avx2_vnni) tables[count++] = &kAvx2VnniTable;
  if (features.avx512) tables[count++] = &kAvx512Table;
  const bool is_bf16_slow = features.avx512_bf16 && !features.has_fast_bf16_dot;
  if (is_bf16_slow) tables[count++] = &kAvx512Bf16Table;
  if (features.avx512_vnni) tables[count++] = &kAvx512VnniTable;
  if (features.has_fast_bf16_dot) tables[count++] = &kAvx512Bf16Table;
  if (features.amx_bf16) tables[count++] = &kAmxTable;
  if (features.amx_fp16) tables[count++] = &kAmxFp16Table;
#elif defined(__aarch64__)
  if (features.neon) tables[count++] = &kNeonTable;
  if (features.neon_dot) tables[count++] = &kNeonDotTable;
#endif
  return tables;
}

}  // namespace inferneo::kernels
