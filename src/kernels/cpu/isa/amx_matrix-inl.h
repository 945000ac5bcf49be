// Products of packed matrices on AMX tiles, in f16 with f32 sums. Inputs are the first operand,
// weights the second, so sums come out as rows of y. Included after amx_tiles-inl.h.
//
// Each row of inputs and each output's weights carry a power of two, so that f16 holds 11 bits of
// everything but what is 2^-29 of the largest: bf16 weights keep their value, inputs lose 2^-12.
// Codes become f16 weights on the way, group by group, in a buffer that stays in L1.
//
// Invariant: an output adds its products step by step of kStepK elements, each as the tile unit
// does. Other rows and columns of a tile take no part in it, and sums that wait in memory between
// chunks of steps keep their bits.

constexpr int64_t kStepsPerChunk = 16;        // two panels of it, 32 KiB, stay in L1 (measured)
constexpr int64_t kBlockTiles = 16;           // input tiles whose sums are held together
constexpr int64_t kBlockPanels = 8;           // panels whose sums are held together
constexpr int64_t kSums = 4 * kTile * kTile;  // of a product: two input tiles by two panels
constexpr int64_t kSmallTiles = 2;            // input tiles that need no sums in memory
constexpr int64_t kUnitSteps = 2;             // steps whose weights are unpacked at a time
constexpr int64_t kAheadBytes = 6144;         // distance of the prefetch into L2 (measured)

static inline int64_t steps_of(int64_t k) { return (k + kStepK - 1) / kStepK; }
static inline int64_t at_most(int64_t value, int64_t limit) {
  return value < limit ? value : limit;
}
static inline int64_t round_to_64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// The power of two that brings a row of this largest magnitude to [2^14, 2^15), or 1 where there is
// none: a row of zeros, or one that is not finite and stays so.
static inline float row_factor(float largest) {
  if (!(largest > 0x1p-100F) || !(largest <= FLT_MAX)) return 1;
  return ldexpf(1, 14 - ilogbf(largest));
}

// Packed inputs: for each tile of rows their factors' inverses, [16] f32, then
// [step][16 rows][32 k] f16.
static inline int64_t input_tile_size(int64_t k) { return 64 + steps_of(k) * kTileBytes; }

size_t amx_inputs_size(int64_t m, int64_t k) noexcept {
  return (size_t)((m + kTile - 1) / kTile * input_tile_size(k));
}

static inline __m512i to_f16(Vec low, Vec high) {
  const __m256i a = _mm512_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT);
  const __m256i b = _mm512_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT);
  return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}

// The magnitudes' maximum as bits, in which a NaN counts as the largest.
static inline float largest_magnitude(const float* x, int64_t k) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < k; i += kLanes) {
    const Vec v = load_part(x + i, at_most(k - i, kLanes));
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(v), magnitude));
  }
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(largest))));
}

static inline void pack_input_row(const float* x, int64_t k, Vec factor, char* tiles) {
  int64_t i = 0;
  for (; i + kStepK <= k; i += kStepK, tiles += kTileBytes) {
    const Vec low = mul(load(x + i), factor);
    const Vec high = mul(load(x + i + kLanes), factor);
    _mm512_storeu_si512(tiles, to_f16(low, high));
  }
  if (i == k) return;
  const Vec low = mul(load_part(x + i, at_most(k - i, kLanes)), factor);
  const int64_t rest = k - i - kLanes;
  const Vec high = rest > 0 ? mul(load_part(x + i + kLanes, rest), factor) : zero();
  _mm512_storeu_si512(tiles, to_f16(low, high));
}

