// Products of many rows. Included after amx_results-inl.h.

constexpr int64_t kStepsPerChunk = 16;   // two panels of it, 32 KiB, stay in L1 (measured)
constexpr int64_t kBlockTiles = 32;      // input tiles whose sums are held together
constexpr int64_t kBlockPanels = 32;     // panels whose sums are held together
constexpr int64_t kPassBytes = 2 << 20;  // weights that several blocks of inputs read in turn

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

// All products of a block over one chunk of steps; those of the last chunk are written to y. Panels
// are taken two at a time, where the product is gated one of gate and the same of up.
template <typename Weights>
static inline void amx_chunk(const PackedLinearArgs& args,
                             const PackedGatedArgs* gated,
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
  constexpr int64_t kStepLines = (Weights::kUnitBytes / kUnitSteps + 63) / 64;
  // Why not more where few products share them: prefetches that wait hold up loads (a quarter
  // slower, measured).
  constexpr int64_t kFewPairs = 8;
  const int64_t ahead_lines = kStepLines > kFewPairs && pair_count <= kFewPairs ? 2 : 1;
  const auto two_rows_product =
      ahead_lines == 1 ? amx_product<kParts, true, 1> : amx_product<kParts, true, 2>;
  const auto one_row_product =
      ahead_lines == 1 ? amx_product<kParts, false, 1> : amx_product<kParts, false, 2>;
  const int64_t stride = gated != nullptr ? 1 : 2;
  for (int64_t i = 0; i * stride < block.panel_count; ++i) {
    const int64_t first_panel = block.panel + i * stride;
    const int64_t offset = first_panel * panel_size + 64 + step / kUnitSteps * Weights::kUnitBytes;
    const char* panel = (const char*)args.panels + offset;
    const bool has_other = gated != nullptr || i * stride + 1 < block.panel_count;
    const char* other = gated != nullptr ? (const char*)gated->up_panels + offset
                        : has_other      ? panel + panel_size
                                         : panel;
    AmxProduct p;
    p.a = chunk_tiles<Weights>(panel, step_count, table, buffer);
    p.b = chunk_tiles<Weights>(other, step_count, table, buffer + kStepsPerChunk * kTileBytes);
    p.step_count = step_count;
    // A product fetches its share of the next pair of panels. Behind the last this is harmless.
    const int64_t ahead_bytes = step_count * ahead_lines * 64;
    for (int64_t j = 0; j < pair_count; ++j) {
      const int64_t tile = block.tile + 2 * j;
      const bool two_rows = 2 * j + 1 < block.tile_count;
      p.first = (const char*)args.inputs + tile * input_size + 64 + step * kInputStepBytes<kParts>;
      p.second = p.first + input_size;
      p.ahead[0] = panel + stride * panel_size + j * ahead_bytes;
      p.ahead[1] = other + stride * panel_size + j * ahead_bytes;
      float* own = sums + (i * pair_count + j) * kSums;
      p.next_sums = own + kSums;
      // Each pair of panels fetches its share of the next chunk of these inputs.
      const int64_t share = i * kStepsPerChunk * kInputsAheadLines<kParts> * 64;
      p.inputs_ahead =
          (share < step_bytes ? p.first + share : p.second + (share - step_bytes)) + step_bytes;
      (two_rows ? two_rows_product : one_row_product)(p, step == 0, own);
      if (!is_last) continue;
      for (int64_t t = 0; t < (two_rows ? 2 : 1); ++t) {
        const float* tile_sums = own + 2 * t * kTile * kTile;
        if (gated != nullptr) {
          write_gated_tile<kParts>(*gated, tile_sums, tile + t, first_panel, panel_size);
          continue;
        }
        for (int64_t q = 0; q < (has_other ? 2 : 1); ++q) {
          write_tile<kParts>(
              args, tile_sums + q * kTile * kTile, tile + t, first_panel + q, panel_size);
        }
      }
    }
  }
}

// Many rows. Weights come from memory once for all blocks of inputs, in passes of a size that the
// last-level cache keeps. A chunk of k is done for all panels of a block before the next one, so
// that its inputs and the sums stay in L2 while the weights go by.
template <typename Weights>
static void amx_blocks(const PackedLinearArgs& args,
                       const PackedGatedArgs* gated,
                       const __m512i& table,
                       char* buffer) {
  alignas(64) float sums[kBlockTiles * kBlockPanels * kTile * kTile + kSums];
  const int64_t steps = steps_of(args.k);
  const int64_t tiles = (args.m + kTile - 1) / kTile;
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  const int64_t matrices = gated != nullptr ? 2 : 1;
  const int64_t panel_size = (int64_t)amx_panel_size<Weights>(args.k) * matrices;
  const int64_t block_panels = kBlockPanels / matrices;
  const int64_t pass_panels = (kPassBytes / panel_size / block_panels + 1) * block_panels;
  for (int64_t pass = args.n_begin / kPanelOutputs; pass < panel_end; pass += pass_panels) {
    const int64_t pass_end = at_most(panel_end, pass + pass_panels);
    for (int64_t tile = 0; tile < tiles; tile += kBlockTiles) {
      for (int64_t panel = pass; panel < pass_end; panel += block_panels) {
        const AmxBlock block = {tile,
                                at_most(tiles - tile, kBlockTiles),
                                panel,
                                at_most(pass_end - panel, block_panels)};
        for (int64_t step = 0; step < steps; step += kStepsPerChunk) {
          const int64_t count = at_most(steps - step, kStepsPerChunk);
          amx_chunk<Weights>(args, gated, block, step, count, table, buffer, sums);
        }
      }
    }
  }
}
