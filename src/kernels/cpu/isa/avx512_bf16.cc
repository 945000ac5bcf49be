// AVX-512 with the dot product of bf16 vdpbf16ps, for bf16 matrices that allow inputs to be
// rounded.
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

// All processors with the bf16 dot product have that of bytes. Why not pairs of bf16 inputs: two
// dots take as long as the f32 multiply-adds that they would replace.
const MatrixOps* matrix_ops(const MatrixFormat& format) noexcept {
  if (format.kind == MatrixFormat::Kind::kBf16 && format.rounds_inputs) return &kBf16Rows;
  return kAvx512VnniTable.matrix_ops(format);
}
double spin_int8(int64_t rounds) noexcept { return kAvx512VnniTable.spin_int8(rounds); }

constexpr KernelTable bf16_table() {
  KernelTable table = generic_table("avx512_bf16", matrix_ops, spin_int8);
  table.spin_bf16 = spin<OperandsBf16>;
  table.spin_bf16_dot = spin<OperandsBf16>;
  return table;
}

}  // namespace

constinit const KernelTable kAvx512Bf16Table = bf16_table();

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