void amx_pack_inputs(const float* x,
                     int64_t x_stride,
                     int64_t m_begin,
                     int64_t m_end,
                     int64_t k,
                     void* packed) noexcept {
  for (int64_t m = m_begin; m < m_end; m += kTile) {
    char* tile = (char*)packed + m / kTile * input_tile_size(k);
    float* inverse = (float*)tile;
    char* rows = tile + 64;
    for (int64_t row = 0; row < kTile; ++row) {
      if (m + row < m_end) {
        const float* source = x + (m + row) * x_stride;
        const float factor = row_factor(largest_magnitude(source, k));
        inverse[row] = 1 / factor;
        pack_input_row(source, k, set(factor), rows + row * 64);
      } else {
        inverse[row] = 0;
        for (int64_t step = 0; step < steps_of(k); ++step) {
          _mm512_storeu_si512(rows + step * kTileBytes + row * 64, _mm512_setzero_si512());
        }
      }
    }
  }
}

constexpr InputOps kAmxInputs = {amx_inputs_size, amx_pack_inputs};

// Packed weights: panels of the outputs' inverse factors, [16] f32, then units of kUnitSteps steps.
// A Weights type has the size of a unit, packs a panel, and gives the tiles of a unit,
// [step][16 pairs of k][16 outputs][2] f16, in place or unpacked into a buffer.

static inline int64_t units_of(int64_t k) { return (steps_of(k) + kUnitSteps - 1) / kUnitSteps; }

template <typename Weights>
size_t amx_panel_size(int64_t k) noexcept {
  return (size_t)(64 + units_of(k) * Weights::kUnitBytes);
}

// f16 and bf16 weights as tiles.
template <bool bf16>
struct HalfWeights {
  static constexpr bool kInPlace = true;
  static constexpr int64_t kUnitBytes = kUnitSteps * kTileBytes;

  static inline Vec load_some_halves(const uint16_t* p, int64_t count) {
    return bf16 ? load_bf16_part(p, count) : load_f16_part(p, count);
  }

  static void pack_panel(const PanelSource& source, std::byte* panel) noexcept {
    memset(panel, 0, amx_panel_size<HalfWeights>(source.k));
    float* inverse = (float*)panel;
    for (int64_t row = 0; row < source.row_count; ++row) {
      const uint16_t* halves = source.halves + row * source.k;
      Vec largest = zero();
      for (int64_t i = 0; i < source.k; i += kLanes) {
        largest = max(largest,
                      _mm512_abs_ps(load_some_halves(halves + i, at_most(source.k - i, kLanes))));
      }
      const float factor = bf16 ? row_factor(reduce_max(largest)) : 1;
      inverse[row] = 1 / factor;
      uint16_t* out = (uint16_t*)(panel + 64) + 2 * row;
      for (int64_t i = 0; i < source.k; i += kLanes) {
        const Vec v = load_some_halves(halves + i, at_most(source.k - i, kLanes));
        uint16_t rounded[kLanes];
        store_f16(rounded, mul(v, set(factor)));
        const int64_t count = at_most(source.k - i, kLanes);
        for (int64_t j = 0; j < count; ++j) out[(i + j) / 2 * 32 + (i + j) % 2] = rounded[j];
      }
    }
  }

  static inline const char* tiles(const char* unit, const __m512i& /*table*/, char* /*buffer*/) {
    return unit;
  }
};

// Codes of 4 or 8 bits with f16 scales and minima. Unit: [group][16] scales, the same of minima,
// then for each step its codes. 8 bits: [16 pairs of k][16 outputs][2]. 4 bits: [4][16 outputs][2]
// words of 16 bits whose nibble j belongs to pair 4 i + j; they index the codebook.
template <int bits, int group, bool has_min>
struct CodeWeights {
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

  static inline int nibble_of(const PanelSource& source, int8_t code) {
    if (source.codebook == nullptr) return has_min ? code : code + 8;
    for (int i = 0; i < 16; ++i) {
      if (source.codebook[i] == code) return i;
    }
    return 0;
  }

