// What the running processor and operating system let a program use.
// Thread: any.
#pragma once

namespace inferneo::kernels {

struct CpuFeatures {
  bool avx2 = false;         // with FMA and F16C
  bool avx512 = false;       // F, BW, VL and DQ
  bool avx512_bf16 = false;  // also avx512
  bool amx_bf16 = false;     // also avx512_bf16; tiles permitted by the operating system
  // vdpbf16ps does at least as many multiply-adds a cycle as f32 FMA on bf16 widened to f32. Not so
  // on Intel, where it issues every second cycle on one port.
  bool fast_bf16_dot = false;
  bool neon = false;
};

// Asks Linux to let this process use AMX tiles where the processor has them.
CpuFeatures detect_cpu_features();

}  // namespace inferneo::kernels
