// Products of matrices of codes and inputs of codes: dots of integers over a group, exact, times
// the scale of the weights, times the scale of the input, added in f32 in the order of k. Included
// inside the anonymous namespace and target region of an instruction set, after its vector
// primitives (Vec, kLanes, load_f16 ..) and codes_layout-inl.h. It defines before:
//   IntVec of kLanes sums, and ByteVec of kLanes outputs x 4 of k;
//   IntVec spread(int32_t), ByteVec spread_four(const int8_t*), Vec to_float(IntVec);
//   ByteVec load_bytes(const uint8_t*), void store_bytes(uint8_t*, ByteVec);
//   CodesLines<Format>, how codes become operands:
//     kUnit, the number that its dots are multiples of;
//     CodesLines(const int8_t* codebook);
//     read(const uint8_t* codes, int part, ByteVec* first, ByteVec* second) of 8 of k;
//     start(int32_t offset), what a sum begins with; dot(sum, w, x);
//   kTileTokens and kTilePanels, the largest tile; kTileSums, the vectors of sums that it holds in
//   registers beside those of a group;
//   kStreamSums, the most tokens x panels when few tokens read panels from memory.
//
// Invariant: each step of an output's sum is the same in every tile, so tiles of any shape give the
// same bits. Sums that wait in memory between chunks of k keep theirs.

constexpr int kParts = (int)kPanelOutputs / kLanes;
// Up to so many tokens, operands are unpacked in registers and a panel is read once.
constexpr int64_t kFewTokens = 4;
// Bounds: the unpacked weights of a chunk (kTilePanels x 8 KiB) stay in L1, the tokens of a block
// (up to 768 KiB) and their sums in L2 while panels go by.
constexpr int64_t kChunkBlocks = 16;
constexpr int64_t kChunkLines = kChunkBlocks * kBlockK / 4;
constexpr int64_t kTokensMax = 256;
constexpr int64_t kTokensMin = 48;
constexpr int64_t kInputBytesMax = 768 * 1024;

// One call's operands: `blocks` blocks of k.
struct CodesTile {
  const uint8_t* weights;   // the first panel at the first block, which is even
  int64_t panel_stride;     // bytes
  const uint8_t* unpacked;  // Shape: [panel][kChunkLines][64], when the codes are unpacked ahead
  const InputBlock* inputs;
  int64_t input_stride;  // blocks
  int64_t blocks;
  float* sums;  // Shape: [token][panel][kPanelOutputs]
  int64_t sums_stride;
  bool is_first;  // sums start at zero
  // Weights to fetch meanwhile, from each panel: so many lines for each block.
  const uint8_t* fetch;
  int64_t fetch_lines;
};

template <typename Format>
static inline int32_t offset_of(const InputBlock& x, int group) {
  return Format::kGroup == kBlockK ? x.offset : x.half_offsets[group];
}

// Why always_inline: the arrays are registers, which no call can take.

