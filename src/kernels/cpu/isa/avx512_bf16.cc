// AVX-512 on processors with the bf16 dot product vdpbf16ps, whose rate is their limit for bf16.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/isa/bf16_dot-inl.h"

// All processors with the bf16 dot product have that of bytes.
const MatrixOps* matrix_ops(const MatrixFormat& format) noexcept {
  return kAvx512VnniTable.matrix_ops(format);
}
double spin_int8(int64_t rounds) noexcept { return kAvx512VnniTable.spin_int8(rounds); }

constexpr KernelTable bf16_table() {
  KernelTable table = generic_table("avx512_bf16", matrix_ops, spin_int8);
  table.spin_bf16 = spin<Bf16DotStep>;
  table.spin_bf16_dot = spin<Bf16DotStep>;
  return table;
}

}  // namespace

constinit const KernelTable kAvx512Bf16Table = bf16_table();

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
