// Products of packed matrices on AMX tiles with f32 sums. Inputs are the first operand, weights the
// second, so sums come out as rows of y. Codes become weights on the way, in a buffer that stays in
// L1. Included after amx_weights-inl.h.
//
// Invariant: an output adds its products step by step of kStepK elements, part by part, each as the
// tile unit does. Other rows and columns of a tile take no part in it, and sums that wait in memory
// between chunks of steps keep their bits.

constexpr int64_t kStepsPerChunk = 16;        // two panels of it, 32 KiB, stay in L1 (measured)
constexpr int64_t kBlockTiles = 16;           // input tiles whose sums are held together
constexpr int64_t kBlockPanels = 32;          // panels whose sums are held together
constexpr int64_t kPassBytes = 2 << 20;       // weights that several blocks of inputs read in turn
constexpr int64_t kSums = 4 * kTile * kTile;  // of a product: two input tiles by two panels
constexpr int64_t kSmallTiles = 2;            // input tiles that need no sums in memory
constexpr int64_t kAheadBytes = 2304;         // distance of the prefetch of few rows (measured)

// One product: input tiles `first` and `second` by weight tiles of panels a and b, adding to sums,
// Shape [input tile][panel][16][16]. Tiles 0 to 3 hold them, 4 and 5 inputs, 6 and 7 weights.
template <int parts>
constexpr int kInputsAheadLines = 2 * parts;
struct AmxProduct {
  const char* first;
  const char* second;
  const char* a;
  const char* b;
  int64_t step_count;
  const char* ahead[2];      // bytes to fetch into L2
  const char* inputs_ahead;  // the same, kInputsAheadLines<parts> a step
  float* next_sums;          // to be written next
};

template <int parts, bool two_rows, int ahead_lines>
static inline void amx_step(const AmxProduct& p, int64_t step) {
  const char* first = p.first + step * kInputStepBytes<parts>;
  const char* second = p.second + step * kInputStepBytes<parts>;
  INFERNEO_UNROLL
  for (int part = 0; part < parts; ++part) {
    // Why the streaming hint: inputs pass by and must not drive the weights out of L1.
    _tile_stream_loadd(4, first + part * kTileBytes, 64);
    if constexpr (two_rows) _tile_stream_loadd(5, second + part * kTileBytes, 64);
    if (part == 0) _tile_loadd(6, p.a + step * kTileBytes, 64);
    if (part == 0) _tile_loadd(7, p.b + step * kTileBytes, 64);
    tile_product<0, 4, 6>();
    tile_product<1, 4, 7>();
    if constexpr (two_rows) {
      tile_product<2, 5, 6>();
      tile_product<3, 5, 7>();
    }
  }
  INFERNEO_UNROLL
  for (int line = 0; line < ahead_lines; ++line) {
    _mm_prefetch(p.ahead[0] + (step * ahead_lines + line) * 64, _MM_HINT_T1);
    _mm_prefetch(p.ahead[1] + (step * ahead_lines + line) * 64, _MM_HINT_T1);
  }
  INFERNEO_UNROLL
  for (int line = 0; line < kInputsAheadLines<parts>; ++line) {
    _mm_prefetch(p.inputs_ahead + (step * kInputsAheadLines<parts> + line) * 64, _MM_HINT_T1);
  }
  INFERNEO_UNROLL
  for (int line = 0; line < 4; ++line) __builtin_prefetch(p.next_sums + (4 * step + line) * 16, 1);
}

