// Packed weights of AMX products. Included after amx_inputs-inl.h.

constexpr int64_t kUnitSteps = 2;  // steps whose weights are unpacked together

// Packed weights: panels of the outputs' inverse factors, [16] f32, then units of kUnitSteps steps.
// A Weights type has the number of parts of its inputs and the size of a unit, packs a panel, and
// unpacks the tile of a step, [16 pairs of k][16 outputs][2]; those that are kInPlace are units of
// tiles.

static inline int64_t units_of(int64_t k) { return (steps_of(k) + kUnitSteps - 1) / kUnitSteps; }

template <typename Weights>
size_t amx_panel_size(int64_t k) noexcept {
  return (size_t)(64 + units_of(k) * Weights::kUnitBytes);
}

static inline void store_inverses(const float* factors, int64_t count, std::byte* panel) {
  for (int64_t row = 0; row < kTile; ++row) {
    ((float*)panel)[row] = row < count ? 1 / factors[row] : 0;
  }
}

// f16 and bf16 weights as tiles, with inputs of so many parts.
template <bool bf16, int parts>
struct HalfWeights {
  static constexpr int kParts = parts;
  static constexpr bool kInPlace = true;
  static constexpr int64_t kUnitBytes = kUnitSteps * kTileBytes;

  static inline Vec load_some_halves(const uint16_t* p, int64_t count) {
    return bf16 ? load_bf16_part(p, count) : load_f16_part(p, count);
  }

  static void pack_panel(const PanelSource& source, std::byte* panel) noexcept {
    const int64_t k = source.k;
    float factors[kTile] = {};
    for (int64_t row = 0; row < source.row_count; ++row) {
      const uint16_t* halves = source.halves + row * k;
      Vec largest = zero();
      for (int64_t i = 0; i < k; i += kLanes) {
        const int64_t count = at_most(k - i, kLanes);
        largest = max(largest, _mm512_abs_ps(load_some_halves(halves + i, count)));
      }
      factors[row] = weight_factor<bf16>(reduce_max(largest));
    }
    store_inverses(factors, source.row_count, panel);
    char* out = (char*)panel + 64;
    for (int64_t step = 0; step < units_of(k) * kUnitSteps; ++step, out += kTileBytes) {
      Vec rows[kTile];
      for (int64_t row = 0; row < kTile; ++row) {
        rows[row] = zero();
        const int64_t count = at_most(k - step * kStepK, kStepK);
        if (row >= source.row_count || count <= 0) continue;
        alignas(64) uint16_t rounded[kStepK];
        const uint16_t* halves = source.halves + row * k + step * kStepK;
        const Vec factor = set(factors[row]);
        const int64_t first = at_most(count, kLanes);
        store_weights(rounded, mul(load_some_halves(halves, first), factor));
        const Vec rest =
            count > kLanes ? load_some_halves(halves + kLanes, count - kLanes) : zero();
        store_weights(rounded + kLanes, mul(rest, factor));
        rows[row] = load((const float*)rounded);
      }
      transpose(rows);
      for (int row = 0; row < kTile; ++row) store((float*)(out + row * 64), rows[row]);
    }
  }

  static inline void tile(const char* unit, int step, const __m512i& /*table*/, char* out) {
    memcpy(out, unit + step * kTileBytes, kTileBytes);
  }
};

// The power of two that brings the largest element of a row near the top of f16, in which its
// scales are kept.
static inline float scale_factor(float largest) {
  if (!(largest > 0x1p-100F) || !(largest <= FLT_MAX)) return 1;
  return ldexpf(1, 14 - ilogbf(largest));
}

