// How matrices of codes and their inputs lie in memory; the same for every instruction set.
// Included inside an anonymous namespace by all that read or write them.
//
// A panel holds 16 outputs: first the factor of each, f32 [16], then pairs of blocks of k: scales,
// f16 [64 / group][16], mins likewise, codes. So a product reads a panel from end to end, whole
// lines each time. The last pair lacks the codes of a block when their count is odd. A line of 64
// bytes holds
//   8-bit codes plus 128: [16 outputs][4 of k];
//   4-bit codes: [16 outputs][4] bytes for 8 of k, the low halves for the first four. A half is the
//   code plus 8, or the code itself where there is a min, or the place in the codebook.
// An element is factor * (scale * code - 128 * min). Factors are powers of two that keep the scales
// and mins of an output in the range of f16.

// Elements of k that share the scale of an input.
constexpr int64_t kBlockK = 32;
constexpr int64_t kLineBytes = 64;

// One row's elements of a block: element = scale * code. The scale is NaN when an element was not
// finite, so that every product of the row is NaN, too.
struct InputBlock {
  int8_t codes[kBlockK];
  float scale;
  int32_t offset;           // -128 * sum of the codes
  int32_t half_offsets[2];  // the same of the first and the second half
};

template <int bits_, int group_, bool has_min_, bool has_codebook_>
struct CodesFormat {
  static constexpr int kBits = bits_;
  static constexpr int kGroup = group_;
  static constexpr bool kHasMin = has_min_;
  static constexpr bool kHasCodebook = has_codebook_;
  static constexpr int kGroupsPerBlock = (int)kBlockK / group_;
  // Bytes.
  static constexpr int64_t kCodes = kBlockK * kPanelOutputs * bits_ / 8;
  static constexpr int64_t kGroupScales = kPanelOutputs * (int64_t)sizeof(uint16_t);
  static constexpr int64_t kBlockScales = kGroupsPerBlock * kGroupScales;
  static constexpr int64_t kPairScales = 2 * kBlockScales * (has_min_ ? 2 : 1);
  static constexpr int64_t kPair = kPairScales + 2 * kCodes;
};

// Places in a panel, in bytes.
template <typename Format>
static inline int64_t scales_at(int64_t block) {
  return kLineBytes + block / 2 * Format::kPair + block % 2 * Format::kBlockScales;
}
template <typename Format>
static inline int64_t mins_at(int64_t block) {
  return scales_at<Format>(block) + 2 * Format::kBlockScales;
}
template <typename Format>
static inline int64_t codes_at(int64_t block) {
  return kLineBytes + block / 2 * Format::kPair + Format::kPairScales + block % 2 * Format::kCodes;
}
template <typename Format>
static inline int64_t panel_bytes(int64_t k) {
  const int64_t blocks = k / kBlockK;
  return kLineBytes + (blocks + 1) / 2 * Format::kPair - blocks % 2 * Format::kCodes;
}

// Rows of inputs follow each other, k / kBlockK blocks each; the last are zeros, so that their
// count is a multiple of kInputRows.
static inline int64_t input_rows(int64_t m) {
  return (m + kInputRows - 1) / kInputRows * kInputRows;
}

// Versions count changes of anything above.
template <typename Format>
constexpr const char* layout_name() {
  constexpr bool kWide = Format::kGroup == 32;
  if (Format::kBits == 8) {
    if (Format::kHasMin) return kWide ? "codes8.group32.min/1" : "codes8.group16.min/1";
    return kWide ? "codes8.group32/1" : "codes8.group16/1";
  }
  if (Format::kHasCodebook) {
    return kWide ? "codes4.group32.codebook/1" : "codes4.group16.codebook/1";
  }
  if (Format::kHasMin) return kWide ? "codes4.group32.min/1" : "codes4.group16.min/1";
  return kWide ? "codes4.group32/1" : "codes4.group16/1";
}
