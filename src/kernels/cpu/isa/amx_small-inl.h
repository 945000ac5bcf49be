// Products of few rows. Included after amx_results-inl.h.

constexpr int64_t kSmallTiles = 2;     // input tiles that need no sums in memory
constexpr int64_t kAheadBytes = 2304;  // distance of the prefetch (measured)

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
