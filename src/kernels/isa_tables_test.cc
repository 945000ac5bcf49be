// Which table is the fastest of a processor.
#include "kernels/cpu/isa/isa_tables.h"

#include <gtest/gtest.h>

#include <string>

namespace inferneo::kernels {
namespace {

std::string fastest(const CpuFeatures& features) {
  std::string name;
  for (const KernelTable* table : isa_tables(features)) {
    if (table != nullptr) name = table->name;
  }
  return name;
}

#if defined(__x86_64__)

TEST(IsaTables, the_last_one_is_the_fastest_of_the_features) {
  CpuFeatures features;
  EXPECT_EQ(fastest(features), "");
  features.avx2 = true;
  EXPECT_EQ(fastest(features), "avx2");
  features.avx512 = true;
  EXPECT_EQ(fastest(features), "avx512");
  features.avx512_vnni = true;
  EXPECT_EQ(fastest(features), "avx512_vnni");
  features.avx512_bf16 = true;
  features.has_fast_bf16_dot = true;
  EXPECT_EQ(fastest(features), "avx512_bf16");
  features.amx_bf16 = true;
  EXPECT_EQ(fastest(features), "amx");
  features.amx_fp16 = true;
  EXPECT_EQ(fastest(features), "amx_fp16");
}

TEST(IsaTables, a_slow_dot_product_of_bf16_is_not_the_default_but_can_be_chosen) {
  CpuFeatures features;
  features.avx2 = features.avx512 = features.avx512_vnni = features.avx512_bf16 = true;
  EXPECT_EQ(fastest(features), "avx512_vnni");
  bool has_bf16 = false;
  for (const KernelTable* table : isa_tables(features)) has_bf16 |= table == &kAvx512Bf16Table;
  EXPECT_TRUE(has_bf16);
}

#elif defined(__aarch64__)

TEST(IsaTables, the_last_one_is_the_fastest_of_the_features) {
  CpuFeatures features;
  features.neon = true;
  EXPECT_EQ(fastest(features), "neon");
  features.neon_dot = true;
  EXPECT_EQ(fastest(features), "neon_dot");
}

#endif

}  // namespace
}  // namespace inferneo::kernels