  static void pack_panel(const PanelSource& source, std::byte* panel) noexcept {
    const int64_t k = source.k;
    const int64_t group_count = k / group;
    memset(panel, 0, amx_panel_size<CodeWeights>(k));
    for (int64_t row = 0; row < source.row_count; ++row) {
      const float* scales = source.scales + row * group_count;
      const float* mins = has_min ? source.mins + row * group_count : nullptr;
      // Why 2^-4: the bound takes codes of up to 8, those of codebooks reach 127.
      const float factor = row_factor(largest_element(scales, mins, group_count)) *
                           (source.codebook != nullptr ? 0x1p-4F : 1);
      ((float*)panel)[row] = 1 / factor;
      for (int64_t i = 0; i < group_count; ++i) {
        uint16_t* unit = (uint16_t*)(panel + 64 + i / kUnitGroups * kUnitBytes);
        uint16_t* at = unit + i % kUnitGroups * kTile + row;
        *at = _cvtss_sh(scales[i] * factor, _MM_FROUND_TO_NEAREST_INT);
        if (has_min) {
          at[kScaleBytes / 2] = _cvtss_sh(mins[i] * factor, _MM_FROUND_TO_NEAREST_INT);
        }
      }
      pack_codes(source, row, panel);
    }
  }

  static inline void pack_codes(const PanelSource& source, int64_t row, std::byte* panel) {
    const int8_t* row_codes = source.codes + row * source.k;
    for (int64_t i = 0; i < source.k; ++i) {
      const int64_t step = i / kStepK;
      const int64_t pair = i % kStepK / 2;
      std::byte* codes = panel + 64 + step / kUnitSteps * kUnitBytes + kCodesOffset +
                         step % kUnitSteps * kStepBytes;
      if (bits == 8) {
        ((int8_t*)codes)[pair * 32 + row * 2 + i % 2] = row_codes[i];
      } else {
        uint16_t& word = ((uint16_t*)codes)[pair / 4 * 32 + row * 2 + i % 2];
        word = (uint16_t)(word | nibble_of(source, row_codes[i]) << (4 * (pair % 4)));
      }
    }
  }