// Codes of 4 or 8 bits with f16 scales and minima. Unit: [group][16] scales, the same of minima,
// then for each step its codes. 8 bits: [16 pairs of k][16 outputs][2]. 4 bits: [4][16 outputs][2]
// words of 16 bits whose nibble j belongs to pair 4 i + j; they index the codebook.
template <int bits, int group, bool has_min>
struct CodeWeights {
  static constexpr int kParts = 1;
  static constexpr bool kInPlace = false;
  static constexpr int64_t kStepGroups = kStepK / group;
  static constexpr int64_t kUnitGroups = kUnitSteps * kStepGroups;
  static constexpr int64_t kScaleBytes = kUnitGroups * kTile * 2;  // of a unit; the same of minima
  static constexpr int64_t kCodesOffset = (has_min ? 2 : 1) * kScaleBytes;
  static constexpr int64_t kStepBytes = kTileElements * bits / 8;
  static constexpr int64_t kUnitBytes = kCodesOffset + kUnitSteps * kStepBytes;

  // The largest magnitude that elements of the row may have.
  static inline float largest_element(const float* scales, const float* mins, int64_t count) {
    constexpr float kLargestCode = bits == 4 && !has_min ? 8 : bits == 4 ? 15 : 128;
    float largest = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float magnitude = kLargestCode * fabsf(scales[i]) + (has_min ? fabsf(mins[i]) : 0);
      // Why written so: a NaN must come out as the largest.
      if (!(magnitude <= largest)) largest = magnitude;
    }
    return largest;
  }

  static void pack_panel(const PanelSource& source, std::byte* panel) noexcept {
    const int64_t group_count = source.k / group;
    memset(panel, 0, amx_panel_size<CodeWeights>(source.k));
    float factors[kTile] = {};
    for (int64_t row = 0; row < source.row_count; ++row) {
      const float* scales = source.scales + row * group_count;
      const float* mins = has_min ? source.mins + row * group_count : nullptr;
      // Why 2^-4: the bound takes codes of up to 8, those of codebooks reach 127.
      factors[row] = scale_factor(largest_element(scales, mins, group_count)) *
                     (source.codebook != nullptr ? 0x1p-4F : 1);
      for (int64_t i = 0; i < group_count; ++i) {
        uint16_t* unit = (uint16_t*)(panel + 64 + i / kUnitGroups * kUnitBytes);
        uint16_t* at = unit + i % kUnitGroups * kTile + row;
        *at = _cvtss_sh(scales[i] * factors[row], _MM_FROUND_TO_NEAREST_INT);
        if (has_min) {
          at[kScaleBytes / 2] = _cvtss_sh(mins[i] * factors[row], _MM_FROUND_TO_NEAREST_INT);
        }
      }
    }
    store_inverses(factors, source.row_count, panel);
    uint8_t index_of[256] = {};  // the table's index of a code, by its byte
    for (int i = 0; source.codebook != nullptr && i < 16; ++i) {
      index_of[(uint8_t)source.codebook[i]] = (uint8_t)i;
    }
    for (int64_t step = 0; step < steps_of(source.k); ++step) {
      pack_step(source,
                index_of,
                step,
                (char*)panel + 64 + step / kUnitSteps * kUnitBytes + kCodesOffset +
                    step % kUnitSteps * kStepBytes);
    }
  }

  static inline void pack_step(const PanelSource& source,
                               const uint8_t* index_of,
                               int64_t step,
                               char* out) {
    Vec rows[kTile];  // of 16 pairs, each in a lane
    for (int64_t row = 0; row < kTile; ++row) {
      rows[row] = zero();
      if (row >= source.row_count) continue;
      const int8_t* codes = source.codes + row * source.k + step * kStepK;
      __m256i bytes = _mm256_loadu_si256((const __m256i*)codes);
      if (bits == 4 && source.codebook == nullptr) {
        bytes = _mm256_add_epi8(bytes, _mm256_set1_epi8(has_min ? 0 : 8));
      } else if (bits == 4) {
        alignas(32) uint8_t indices[kStepK];
        for (int i = 0; i < kStepK; ++i) indices[i] = index_of[(uint8_t)codes[i]];
        bytes = _mm256_load_si256((const __m256i*)indices);
      }
      rows[row] = _mm512_castsi512_ps(_mm512_cvtepu16_epi32(bytes));
    }
    transpose(rows);
    __m512i words = _mm512_setzero_si512();
    for (int pair = 0; pair < kTile; ++pair) {
      const __m256i bytes = _mm512_cvtepi32_epi16(_mm512_castps_si512(rows[pair]));
      if (bits == 8) {
        _mm256_storeu_si256((__m256i*)(out + pair * 32), bytes);
        continue;
      }
      const __m512i nibbles = _mm512_cvtepu8_epi16(bytes);
      words = _mm512_or_si512(words, _mm512_sll_epi16(nibbles, _mm_cvtsi32_si128(4 * (pair % 4))));
      if (pair % 4 != 3) continue;
      _mm512_storeu_si512(out + pair / 4 * 64, words);
      words = _mm512_setzero_si512();
    }
  }

  static inline __m512h scales_of(const uint16_t* scales) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)scales));
    return (__m512h)_mm512_or_si512(wide, _mm512_slli_epi32(wide, 16));
  }
  static inline void store_row(__m512h codes, __m512h scale, __m512h min, char* out) {
    const __m512h element =
        has_min ? _mm512_fmadd_ph(codes, scale, min) : _mm512_mul_ph(codes, scale);
    store_weights(out, element);
  }

  // The tile of step `step` of a unit. Shape: out [16 pairs of k][16 outputs][2].
  static inline void tile(const char* unit, int step, const __m512i& table, char* out) {
    constexpr int kRows = kTile / (int)kStepGroups;  // pairs of k that share scales
    const uint16_t* scales = (const uint16_t*)unit + step * (int)kStepGroups * kTile;
    const char* codes = unit + kCodesOffset + step * kStepBytes;
    INFERNEO_UNROLL
    for (int g = 0; g < (int)kStepGroups; ++g) {
      const __m512h scale = scales_of(scales + g * kTile);
      const __m512h min = has_min ? scales_of(scales + kScaleBytes / 2 + g * kTile) : scale;
      if constexpr (bits == 8) {
        INFERNEO_UNROLL
        for (int row = 0; row < kRows; ++row, codes += 32, out += 64) {
          const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)codes));
          store_row(_mm512_cvtepi16_ph(wide), scale, min, out);
        }
      } else {
        INFERNEO_UNROLL
        for (int quad = 0; quad < kRows / 4; ++quad, codes += 64) {
          const __m512i words = _mm512_loadu_si512(codes);
          INFERNEO_UNROLL
          for (int j = 0; j < 4; ++j, out += 64) {
            // Why no mask: the table repeats every 16 entries, and the lookup sees five bits.
            const __m512i index = j == 0 ? words : _mm512_srli_epi16(words, 4 * j);
            store_row((__m512h)_mm512_permutexvar_epi16(index, table), scale, min, out);
          }
        }
      }
    }
  }
};

// What the 16 nibbles stand for, as f16, twice.
template <bool has_min>
static inline __m512i nibble_table(const int8_t* codebook) {
  __m512i values = _mm512_cvtepi8_epi16(_mm256_setr_epi8(0,
                                                         1,
                                                         2,
                                                         3,
                                                         4,
                                                         5,
                                                         6,
                                                         7,
                                                         8,
                                                         9,
                                                         10,
                                                         11,
                                                         12,
                                                         13,
                                                         14,
                                                         15,
                                                         0,
                                                         1,
                                                         2,
                                                         3,
                                                         4,
                                                         5,
                                                         6,
                                                         7,
                                                         8,
                                                         9,
                                                         10,
                                                         11,
                                                         12,
                                                         13,
                                                         14,
                                                         15));
  if (codebook != nullptr) {
    values = _mm512_cvtepi8_epi16(
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)codebook)));
  } else if (!has_min) {
    values = _mm512_sub_epi16(values, _mm512_set1_epi16(8));
  }
  return (__m512i)_mm512_cvtepi16_ph(values);
}
