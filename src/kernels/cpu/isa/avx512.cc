// AVX-512 without dot products of bf16 or bytes: bf16 widened to f32 in registers, bytes multiplied
// as on AVX2.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

const MatrixOps* matrix_ops(const MatrixFormat& format) noexcept {
  return kAvx2Table.matrix_ops(format);
}
double spin_int8(int64_t rounds) noexcept { return kAvx2Table.spin_int8(rounds); }

}  // namespace

constinit const KernelTable kAvx512Table = generic_table("avx512", matrix_ops, spin_int8);

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