  static inline __m512h scales_of(const uint16_t* scales) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)scales));
    return (__m512h)_mm512_or_si512(wide, _mm512_slli_epi32(wide, 16));
  }
  static inline void store_row(__m512h codes, __m512h scale, __m512h min, char* out) {
    const __m512h element =
        has_min ? _mm512_fmadd_ph(codes, scale, min) : _mm512_mul_ph(codes, scale);
    _mm512_store_si512(out, (__m512i)element);
  }

  static inline const char* tiles(const char* unit, const __m512i& table, char* buffer) {
    constexpr int kRows = kTile / (int)kStepGroups;  // pairs of k that share scales
    const uint16_t* scales = (const uint16_t*)unit;
    const char* codes = unit + kCodesOffset;
    char* out = buffer;
    INFERNEO_UNROLL
    for (int g = 0; g < (int)kUnitGroups; ++g) {
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
    return buffer;
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

// One product: input tiles `first` and `second` by weight tiles of panels a and b, adding to sums,
// Shape [input tile][panel][16][16]. Tiles 0 to 3 hold them, 4 and 5 inputs, 6 and 7 weights.
struct AmxProduct {
  const char* first;
  const char* second;
  const char* a;
  const char* b;
  int64_t step_count;
  const char* ahead[2];  // bytes to fetch into L2, ahead_lines of each a step
  int64_t ahead_lines;
  float* next_sums;  // to be written next
};

template <bool two_rows>
static inline void amx_product(const AmxProduct& p, bool is_first, float* sums) {
  if (is_first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + 256, 64);
    if constexpr (two_rows) {
      _tile_loadd(2, sums + 512, 64);
      _tile_loadd(3, sums + 768, 64);
    }
  }
  const char* first = p.first;
  const char* second = p.second;
  const char* a = p.a;
  const char* b = p.b;
  for (int64_t i = 0; i < p.step_count; ++i) {
    _tile_loadd(6, a, 64);
    // Why the streaming hint: inputs pass by and must not drive the weights out of L1.
    _tile_stream_loadd(4, first, 64);
    tile_product_f16<0, 4, 6>();
    _tile_loadd(7, b, 64);
    tile_product_f16<1, 4, 7>();
    if constexpr (two_rows) {
      _tile_stream_loadd(5, second, 64);
      tile_product_f16<2, 5, 6>();
      tile_product_f16<3, 5, 7>();
    }
    for (int64_t line = 0; line < p.ahead_lines; ++line) {
      _mm_prefetch(p.ahead[0] + (i * p.ahead_lines + line) * 64, _MM_HINT_T1);
      _mm_prefetch(p.ahead[1] + (i * p.ahead_lines + line) * 64, _MM_HINT_T1);
    }
    INFERNEO_UNROLL
    for (int line = 0; line < 4; ++line) __builtin_prefetch(p.next_sums + (4 * i + line) * 16, 1);
    first += kTileBytes;
    second += kTileBytes;
    a += kTileBytes;
    b += kTileBytes;
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  if constexpr (two_rows) {
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
  }
}

// Writes a tile of sums, Shape [16 rows][16 outputs], for row tile `tile` and panel `panel`.
static inline void write_tile(const PackedLinearArgs& args,
                              const float* sums,
                              int64_t tile,
                              int64_t panel,
                              int64_t panel_size) {
  const int64_t n = panel * kPanelOutputs;
  const int count = (int)at_most(args.n_end - n, kPanelOutputs);
  const int64_t row_count = at_most(args.m - tile * kTile, kTile);
  const float* row_inverse =
      (const float*)((const char*)args.inputs + tile * input_tile_size(args.k));
  const Vec inverse = load((const float*)(args.panels + panel * panel_size));
  const Vec bias = args.bias != nullptr ? load_some(args.bias + n, count) : zero();
  float* y = args.y + tile * kTile * args.y_stride + n;
  for (int64_t row = 0; row < row_count; ++row, y += args.y_stride) {
    Vec sum = fma(load(sums + row * kTile), mul(inverse, set(row_inverse[row])), bias);
    if (args.accumulate) sum = add(load_some(y, count), sum);
    store_some(y, sum, count);
  }
}

struct AmxBlock {
  int64_t tile;  // of inputs
  int64_t tile_count;
  int64_t panel;
  int64_t panel_count;
};

// The tiles of a chunk of one panel, whose first unit is given.
template <typename Weights>
static inline const char* chunk_tiles(const char* unit,
                                      int64_t step_count,
                                      const __m512i& table,
                                      char* buffer) {
  if (Weights::kInPlace) return unit;
  for (int64_t i = 0; i < step_count; i += kUnitSteps, unit += Weights::kUnitBytes) {
    (void)Weights::tiles(unit, table, buffer + i * kTileBytes);
  }
  return buffer;
}

// All products of a block over one chunk of steps; those of the last chunk are written to y.
template <typename Weights>
static inline void amx_chunk(const PackedLinearArgs& args,
                             const AmxBlock& block,
                             int64_t step,
                             int64_t step_count,
                             const __m512i& table,
                             char* buffer,
                             float* sums) {
  const int64_t panel_size = (int64_t)amx_panel_size<Weights>(args.k);
  const int64_t pair_count = (block.tile_count + 1) / 2;
  const int64_t input_size = input_tile_size(args.k);
  const bool is_last = step + step_count == steps_of(args.k);
  for (int64_t i = 0; i < block.panel_count; i += 2) {
    const char* panel = (const char*)args.panels + (block.panel + i) * panel_size + 64 +
                        step / kUnitSteps * Weights::kUnitBytes;
    const bool has_other = i + 1 < block.panel_count;
    const char* other = has_other ? panel + panel_size : panel;
    AmxProduct p;
    p.a = chunk_tiles<Weights>(panel, step_count, table, buffer);
    p.b = chunk_tiles<Weights>(other, step_count, table, buffer + kStepsPerChunk * kTileBytes);
    p.step_count = step_count;
    const bool has_next = (block.panel + i + 4) * kPanelOutputs <= args.n_end;
    const int64_t ahead_bytes = step_count * Weights::kUnitBytes / kUnitSteps / pair_count;
    p.ahead_lines = has_next ? (ahead_bytes / 64 + step_count - 1) / step_count : 0;
    for (int64_t j = 0; j < pair_count; ++j) {
      const int64_t tile = block.tile + 2 * j;
      const bool two_rows = 2 * j + 1 < block.tile_count;
      p.first = (const char*)args.inputs + tile * input_size + 64 + step * kTileBytes;
      p.second = p.first + input_size;
      const char* next = panel + 2 * panel_size + j * ahead_bytes;
      p.ahead[0] = next;
      p.ahead[1] = next + panel_size;
      float* own = sums + (i / 2 * pair_count + j) * kSums;
      p.next_sums = own + kSums;
      if (two_rows) {
        amx_product<true>(p, step == 0, own);
      } else {
        amx_product<false>(p, step == 0, own);
      }
      if (!is_last) continue;
      for (int64_t t = 0; t < (two_rows ? 2 : 1); ++t) {
        for (int64_t q = 0; q < (has_other ? 2 : 1); ++q) {
          write_tile(
              args, own + (2 * t + q) * kTile * kTile, tile + t, block.panel + i + q, panel_size);
        }
      }
    }
  }
}

// Adds the products of a unit's steps to tiles 0 to 3: 4 / row_tiles panels by row_tiles tiles of
// inputs.
template <int row_tiles>
static inline void small_products(const char* const (&weights)[4 / row_tiles],
                                  const char* inputs,
                                  int64_t input_size,
                                  int64_t step_count) {
  for (int64_t i = 0; i < step_count; ++i, inputs += kTileBytes) {
    const int64_t at = i * kTileBytes;
    _tile_loadd(4, inputs, 64);
    _tile_loadd(6, weights[0] + at, 64);
    tile_product_f16<0, 4, 6>();
    _tile_loadd(7, weights[1] + at, 64);
    tile_product_f16<1, 4, 7>();
    if constexpr (row_tiles == 2) {
      _tile_loadd(5, inputs + input_size, 64);
      tile_product_f16<2, 5, 6>();
      tile_product_f16<3, 5, 7>();
    } else {
      _tile_loadd(6, weights[2] + at, 64);
      tile_product_f16<2, 4, 6>();
      _tile_loadd(7, weights[3] + at, 64);
      tile_product_f16<3, 4, 7>();
    }
  }
}

// Few rows: the sums of all of them for 4 / row_tiles panels stay in tiles over all of k, while the
// weights stream by once. A unit is unpacked while the products of the one before are under way:
// tile loads must not wait for stores.
template <typename Weights, int row_tiles>
static inline void amx_small(const PackedLinearArgs& args, const __m512i& table, char* buffer) {
  constexpr int64_t kPanels = 4 / row_tiles;
  constexpr int64_t kSlotBytes = kUnitSteps * kTileBytes;
  const int64_t panel_size = (int64_t)amx_panel_size<Weights>(args.k);
  const int64_t input_size = input_tile_size(args.k);
  const int64_t steps = steps_of(args.k);
  const int64_t units = units_of(args.k);
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  const int64_t ahead_units = at_most(units, kAheadBytes / Weights::kUnitBytes);
  alignas(64) float sums[kSums];
  for (int64_t n = args.n_begin / kPanelOutputs; n < panel_end; n += kPanels) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const char* panels[kPanels];
    for (int64_t i = 0; i < kPanels; ++i) {
      panels[i] = (const char*)args.panels + at_most(n + i, panel_end - 1) * panel_size + 64;
    }
    const char* ready[kPanels] = {};
    for (int64_t unit = 0; unit <= units; ++unit) {
      const char* weights[kPanels];
      INFERNEO_UNROLL
      for (int64_t i = 0; i < kPanels; ++i) {
        weights[i] = ready[i];
        if (unit == units) continue;
        // Near the end of a panel the bytes to fetch ahead are those of its successor in turn.
        const int64_t far = unit + ahead_units;
        const char* ahead =
            far < units ? panels[i] + far * Weights::kUnitBytes
                        : panels[i] + kPanels * panel_size + (far - units) * Weights::kUnitBytes;
        INFERNEO_UNROLL
        for (int64_t line = 0; line < Weights::kUnitBytes; line += 64) {
          _mm_prefetch(ahead + line, _MM_HINT_T1);
        }
        ready[i] = Weights::tiles(panels[i] + unit * Weights::kUnitBytes,
                                  table,
                                  buffer + (unit % 2 * kPanels + i) * kSlotBytes);
      }
      if (unit == 0) continue;
      const int64_t step = (unit - 1) * kUnitSteps;
      small_products<row_tiles>(weights,
                                (const char*)args.inputs + 64 + step * kTileBytes,
                                input_size,
                                at_most(steps - step, kUnitSteps));
    }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + 256, 64);
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
    for (int64_t tile = 0; tile < row_tiles; ++tile) {
      for (int64_t i = 0; i < at_most(panel_end - n, kPanels); ++i) {
        write_tile(args, sums + (tile * kPanels + i) * kTile * kTile, tile, n + i, panel_size);
      }
    }
  }
}

