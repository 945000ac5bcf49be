// AMX tiles of bf16 for packed matrices and attention over f16; AVX-512 for the rest.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN(
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512fp16,amx-tile,amx-bf16,"
    "prfchw")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/isa/bf16_dot-inl.h"

#include "kernels/cpu/isa/amx_tiles-inl.h"

#include "kernels/cpu/isa/amx_bf16-inl.h"

#include "kernels/cpu/isa/amx_products-inl.h"

#include "kernels/cpu/isa/amx_halves_bf16-inl.h"

#include "kernels/cpu/isa/amx_attention-inl.h"

#include "kernels/cpu/isa/amx_attention_narrow-inl.h"

constexpr KernelTable amx_table() {
  KernelTable table = generic_table("amx", amx_matrix_ops, spin_int8);
  table.attention_f16 = amx_attention<F16Cache, 2>;
  table.attention_i8 = amx_attention<I8Cache, 2>;
  table.spin_bf16 = spin_amx<false>;
  table.spin_bf16_loaded = spin_amx<true>;
  table.spin_bf16_dot = spin<OperandsBf16>;
  return table;
}

}  // namespace

constinit const KernelTable kAmxTable = amx_table();

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