// Dots of a group: `steps` times 8 of k, from the first.
template <typename Format, bool is_unpacked, int tokens, int panels>
static inline __attribute__((always_inline)) void dot_group(
    const CodesLines<Format>& lines,
    const uint8_t* codes,
    int64_t codes_stride,
    const InputBlock* x,
    int64_t x_stride,
    int group,
    IntVec (&dots)[tokens][panels][kParts]) {
  constexpr int kSteps = Format::kGroup / 8;
  constexpr int kCodeStep = is_unpacked ? 128 : 8 * (int)kPanelOutputs * Format::kBits / 8;
  INFERNEO_UNROLL
  for (int t = 0; t < tokens; ++t) {
    const int32_t offset = offset_of<Format>(x[t * x_stride], group);
    INFERNEO_UNROLL
    for (int p = 0; p < panels * kParts; ++p) dots[t][p / kParts][p % kParts] = lines.start(offset);
  }
  INFERNEO_UNROLL
  for (int step = group * kSteps; step < (group + 1) * kSteps; ++step) {
    ByteVec first[panels][kParts];
    ByteVec second[panels][kParts];
    INFERNEO_UNROLL
    for (int p = 0; p < panels; ++p) {
      INFERNEO_UNROLL
      for (int i = 0; i < kParts; ++i) {
        const uint8_t* from = codes + p * codes_stride + step * kCodeStep;
        if constexpr (is_unpacked) {
          first[p][i] = load_bytes(from + i * 4 * kLanes);
          second[p][i] = load_bytes(from + kLineBytes + i * 4 * kLanes);
        } else {
          lines.read(from, i, &first[p][i], &second[p][i]);
        }
      }
    }
    INFERNEO_UNROLL
    for (int t = 0; t < tokens; ++t) {
      const int8_t* eight = x[t * x_stride].codes + step * 8;
      const ByteVec x_first = spread_four(eight);
      const ByteVec x_second = spread_four(eight + 4);
      INFERNEO_UNROLL
      for (int p = 0; p < panels; ++p) {
        INFERNEO_UNROLL
        for (int i = 0; i < kParts; ++i) {
          dots[t][p][i] = lines.dot(dots[t][p][i], first[p][i], x_first);
          dots[t][p][i] = lines.dot(dots[t][p][i], second[p][i], x_second);
        }
      }
    }
  }
}

// Sums of a tile: in registers where there are enough of them, else where they wait in memory.
template <int tokens, int panels>
struct TileSums {
  static constexpr bool kInRegisters = tokens * panels * kParts <= kTileSums;

  inline __attribute__((always_inline)) void begin(float* at, int64_t at_stride, bool is_zero) {
    sums = at;
    stride = at_stride;
    INFERNEO_UNROLL
    for (int t = 0; t < tokens; ++t) {
      INFERNEO_UNROLL
      for (int p = 0; p < panels * kParts; ++p) {
        float* place = sums + t * stride + p * kLanes;
        if constexpr (kInRegisters) {
          held[t][p] = is_zero ? zero() : load(place);
        } else if (is_zero) {
          store(place, zero());
        }
      }
    }
  }
  inline __attribute__((always_inline)) void add_scaled(int t, int p, Vec value, Vec scale) {
    if constexpr (kInRegisters) {
      held[t][p] = fma(value, scale, held[t][p]);
    } else {
      float* place = sums + t * stride + p * kLanes;
      store(place, fma(value, scale, load(place)));
    }
  }
  inline __attribute__((always_inline)) void end() const {
    if constexpr (!kInRegisters) return;
    INFERNEO_UNROLL
    for (int t = 0; t < tokens; ++t) {
      INFERNEO_UNROLL
      for (int p = 0; p < panels * kParts; ++p) store(sums + t * stride + p * kLanes, held[t][p]);
    }
  }

  Vec held[kInRegisters ? tokens : 1][kInRegisters ? panels * kParts : 1];
  float* sums;
  int64_t stride;
};

// Adds the dots of a group to the sums.
template <typename Format, int tokens, int panels>
static inline __attribute__((always_inline)) void add_group(const uint8_t* scales,
                                                            int64_t panel_stride,
                                                            const InputBlock* x,
                                                            int64_t x_stride,
                                                            int group,
                                                            IntVec (&dots)[tokens][panels][kParts],
                                                            TileSums<tokens, panels>& sums) {
  INFERNEO_UNROLL
  for (int p = 0; p < panels * kParts; ++p) {
    const uint8_t* from = scales + p / kParts * panel_stride + group * Format::kGroupScales +
                          p % kParts * kLanes * (int)sizeof(F16);
    const Vec scale = load_f16((const F16*)from);
    const Vec min =
        Format::kHasMin ? load_f16((const F16*)(from + 2 * Format::kBlockScales)) : zero();
    INFERNEO_UNROLL
    for (int t = 0; t < tokens; ++t) {
      const InputBlock& token = x[t * x_stride];
      const Vec dot = to_float(dots[t][p / kParts][p % kParts]);
      Vec scaled;
      if constexpr (Format::kHasMin) {
        scaled = fma(dot, scale, mul(set((float)offset_of<Format>(token, group)), min));
      } else {
        scaled = mul(dot, scale);
      }
      sums.add_scaled(t, p, scaled, set(token.scale));
    }
  }
}

