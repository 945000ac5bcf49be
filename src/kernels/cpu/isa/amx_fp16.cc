// AMX tiles of f16 for packed matrices and attention; AVX-512 for the rest.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN(
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512fp16,amx-tile,prfchw")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/isa/bf16_dot-inl.h"

#include "kernels/cpu/isa/amx_tiles-inl.h"

#include "kernels/cpu/isa/amx_f16-inl.h"

#include "kernels/cpu/isa/amx_inputs-inl.h"

#include "kernels/cpu/isa/amx_weights-inl.h"

#include "kernels/cpu/isa/amx_matrix-inl.h"

#include "kernels/cpu/isa/amx_attention-inl.h"

#include "kernels/cpu/isa/amx_attention_narrow-inl.h"

}  // namespace

constinit const KernelTable kAmxFp16Table = {
    .name = "amx_fp16",
    .linear_f32_f32 = linear<OperandsF32F32>,
    .linear_f32_f16 = linear<OperandsF32F16>,
    .linear_f32_bf16 = linear<OperandsF32Bf16>,
    .matrix_ops = amx_matrix_ops,
    .attention_f32 = attention<F32Cache>,
    .attention_f16 = amx_attention<F16Cache>,
    .attention_bf16 = attention<Bf16Cache>,
    .attention_i8 = amx_attention<I8Cache>,
    .attention_merge = attention_merge,
    .rms_norm = rms_norm,
    .rope = rope,
    .rope_adjacent = rope_adjacent,
    .silu_mul = silu_mul,
    .add = add_rows,
    .f32_to_bf16 = f32_to_bf16,
    .f32_to_f16 = f32_to_f16,
    .bf16_to_f32 = bf16_to_f32,
    .f16_to_f32 = f16_to_f32,
    .f32_to_i8 = f32_to_i8,
    .argmax = argmax,
    .log_sum_exp = log_sum_exp,
    .spin_f32 = spin<OperandsF32F32>,
    .spin_bf16 = spin_amx,
    .spin_bf16_dot = spin<Bf16DotStep>,
};

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