template <typename Weights, bool has_min>
void amx_matrix_linear(const PackedLinearArgs& args) noexcept {
  alignas(64) float sums[kBlockTiles * kBlockPanels * kTile * kTile + kSums];
  alignas(64) char buffer[2 * kStepsPerChunk * kTileBytes];
  const __m512i table = nibble_table<has_min>(args.codebook);
  const int64_t steps = steps_of(args.k);
  const int64_t tiles = (args.m + kTile - 1) / kTile;
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  _tile_loadconfig(&kTileConfig);
  if (tiles == 1) {
    amx_small<Weights, 1>(args, table, buffer);
  } else if (tiles <= kSmallTiles) {
    amx_small<Weights, 2>(args, table, buffer);
  } else {
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      for (int64_t n = args.n_begin / kPanelOutputs; n < panel_end; n += kBlockPanels) {
        const AmxBlock block = {
            tile, at_most(tiles - tile, kBlockTiles), n, at_most(panel_end - n, kBlockPanels)};
        for (int64_t step = 0; step < steps; step += kStepsPerChunk) {
          const int64_t count = at_most(steps - step, kStepsPerChunk);
          amx_chunk<Weights>(args, block, step, count, table, buffer, sums);
        }
      }
    }
  }
  _tile_release();
}

template <typename Weights, bool has_min>
constexpr MatrixOps amx_ops(const char* layout) {
  return {layout,
          &kAmxInputs,
          amx_panel_size<Weights>,
          Weights::pack_panel,
          amx_matrix_linear<Weights, has_min>};
}