template <typename Format, bool is_unpacked, int tokens, int panels>
static void codes_tile(const CodesTile& tile, const CodesLines<Format>& lines) {
  TileSums<tokens, panels> sums;
  sums.begin(tile.sums, tile.sums_stride, tile.is_first);
  const int64_t codes_stride = is_unpacked ? kChunkLines * kLineBytes : tile.panel_stride;
  const uint8_t* fetch = tile.fetch;
  for (int64_t block = 0; block < tile.blocks; ++block) {
    for (int64_t i = 0; i < tile.fetch_lines; ++i, fetch += kLineBytes) {
      INFERNEO_UNROLL
      for (int p = 0; p < panels; ++p) __builtin_prefetch(fetch + p * tile.panel_stride, 0, 2);
    }
    const uint8_t* scales = tile.weights + scales_at<Format>(block) - kLineBytes;
    const uint8_t* codes = is_unpacked ? tile.unpacked + block * (kBlockK / 4) * kLineBytes
                                       : tile.weights + codes_at<Format>(block) - kLineBytes;
    const InputBlock* x = tile.inputs + block;
    INFERNEO_UNROLL
    for (int g = 0; g < Format::kGroupsPerBlock; ++g) {
      IntVec dots[tokens][panels][kParts];
      dot_group<Format, is_unpacked>(lines, codes, codes_stride, x, tile.input_stride, g, dots);
      add_group<Format>(scales, tile.panel_stride, x, tile.input_stride, g, dots, sums);
    }
  }
  sums.end();
}

// Finishes sums of one panel, Shape [m][sums_stride], and writes them to rows [m, m + count) of y.
template <typename Format>
static inline void write_code_sums(const PackedLinearArgs& args,
                                   const float* sums,
                                   int64_t sums_stride,
                                   int64_t m,
                                   int64_t count,
                                   int64_t n) {
  const uint8_t* panel =
      (const uint8_t*)args.panels + n / kPanelOutputs * panel_bytes<Format>(args.k);
  for (int i = 0; i < kParts; ++i, n += kLanes) {
    const int64_t missing = args.n_end - n;
    if (missing <= 0) return;
    const int outputs = missing < kLanes ? (int)missing : kLanes;
    const Vec factor =
        mul(load((const float*)panel + i * kLanes), set(1.0F / CodesLines<Format>::kUnit));
    const Vec bias = args.bias != nullptr ? load_some(args.bias + n, outputs) : zero();
    float* y = args.y + m * args.y_stride + n;
    const float* from = sums + i * kLanes;
    for (int64_t t = 0; t < count; ++t, y += args.y_stride, from += sums_stride) {
      Vec sum = mul(load(from), factor);
      if (args.bias != nullptr) sum = add(sum, bias);
      if (args.accumulate) sum = add(load_some(y, outputs), sum);
      store_some(y, sum, outputs);
    }
  }
}