template <int parts, bool two_rows, int ahead_lines>
static inline void amx_product(const AmxProduct& p, bool is_first, float* sums) {
  tile_memory_fence();
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
  // Why two loops: the one of constant length is predicted to its end.
  if (p.step_count == kStepsPerChunk) {
    for (int64_t i = 0; i < kStepsPerChunk; ++i) amx_step<parts, two_rows, ahead_lines>(p, i);
  } else {
    for (int64_t i = 0; i < p.step_count; ++i) amx_step<parts, two_rows, ahead_lines>(p, i);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  if constexpr (two_rows) {
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
  }
  tile_memory_fence();
}

// Writes a tile of sums, Shape [16 rows][16 outputs], for row tile `tile` and panel `panel`.
template <int parts>
static inline void write_tile(const PackedLinearArgs& args,
                              const float* sums,
                              int64_t tile,
                              int64_t panel,
                              int64_t panel_size) {
  const int64_t n = panel * kPanelOutputs;
  const int count = (int)at_most(args.n_end - n, kPanelOutputs);
  const int64_t row_count = at_most(args.m - tile * kTile, kTile);
  const float* row_inverse =
      (const float*)((const char*)args.inputs + tile * input_tile_size<parts>(args.k));
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
    INFERNEO_UNROLL
    for (int step = 0; step < kUnitSteps; ++step) {
      Weights::tile(unit, step, table, buffer + (i + step) * kTileBytes);
    }
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
  constexpr int kParts = Weights::kParts;
  const int64_t input_size = input_tile_size<kParts>(args.k);
  const bool is_last = step + step_count == steps_of(args.k);
  constexpr int64_t step_bytes = kStepsPerChunk * kInputStepBytes<kParts>;
  constexpr int kAheadLines = (int)(Weights::kUnitBytes / kUnitSteps / 64 / (kBlockTiles / 2) +
                                    (Weights::kInPlace ? 0 : 1));
  for (int64_t i = 0; i < block.panel_count; i += 2) {
    const char* panel = (const char*)args.panels + (block.panel + i) * panel_size + 64 +
                        step / kUnitSteps * Weights::kUnitBytes;
    const bool has_other = i + 1 < block.panel_count;
    const char* other = has_other ? panel + panel_size : panel;
    AmxProduct p;
    p.a = chunk_tiles<Weights>(panel, step_count, table, buffer);
    p.b = chunk_tiles<Weights>(other, step_count, table, buffer + kStepsPerChunk * kTileBytes);
    p.step_count = step_count;
    // A product fetches its share of the next pair of panels. Behind the last this is harmless.
    const int64_t ahead_bytes = step_count * kAheadLines * 64;
    for (int64_t j = 0; j < pair_count; ++j) {
      const int64_t tile = block.tile + 2 * j;
      const bool two_rows = 2 * j + 1 < block.tile_count;
      p.first = (const char*)args.inputs + tile * input_size + 64 + step * kInputStepBytes<kParts>;
      p.second = p.first + input_size;
      const char* next = panel + 2 * panel_size + j * ahead_bytes;
      p.ahead[0] = next;
      p.ahead[1] = next + panel_size;
      float* own = sums + (i / 2 * pair_count + j) * kSums;
      p.next_sums = own + kSums;
      // Each pair of panels fetches its share of the next chunk of these inputs.
      const int64_t share = i / 2 * kStepsPerChunk * kInputsAheadLines<kParts> * 64;
      p.inputs_ahead =
          (share < step_bytes ? p.first + share : p.second + (share - step_bytes)) + step_bytes;
      if (two_rows) {
        amx_product<kParts, true, kAheadLines>(p, step == 0, own);
      } else {
        amx_product<kParts, false, kAheadLines>(p, step == 0, own);
      }
      if (!is_last) continue;
      for (int64_t t = 0; t < (two_rows ? 2 : 1); ++t) {
        for (int64_t q = 0; q < (has_other ? 2 : 1); ++q) {
          write_tile<kParts>(
              args, own + (2 * t + q) * kTile * kTile, tile + t, block.panel + i + q, panel_size);
        }
      }
    }
  }
}

// Configurations of amx_small by the number of rows: those that are not there cost nothing. Tiles 6
// and 7 hold weights, of two row tiles 0, 1 and 4 belong to the first.
struct SmallTiles {
  constexpr SmallTiles() {
    for (int rows = 1; rows <= kSmallTiles * kTile; ++rows) {
      const int last = rows <= kTile ? rows : rows - kTile;
      for (const int tile : {2, 3, 5}) configs[rows].rows[tile] = (uint8_t)last;
      if (rows > kTile) continue;
      for (const int tile : {0, 1, 4}) configs[rows].rows[tile] = (uint8_t)last;
    }
  }
  TileConfig configs[kSmallTiles * kTile + 1];
};
constexpr SmallTiles kSmallConfigs;

// Adds the products of one step with weights of panel i to its row_tiles sums. Tiles 4 and 5 hold
// inputs: of one row tile both parts, for all panels, of two row tiles the part at hand.
template <int parts, int row_tiles, int i>
static inline void small_product(const char* weights, const char* inputs, int64_t input_size) {
  constexpr int kWeights = 6 + i % 2;
  if constexpr (row_tiles == 1) {
    if (i == 0) tile_load<4>(inputs);
    if (i == 0 && parts == 2) tile_load<5>(inputs + kTileBytes);
    tile_load<kWeights>(weights);
    tile_product<i, 4, kWeights>();
    if constexpr (parts == 2) tile_product<i, 5, kWeights>();
  } else {
    INFERNEO_UNROLL
    for (int part = 0; part < parts; ++part) {
      if (i == 0 || parts > 1) {
        tile_load<4>(inputs + part * kTileBytes);
        tile_load<5>(inputs + input_size + part * kTileBytes);
      }
      if (part == 0) tile_load<kWeights>(weights);
      tile_product<i, 4, kWeights>();
      tile_product<2 + i, 5, kWeights>();
    }
  }
}

// A group of panels on their way through amx_small.
template <int row_tiles>
struct SmallGroup {
  static constexpr int kPanels = 4 / row_tiles;
  const char* units[kPanels];  // of the step to come
  int64_t ahead;               // of a unit, the bytes to fetch
  const char* inputs;
  int64_t input_size;
  char* buffer;  // [2][kPanels] tiles
};

// Unpacks step `step`, the half `half` of its unit, of panel i and the panels after it. The
// products of a tile come one step after its unpacking, between that of others: tile loads must not
// wait for stores, and vector and tile instructions run side by side only when they alternate.
template <typename Weights, int row_tiles, int half, int i = 0>
static inline void small_step(const SmallGroup<row_tiles>& group,
                              bool has_previous,
                              const __m512i& table) {
  constexpr int kPanels = SmallGroup<row_tiles>::kPanels;
  constexpr int64_t kHalfLines = (Weights::kUnitBytes / 64 + 1) / 2;
  INFERNEO_UNROLL
  for (int64_t line = half * kHalfLines; line < (half == 0 ? kHalfLines : Weights::kUnitBytes / 64);
       ++line) {
    _mm_prefetch(group.units[i] + group.ahead + line * 64, _MM_HINT_T0);
  }
  const char* unit = group.units[i];
  if (Weights::kInPlace) {
    small_product<Weights::kParts, row_tiles, i>(
        unit + half * kTileBytes, group.inputs, group.input_size);
  } else {
    char* out = group.buffer + (half * kPanels + i) * kTileBytes;
    Weights::tile(unit, half, table, out);
    tile_memory_fence();
    if (has_previous) {
      small_product<Weights::kParts, row_tiles, i>(
          group.buffer + ((1 - half) * kPanels + i) * kTileBytes, group.inputs, group.input_size);
      tile_memory_fence();
    }
  }
  if constexpr (i + 1 < kPanels) {
    small_step<Weights, row_tiles, half, i + 1>(group, has_previous, table);
  }
}

// The last products of an unpacked group.
template <int parts, int row_tiles, int i = 0>
static inline void small_rest(const SmallGroup<row_tiles>& group, int half) {
  constexpr int kPanels = SmallGroup<row_tiles>::kPanels;
  small_product<parts, row_tiles, i>(
      group.buffer + (half * kPanels + i) * kTileBytes, group.inputs, group.input_size);
  if constexpr (i + 1 < kPanels) small_rest<parts, row_tiles, i + 1>(group, half);
}

// Few rows: the sums of all of them for 4 / row_tiles panels stay in tiles over all of k, while the
// weights stream by once.
template <typename Weights, int row_tiles>
static inline void amx_small(const PackedLinearArgs& args, const __m512i& table, char* buffer) {
  constexpr int64_t kPanels = 4 / row_tiles;
  constexpr int kParts = Weights::kParts;
  const int64_t panel_size = (int64_t)amx_panel_size<Weights>(args.k);
  const int64_t input_size = input_tile_size<kParts>(args.k);
  const int64_t steps = steps_of(args.k);
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  const int64_t far_steps =
      steps - (kAheadBytes + Weights::kUnitBytes - 1) / Weights::kUnitBytes * kUnitSteps;
  alignas(64) float sums[kSums];
  for (int64_t n = args.n_begin / kPanelOutputs; n < panel_end; n += kPanels) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    SmallGroup<row_tiles> group;
    for (int64_t i = 0; i < kPanels; ++i) {
      group.units[i] = (const char*)args.panels + at_most(n + i, panel_end - 1) * panel_size + 64;
    }
    group.buffer = buffer;
    group.input_size = input_size;
    // Unpacked tiles meet their inputs a step later.
    group.inputs =
        (const char*)args.inputs + 64 - (Weights::kInPlace ? 0 : kInputStepBytes<kParts>);
    for (int64_t step = 0; step < steps; step += kUnitSteps) {
      // Near the end of a panel the bytes to fetch are those of its successor in turn.
      group.ahead = kAheadBytes + (step < far_steps ? 0 : (kPanels - 1) * panel_size);
      small_step<Weights, row_tiles, 0>(group, step > 0, table);
      group.inputs += kInputStepBytes<kParts>;
      if (step + 1 == steps) break;
      small_step<Weights, row_tiles, 1>(group, true, table);
      group.inputs += kInputStepBytes<kParts>;
      for (int64_t i = 0; i < kPanels; ++i) group.units[i] += Weights::kUnitBytes;
    }
    if (!Weights::kInPlace) small_rest<kParts, row_tiles>(group, (int)((steps - 1) % kUnitSteps));
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + 256, 64);
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
    tile_memory_fence();
    for (int64_t tile = 0; tile < row_tiles; ++tile) {
      for (int64_t i = 0; i < at_most(panel_end - n, kPanels); ++i) {
        write_tile<kParts>(
            args, sums + (tile * kPanels + i) * kTile * kTile, tile, n + i, panel_size);
      }
    }
  }
}

