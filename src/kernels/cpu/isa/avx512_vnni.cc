// AVX-512 with the dot product of bytes vpdpbusd; bf16 widened to f32 in registers.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/codes_pack.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/isa/avx512-inl.h"

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/codes_layout-inl.h"

#include "kernels/cpu/isa/avx512_codes-inl.h"

#include "kernels/cpu/codes_linear-inl.h"

#include "kernels/cpu/codes_ops-inl.h"

}  // namespace

constinit const KernelTable kAvx512VnniTable =
    generic_table("avx512_vnni", codes_matrix_ops, spin<BytesStep>);

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
