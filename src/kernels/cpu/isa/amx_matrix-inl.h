// Products of packed matrices on AMX tiles with f32 sums. Inputs are the first operand, weights the
// second, so sums come out as rows of y. Codes become weights on the way, in a buffer that stays in
// L1. Included after amx_weights-inl.h.
//
// Invariant: an output adds its products step by step of kStepK elements, part by part, each as the
// tile unit does. Other rows and columns of a tile take no part in it, and sums that wait in memory
// between chunks of steps keep their bits.

#include "kernels/cpu/isa/amx_results-inl.h"

#include "kernels/cpu/isa/amx_small-inl.h"

#include "kernels/cpu/isa/amx_blocks-inl.h"

template <typename Weights, bool has_min>
void amx_matrix_linear(const PackedLinearArgs& args) noexcept {
  alignas(64) char buffer[2 * kStepsPerChunk * kTileBytes];
  const __m512i table = nibble_table<has_min>(args.codebook);
  const int64_t tiles = (args.m + kTile - 1) / kTile;
  _tile_loadconfig(tiles <= kSmallTiles ? &kSmallConfigs.configs[args.m] : &kTileConfig);
  if (tiles == 1) {
    amx_small<Weights, 1>(args, table, buffer);
  } else if (tiles <= kSmallTiles) {
    amx_small<Weights, 2>(args, table, buffer);
  } else {
    amx_blocks<Weights>(args, nullptr, table, buffer);
  }
  _tile_release();
}

template <typename Weights, bool has_min>
void amx_gated_linear(const PackedGatedArgs& args) noexcept {
  alignas(64) char buffer[2 * kStepsPerChunk * kTileBytes];
  const __m512i table = nibble_table<has_min>(args.gate.codebook);
  _tile_loadconfig(&kTileConfig);
  amx_blocks<Weights>(args.gate, &args, table, buffer);
  _tile_release();
}

template <typename Weights, bool has_min>
constexpr MatrixOps amx_ops(const char* layout) {
  return {layout,
          &kAmxInputs<Weights::kParts>,
          amx_panel_size<Weights>,
          Weights::pack_panel,
          amx_matrix_linear<Weights, has_min>,
          amx_gated_linear<Weights, has_min>};
}

constexpr MatrixOps kAmxF16 =
    amx_ops<HalfWeights<false, kF16InputParts>, false>(INFERNEO_AMX_LAYOUT "f16-2");
template <int parts>
constexpr MatrixOps kAmxBf16 = amx_ops<HalfWeights<true, parts>, false>(INFERNEO_AMX_LAYOUT
                                                                        "bf16-2");

template <int bits, int group, bool has_min>
constexpr MatrixOps kAmxCodes = amx_ops<CodeWeights<bits, group, has_min>, has_min>(
    bits == 4
        ? (group == 16 ? (has_min ? INFERNEO_AMX_LAYOUT "c4g16m-2" : INFERNEO_AMX_LAYOUT "c4g16-2")
                       : (has_min ? INFERNEO_AMX_LAYOUT "c4g32m-2" : INFERNEO_AMX_LAYOUT "c4g32-2"))
        : (group == 16
               ? (has_min ? INFERNEO_AMX_LAYOUT "c8g16m-2" : INFERNEO_AMX_LAYOUT "c8g16-2")
               : (has_min ? INFERNEO_AMX_LAYOUT "c8g32m-2" : INFERNEO_AMX_LAYOUT "c8g32-2")));

// Codes of a codebook are kept as their indices.
template <int group>
constexpr MatrixOps kAmxCodebook = amx_ops<CodeWeights<4, group, false>, false>(
    group == 16 ? INFERNEO_AMX_LAYOUT "i4g16-2" : INFERNEO_AMX_LAYOUT "i4g32-2");

template <int group>
static inline const MatrixOps* amx_code_ops(const MatrixFormat& format) {
  if (format.bits == 8)
    return format.has_min ? &kAmxCodes<8, group, true> : &kAmxCodes<8, group, false>;
  if (format.bits != 4) return nullptr;
  if (format.codebook != nullptr) return format.has_min ? nullptr : &kAmxCodebook<group>;
  return format.has_min ? &kAmxCodes<4, group, true> : &kAmxCodes<4, group, false>;
}

const MatrixOps* amx_matrix_ops(const MatrixFormat& format) noexcept {
  switch (format.kind) {
    case MatrixFormat::Kind::kF16:
      return &kAmxF16;
    case MatrixFormat::Kind::kBf16:
      return format.rounds_inputs ? &kAmxBf16<1> : &kAmxBf16<kBf16InputParts>;
    default:
      if (format.group == 16) return amx_code_ops<16>(format);
      return format.group == 32 ? amx_code_ops<32>(format) : nullptr;
  }
}

// Keeps the tile unit busy, on the same operands or on tiles that are loaded from L1 for each step,
// as every product of matrices has to. Why noise and not zeros: tiles of f16 multiply zeros a fifth
// faster than anything else (7.1 against 5.85 T/s on two cores, measured). Those of bf16 keep 7.1
// on operands that stay, and lose a fifth of the clock as soon as new ones arrive that are not
// zeros.
template <bool loads>
double spin_amx(int64_t rounds) noexcept {
  constexpr int64_t kSteps = 4;  // whose tiles L1 holds
  constexpr int64_t kStepElements = 4 * kTileElements;
  alignas(64) uint16_t operands[kSteps * kStepElements];
  uint32_t state = 1;
  for (uint16_t* at = operands; at < operands + kSteps * kStepElements; at += kLanes) {
    float noise[kLanes];
    for (float& value : noise) {
      state = state * 1664525 + 1013904223;  // Numerical Recipes, 7.1
      value = (float)(int32_t)state * 0x1p-31F;
    }
    store_weights(at, load(noise));
  }
  _tile_loadconfig(&kTileConfig);
  tile_memory_fence();
  for (int64_t i = 0; i < rounds; ++i) {
    if (loads || i == 0) {
      const uint16_t* step = operands + i % kSteps * kStepElements;
      tile_load<4>(step);
      tile_load<5>(step + kTileElements);
      tile_load<6>(step + 2 * kTileElements);
      tile_load<7>(step + 3 * kTileElements);
    }
    tile_product<0, 4, 6>();
    tile_product<1, 4, 7>();
    tile_product<2, 5, 6>();
    tile_product<3, 5, 7>();
  }
  _tile_release();
  return 4.0 * 2 * kTile * kTile * kStepK * (double)rounds;
}