constexpr MatrixOps kAmxF16 = amx_ops<HalfWeights<false>, false>("amx-f16-2");
constexpr MatrixOps kAmxBf16 = amx_ops<HalfWeights<true>, false>("amx-bf16-2");

template <int bits, int group, bool has_min>
constexpr MatrixOps kAmxCodes = amx_ops<CodeWeights<bits, group, has_min>, has_min>(
    bits == 4 ? (group == 16 ? (has_min ? "amx-c4g16m-2" : "amx-c4g16-2")
                             : (has_min ? "amx-c4g32m-2" : "amx-c4g32-2"))
              : (group == 16 ? (has_min ? "amx-c8g16m-2" : "amx-c8g16-2")
                             : (has_min ? "amx-c8g32m-2" : "amx-c8g32-2")));

template <int bits>
static inline const MatrixOps* amx_code_ops(const MatrixFormat& format) {
  if (format.group == 16) {
    return format.has_min ? &kAmxCodes<bits, 16, true> : &kAmxCodes<bits, 16, false>;
  }
  return format.has_min ? &kAmxCodes<bits, 32, true> : &kAmxCodes<bits, 32, false>;
}

const MatrixOps* amx_matrix_ops(const MatrixFormat& format) noexcept {
  switch (format.kind) {
    case MatrixFormat::Kind::kF16:
      return &kAmxF16;
    case MatrixFormat::Kind::kBf16:
      return &kAmxBf16;
    default:
      return format.bits == 4 ? amx_code_ops<4>(format) : amx_code_ops<8>(format);
  }
}