// Up to kFewTokens tokens: panels straight from memory, `panels` of them at a time. Each reads a
// part of the range of its own, so that the memory has several runs of addresses to serve.
template <typename Format, int tokens, int panels>
static void few_tokens(const PackedLinearArgs& args, int64_t panel_begin, int64_t stride) {
  constexpr int64_t kFetchAhead = 1024;  // bytes; about 100 ns at 10 GB/s
  const CodesLines<Format> lines(args.codebook);
  const int64_t bytes = panel_bytes<Format>(args.k);
  alignas(64) float sums[tokens * panels * kPanelOutputs];
  for (int64_t i = 0; i < stride; ++i) {
    CodesTile tile = {};
    tile.weights = (const uint8_t*)args.panels + (panel_begin + i) * bytes + kLineBytes;
    tile.panel_stride = stride * bytes;
    tile.inputs = (const InputBlock*)args.inputs;
    tile.input_stride = args.k / kBlockK;
    tile.blocks = args.k / kBlockK;
    tile.sums = sums;
    tile.sums_stride = panels * kPanelOutputs;
    tile.is_first = true;
    tile.fetch = tile.weights + kFetchAhead;
    tile.fetch_lines = (Format::kPair / 2 + kLineBytes - 1) / kLineBytes;
    codes_tile<Format, false, tokens, panels>(tile, lines);
    for (int64_t p = 0; p < panels; ++p) {
      write_code_sums<Format>(args,
                              sums + p * kPanelOutputs,
                              panels * kPanelOutputs,
                              0,
                              args.m,
                              (panel_begin + i + p * stride) * kPanelOutputs);
    }
  }
}

template <typename Format, int tokens>
static inline void few_tokens_in_streams(const PackedLinearArgs& args) {
  const int64_t begin = args.n_begin / kPanelOutputs;
  const int64_t count = (args.n_end + kPanelOutputs - 1) / kPanelOutputs - begin;
  constexpr int kStreams =
      kStreamSums / tokens < 1 ? 1 : (kStreamSums / tokens > 4 ? 4 : kStreamSums / tokens);
  const int64_t stride = count / kStreams;
  if (stride > 0) few_tokens<Format, tokens, kStreams>(args, begin, stride);
  const int64_t rest = count - stride * kStreams;
  if (rest > 0) few_tokens<Format, tokens, 1>(args, begin + stride * kStreams, rest);
}

// Unpacks the codes of `panels` panels over a chunk of k.
template <typename Format>
static inline void unpack_lines(const CodesTile& tile,
                                const CodesLines<Format>& lines,
                                int panels,
                                uint8_t* unpacked) {
  for (int p = 0; p < panels; ++p) {
    const uint8_t* panel = tile.weights + p * tile.panel_stride;
    uint8_t* to = unpacked + p * kChunkLines * kLineBytes;
    for (int64_t block = 0; block < tile.blocks; ++block) {
      const uint8_t* codes = panel + codes_at<Format>(block) - kLineBytes;
      for (int step = 0; step < kBlockK / 8; ++step, codes += kLineBytes, to += 2 * kLineBytes) {
        INFERNEO_UNROLL
        for (int i = 0; i < kParts; ++i) {
          ByteVec first;
          ByteVec second;
          lines.read(codes, i, &first, &second);
          store_bytes(to + i * 4 * kLanes, first);
          store_bytes(to + kLineBytes + i * 4 * kLanes, second);
        }
      }
    }
  }
}

template <typename Format, int panels>
static inline void codes_tile_of(int tokens,
                                 const CodesTile& tile,
                                 const CodesLines<Format>& lines) {
  constexpr bool kUnpacked = Format::kBits == 4;
  switch (tokens) {
    case kTileTokens:
      return codes_tile<Format, kUnpacked, kTileTokens, panels>(tile, lines);
    case kTileTokens - 1:
      return codes_tile<Format, kUnpacked, kTileTokens - 1, panels>(tile, lines);
    default:
      // Why for any fewer: rows up to a multiple of kInputRows are there, and their sums are
      // dropped.
      return codes_tile<Format, kUnpacked, kTileTokens - 2, panels>(tile, lines);
  }
}

