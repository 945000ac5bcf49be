// AMX tiles for bf16 linear layers and, on processors that multiply tiles of f16, for attention
// over f16 keys and values; AVX-512 for the rest.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN(
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/isa/bf16_dot-inl.h"

#include "kernels/cpu/isa/amx_tiles-inl.h"

#include "kernels/cpu/isa/amx_linear-inl.h"

#include "kernels/cpu/isa/amx_attention-inl.h"

constexpr KernelTable amx_entries() {
  return {
      .name = "amx",
      .linear_f32_f32 = linear<OperandsF32F32>,
      .linear_f32_f16 = linear<OperandsF32F16>,
      .linear_f32_bf16 = linear<OperandsF32Bf16>,
      .linear_bf16x2_bf16 = amx_linear,
      .pack_activations = amx_pack,
      .attention_f32 = attention<F32Cache>,
      .attention_f16 = attention<F16Cache>,
      .attention_merge = attention_merge,
      .rms_norm = rms_norm,
      .rope = rope,
      .silu_mul = silu_mul,
      .add = add_rows,
      .f32_to_bf16 = f32_to_bf16,
      .f32_to_f16 = f32_to_f16,
      .bf16_to_f32 = bf16_to_f32,
      .f16_to_f32 = f16_to_f32,
      .argmax = argmax,
      .log_sum_exp = log_sum_exp,
      .spin_f32 = spin<OperandsF32F32>,
      .spin_bf16 = spin_amx,
      .spin_bf16_dot = spin<Bf16DotStep>,
  };
}

constexpr KernelTable amx_fp16_entries() {
  KernelTable table = amx_entries();
  table.name = "amx_fp16";
  table.attention_f16 = amx_attention;
  return table;
}

}  // namespace

constinit const KernelTable kAmxTable = amx_entries();
constinit const KernelTable kAmxFp16Table = amx_fp16_entries();

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