// Many rows. Weights come from memory once for all blocks of inputs, in passes of a size that the
// last-level cache keeps. A chunk of k is done for all panels of a block before the next one, so
// that its inputs and the sums stay in L2 while the weights go by.
template <typename Weights>
static inline void amx_blocks(const PackedLinearArgs& args, const __m512i& table, char* buffer) {
  alignas(64) float sums[kBlockTiles * kBlockPanels * kTile * kTile + kSums];
  const int64_t steps = steps_of(args.k);
  const int64_t tiles = (args.m + kTile - 1) / kTile;
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  const int64_t panel_size = (int64_t)amx_panel_size<Weights>(args.k);
  const int64_t pass_panels = (kPassBytes / panel_size / kBlockPanels + 1) * kBlockPanels;
  for (int64_t pass = args.n_begin / kPanelOutputs; pass < panel_end; pass += pass_panels) {
    const int64_t pass_end = at_most(panel_end, pass + pass_panels);
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      for (int64_t panel = pass; panel < pass_end; panel += kBlockPanels) {
        const AmxBlock block = {tile,
                                at_most(tiles - tile, kBlockTiles),
                                panel,
                                at_most(pass_end - panel, kBlockPanels)};
        for (int64_t step = 0; step < steps; step += kStepsPerChunk) {
          const int64_t count = at_most(steps - step, kStepsPerChunk);
          amx_chunk<Weights>(args, block, step, count, table, buffer, sums);
        }
      }
    }
  }
}

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
    amx_blocks<Weights>(args, table, buffer);
  }
  _tile_release();
}