// A block of tokens by `panels` panels, first of which is `panel`.
template <typename Format, int panels>
static void many_tokens(const PackedLinearArgs& args, int64_t m, int64_t count, int64_t panel) {
  // Why one more tile: the last may count rows that are not there.
  alignas(64) float sums[(kTokensMax + kTileTokens) * panels * kPanelOutputs];
  alignas(64) uint8_t unpacked[Format::kBits == 4 ? panels * kChunkLines * kLineBytes : 64];
  const CodesLines<Format> lines(args.codebook);
  const int64_t blocks = args.k / kBlockK;
  const int64_t bytes = panel_bytes<Format>(args.k);
  const int64_t tiles = (count + kTileTokens - 1) / kTileTokens;
  for (int64_t block = 0; block < blocks; block += kChunkBlocks) {
    CodesTile tile = {};
    tile.weights =
        (const uint8_t*)args.panels + panel * bytes + kLineBytes + block / 2 * Format::kPair;
    tile.panel_stride = bytes;
    tile.input_stride = blocks;
    tile.blocks = blocks - block < kChunkBlocks ? blocks - block : kChunkBlocks;
    tile.sums_stride = panels * kPanelOutputs;
    tile.is_first = block == 0;
    // The next chunk, of the next panels after the last; each block of each tile fetches its share.
    tile.fetch = tile.weights + kChunkBlocks / 2 * Format::kPair;
    if (block + kChunkBlocks >= blocks) {
      tile.fetch = (const uint8_t*)args.panels + (panel + panels) * bytes;
    }
    int64_t fetches = kChunkBlocks / 2 * Format::kPair / kLineBytes;
    const int64_t fetch_lines = (fetches + tiles * kChunkBlocks - 1) / (tiles * kChunkBlocks);
    if constexpr (Format::kBits == 4) {
      unpack_lines(tile, lines, panels, unpacked);
      tile.unpacked = unpacked;
    }
    int64_t t = 0;
    for (int64_t i = 0; i < tiles; ++i) {
      // Heights differ by at most one.
      const auto tokens = (int)((count - t + tiles - i - 1) / (tiles - i));
      tile.inputs = (const InputBlock*)args.inputs + (m + t) * blocks + block;
      tile.sums = sums + t * tile.sums_stride;
      tile.fetch_lines = fetches > 0 ? fetch_lines : 0;
      fetches -= fetch_lines * kChunkBlocks;
      codes_tile_of<Format, panels>(tokens, tile, lines);
      tile.fetch += tile.fetch_lines * tile.blocks * kLineBytes;
      t += tokens;
    }
  }
  for (int64_t p = 0; p < panels; ++p) {
    write_code_sums<Format>(args,
                            sums + p * kPanelOutputs,
                            panels * kPanelOutputs,
                            m,
                            count,
                            (panel + p) * kPanelOutputs);
  }
}

template <typename Format>
void codes_linear(const PackedLinearArgs& args) noexcept {
  if (args.m <= 0) return;
  if (args.m == 1) return few_tokens_in_streams<Format, 1>(args);
  if (args.m == 2) return few_tokens_in_streams<Format, 2>(args);
  if (args.m <= kFewTokens) return few_tokens_in_streams<Format, (int)kFewTokens>(args);
  const int64_t row_bytes = args.k / kBlockK * (int64_t)sizeof(InputBlock);
  int64_t tokens_max = kInputBytesMax / row_bytes;
  if (tokens_max < kTokensMin) tokens_max = kTokensMin;
  if (tokens_max > kTokensMax) tokens_max = kTokensMax;
  const int64_t token_blocks = (args.m + tokens_max - 1) / tokens_max;
  const int64_t panel_begin = args.n_begin / kPanelOutputs;
  const int64_t panel_end = (args.n_end + kPanelOutputs - 1) / kPanelOutputs;
  int64_t m = 0;
  for (int64_t i = 0; i < token_blocks; ++i) {
    const int64_t count = (args.m - m + token_blocks - i - 1) / (token_blocks - i);
    int64_t panel = panel_begin;
    for (; panel + kTilePanels <= panel_end; panel += kTilePanels) {
      many_tokens<Format, kTilePanels>(args, m, count, panel);
    }
    for (; panel < panel_end; ++panel) many_tokens<Format, 1>(args, m, count, panel);
    m += count;
  }
}
