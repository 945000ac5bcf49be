// What the running processor and operating system let a program use.
// Thread: any.
#pragma once

namespace inferneo::kernels {

struct CpuFeatures {
  bool avx2 = false;         // with FMA and F16C
  bool avx2_vnni = false;    // also avx2
  bool avx512 = false;       // F, BW, VL and DQ
  bool avx512_vnni = false;  // also avx512
  bool avx512_bf16 = false;  // also avx512_vnni
  // vdpbf16ps makes twice as many products a second as the f32 multiply-add: on Zen 4 and later. On
  // Intel processors it makes half as many (Granite Rapids, measured).
  bool has_fast_bf16_dot = false;
  bool amx_bf16 = false;  // also avx512_bf16 and AVX-512 FP16; tiles permitted by the system
  bool amx_fp16 = false;  // also amx_bf16
  bool neon = false;
  bool neon_dot = false;  // also neon; the dot product of bytes
};

// Asks Linux to let this process use AMX tiles where the processor has them.
CpuFeatures detect_cpu_features();

}  // namespace inferneo::kernels