template <typename Weights, bool has_min>
constexpr MatrixOps amx_ops(const char* layout) {
  return {layout,
          &kAmxInputs<Weights::kParts>,
          amx_panel_size<Weights>,
          Weights::pack_panel,
          amx_matrix_linear<Weights, has_min>};
}

constexpr MatrixOps kAmxF16 = amx_ops<HalfWeights<false>, false>(INFERNEO_AMX_LAYOUT "f16-2");
constexpr MatrixOps kAmxBf16 = amx_ops<HalfWeights<true>, false>(INFERNEO_AMX_LAYOUT "bf16-2");

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
      return &kAmxBf16;
    default:
      if (format.group == 16) return amx_code_ops<16>(format);
      return format.group == 32 ? amx_code_ops<32>(format) : nullptr;
  }
}

// Keeps the tile unit busy on registers alone.
double spin_amx(int64_t rounds) noexcept {
  _tile_loadconfig(&kTileConfig);
  for (int64_t i = 0; i < rounds; ++i) {
    tile_product<0, 4, 6>();
    tile_product<1, 4, 7>();
    tile_product<2, 5, 6>();
    tile_product<3, 5, 7>();
  }
  _tile_release();
  return 4.0 * 2 * kTile * kTile * kStepK * (double)rounds;
}
