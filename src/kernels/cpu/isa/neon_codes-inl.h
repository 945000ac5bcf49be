// Matrices of codes on NEON, as signed bytes: parts that do not depend on how bytes are multiplied.
// Included after the primitives of NEON and codes_layout-inl.h.

using IntVec = int32x4_t;
using ByteVec = int8x16_t;

constexpr int kTileTokens = 3;  // 3 x 4 sums of each kind and 8 operands of the 32 registers
constexpr int kTilePanels = 1;
constexpr int kTileSums = 16;
constexpr int kStreamSums = 2;

static inline IntVec spread(int32_t x) { return vdupq_n_s32(x); }
static inline ByteVec spread_four(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
static inline Vec to_float(IntVec v) { return vcvtq_f32_s32(v); }
static inline ByteVec load_bytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
static inline void store_bytes(uint8_t* p, ByteVec v) { vst1q_u8(p, vreinterpretq_u8_s8(v)); }

template <typename Format>
struct SignedLines {
  static constexpr float kUnit = 1;

  explicit SignedLines(const int8_t* codebook) : table(vdupq_n_s8(0)) {
    if constexpr (Format::kHasCodebook) table = vld1q_s8(codebook);
  }

  void read(const uint8_t* codes, int part, ByteVec* first, ByteVec* second) const {
    const uint8x16_t line = vld1q_u8(codes + part * 16);
    if constexpr (Format::kBits == 8) {
      const uint8x16_t upper = vdupq_n_u8(0x80);
      const uint8x16_t next = vld1q_u8(codes + kLineBytes + part * 16);
      *first = vreinterpretq_s8_u8(veorq_u8(line, upper));
      *second = vreinterpretq_s8_u8(veorq_u8(next, upper));
      return;
    }
    const uint8x16_t lower = vandq_u8(line, vdupq_n_u8(0x0f));
    const uint8x16_t upper = vshrq_n_u8(line, 4);
    if constexpr (Format::kHasCodebook) {
      *first = vqtbl1q_s8(table, lower);
      *second = vqtbl1q_s8(table, upper);
    } else {
      const ByteVec offset = vdupq_n_s8(Format::kHasMin ? 0 : 8);
      *first = vsubq_s8(vreinterpretq_s8_u8(lower), offset);
      *second = vsubq_s8(vreinterpretq_s8_u8(upper), offset);
    }
  }
  static IntVec start(int32_t /*offset*/) { return vdupq_n_s32(0); }

  ByteVec table;
};

static inline void quantize_block(const float* x, InputBlock* block) {
  constexpr float kTiny = 0x1p-100F;  // below it 127 / largest could overflow
  // Magnitudes compare as integers do, and infinities and NaNs are larger than any number.
  uint32x4_t magnitudes = vdupq_n_u32(0);
  for (int i = 0; i < 8; ++i) {
    const uint32x4_t v = vreinterpretq_u32_f32(load(x + i * kLanes));
    magnitudes = vmaxq_u32(magnitudes, vandq_u32(v, vdupq_n_u32(0x7fffffff)));
  }
  const uint32_t top = vmaxvq_u32(magnitudes);
  float largest;
  __builtin_memcpy(&largest, &top, sizeof(largest));
  const bool is_finite = top < 0x7f800000;
  if (!is_finite || largest < kTiny) {
    __builtin_memset(block, 0, sizeof(*block));
    if (!is_finite) block->scale = __builtin_nanf("");
    return;
  }
  const Vec inverse = set(127 / largest);
  for (int half = 0; half < 2; ++half, x += 16) {
    int32x4_t codes[4];
    for (int i = 0; i < 4; ++i) {
      codes[i] = vcvtnq_s32_f32(mul(load(x + i * kLanes), inverse));  // ties to even
    }
    const int16x8_t low = vcombine_s16(vmovn_s32(codes[0]), vmovn_s32(codes[1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(codes[2]), vmovn_s32(codes[3]));
    vst1q_s8(block->codes + 16 * half, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    block->half_offsets[half] = -128 * vaddlvq_s16(vaddq_s16(low, high));
  }
  block->scale = largest / 127;
  block->offset = block->half_offsets[0] + block->half_offsets[1];
}
