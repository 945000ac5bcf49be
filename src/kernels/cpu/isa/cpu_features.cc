#include "kernels/cpu/isa/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace inferneo::kernels {

#if defined(__x86_64__)
namespace {

struct Registers {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  // Returns 0 and leaves zeros when the processor has no such leaf.
  (void)__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool bit(unsigned value, int index) { return ((value >> index) & 1) != 0; }

// Register states that the operating system saves. Spec: Intel SDM vol. 1, 13.3 (XCR0).
std::uint64_t enabled_states() {
  if (!bit(cpuid(1, 0).ecx, 27)) return 0;  // OSXSAVE
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | (static_cast<std::uint64_t>(high) << 32);
}

// Spec: Linux Documentation/arch/x86/xstate.rst, ARCH_REQ_XCOMP_PERM for XTILEDATA (18).
bool request_tiles() {
  constexpr long kArchReqXcompPerm = 0x1023;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, 18L) == 0;
}

// Spec: AMD64 Architecture Programmer's Manual vol. 3, CPUID Fn0000_0000.
bool is_amd() {
  const Registers r = cpuid(0, 0);
  return r.ebx == 0x68747541 && r.edx == 0x69746e65 && r.ecx == 0x444d4163;  // AuthenticAMD
}

}  // namespace

CpuFeatures detect_cpu_features() {
  constexpr std::uint64_t kAvxState = 0x6;       // SSE, AVX
  constexpr std::uint64_t kAvx512State = 0xe6;   // and the three AVX-512 states
  constexpr std::uint64_t kTileState = 0x60000;  // XTILECFG, XTILEDATA
  const std::uint64_t states = enabled_states();
  const Registers basic = cpuid(1, 0);
  const Registers extended = cpuid(7, 0);
  const Registers extended1 = cpuid(7, 1);
  CpuFeatures f;
  f.avx2 = (states & kAvxState) == kAvxState && bit(basic.ecx, 12) && bit(basic.ecx, 28) &&
           bit(basic.ecx, 29) && bit(extended.ebx, 5);
  f.avx2_vnni = f.avx2 && bit(extended1.eax, 4);
  f.avx512 = f.avx2 && (states & kAvx512State) == kAvx512State && bit(extended.ebx, 16) &&
             bit(extended.ebx, 17) && bit(extended.ebx, 30) && bit(extended.ebx, 31);
  f.avx512_vnni = f.avx512 && bit(extended.ecx, 11);
  f.avx512_bf16 = f.avx512_vnni && bit(extended1.eax, 5);
  f.has_fast_bf16_dot = f.avx512_bf16 && is_amd();
  f.amx_bf16 = f.avx512_bf16 && (states & kTileState) == kTileState && bit(extended.edx, 22) &&
               bit(extended.edx, 23) && bit(extended.edx, 24) && request_tiles();
  f.amx_fp16 = f.amx_bf16 && bit(extended1.eax, 21);
  return f;
}
#else
CpuFeatures detect_cpu_features() {
  CpuFeatures f;
#if defined(__aarch64__)
  f.neon = true;  // part of the base architecture
  f.neon_dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
  return f;
}
#endif

}  // namespace inferneo::kernels
