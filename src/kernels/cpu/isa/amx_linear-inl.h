// Linear layers with bf16 weights on AMX tiles. Weights are the first operand as they lie in the
// file: 16 rows of 32 elements. Activations are the second, each split into the sum of two bf16
// numbers and packed ahead to tiles of 16 pairs of k by 16 tokens; both parts use one load of the
// weights. The result holds outputs by tokens and is transposed on its way out. A batch of one row
// uses the same instruction with 15 empty tokens: it waits for memory, not for the tile unit.
// Included after the generic bodies, inside the region of the table.
//
// Invariant: an output adds, for each step of kStepK elements in order, the products of the upper
// parts and then those of the lower, pair by pair. Other outputs of a tile take no part in it, and
// sums that wait in memory between chunks of k keep their bits.

constexpr int kPackedStep = 2 * kTileElements;  // the upper and the lower parts of a step
constexpr int64_t kPanelRows = 2 * kTile;       // outputs of a product
constexpr int kProductSums = 4 * kTile * kTile;

// Bounds, found by measurement for an L2 of 2 MiB: the sums of a block (1 MiB) and the tokens of a
// chunk (256 KiB) stay there while the weights of the block go by; the copied weights of a panel
// (8 KiB) stay in L1 while the tokens go by.
constexpr int64_t kTokensPerBlock = 512;
constexpr int64_t kOutputsPerBlock = 512;
constexpr int64_t kStepsPerChunk = 4;
constexpr int64_t kSumsPerBlock = kTokensPerBlock * kOutputsPerBlock;

static inline int64_t steps_of(int64_t k) { return (k + kStepK - 1) / kStepK; }
static inline int64_t at_most(int64_t value, int64_t limit) {
  return value < limit ? value : limit;
}

// Splits up to kStepK activations into upper + lower parts; what is missing is zero.
static inline void split(const float* x, int64_t count, Vec* upper, Vec* lower) {
  const Vec a = load_part(x, at_most(count, kLanes));
  const Vec b = count > kLanes ? load_part(x + kLanes, count - kLanes) : zero();
  const auto rounded = (__m512i)_mm512_cvtne2ps_pbh(b, a);
  const Vec rest_a = sub(a, from_bf16(_mm512_castsi512_si256(rounded)));
  const Vec rest_b = sub(b, from_bf16(_mm512_extracti64x4_epi64(rounded, 1)));
  *upper = _mm512_castsi512_ps(rounded);
  *lower = _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(rest_b, rest_a));
}

static inline void store_tile(Vec (&rows)[kTile], Bf16* tile) {
  transpose(rows);
  INFERNEO_UNROLL
  for (int i = 0; i < kTile; ++i) store((float*)(tile + i * kStepK), rows[i]);
}

// Shape of packed: [token tile][step][part][16 pairs][16 tokens][2]
void amx_pack(const float* x,
              int64_t x_stride,
              int64_t m_begin,
              int64_t m_end,
              int64_t k,
              void* packed) noexcept {
  Bf16* tile = (Bf16*)packed + m_begin / kTile * steps_of(k) * kPackedStep;
  for (int64_t m = m_begin; m < m_end; m += kTile) {
    const int64_t token_count = at_most(m_end - m, kTile);
    for (int64_t i = 0; i < k; i += kStepK, tile += kPackedStep) {
      const int64_t count = at_most(k - i, kStepK);
      Vec upper[kTile];
      Vec lower[kTile];
      for (int64_t row = 0; row < token_count; ++row) {
        split(x + (m + row) * x_stride + i, count, &upper[row], &lower[row]);
      }
      for (int64_t row = token_count; row < kTile; ++row) upper[row] = lower[row] = zero();
      store_tile(upper, tile);
      store_tile(lower, tile + kTileElements);
    }
  }
}

// Weights of up to kPanelRows outputs over some steps of k, as tiles.
struct AmxPanel {
  const Bf16* first;    // outputs 0 .. 15 at the first step
  const Bf16* second;   // outputs 16 .. 31
  int64_t row_bytes;    // from a row to the next
  int64_t step;         // elements from a step to the next
  const Bf16* next;     // weight rows to fetch into L2 meanwhile, row_count of them
  int64_t next_stride;  // elements
  int64_t next_count;
};

// Adds to the sums, Shape [token tile][output tile][16 outputs][16 tokens]. Tiles 0 to 3 hold them,
// 4 and 5 weights, 6 and 7 tokens.
template <int token_tiles>
void amx_product(const AmxPanel& panel,
                 const Bf16* tokens,
                 const Bf16* tokens_second,
                 int64_t step_count,
                 bool is_first,
                 float* sums) {
  if (is_first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + 256, 64);
    _tile_loadd(2, sums + 512, 64);
    _tile_loadd(3, sums + 768, 64);
  }
  const Bf16* first = panel.first;
  const Bf16* second = panel.second;
  for (int64_t i = 0; i < step_count; ++i) {
    INFERNEO_UNROLL
    for (int part = 0; part < kPackedStep; part += kTileElements) {
      if (part == 0) _tile_loadd(4, first, panel.row_bytes);
      _tile_loadd(6, tokens + part, 64);
      _tile_dpbf16ps(0, 4, 6);
      if (part == 0) _tile_loadd(5, second, panel.row_bytes);
      _tile_dpbf16ps(1, 5, 6);
      if constexpr (token_tiles == 2) {
        _tile_loadd(7, tokens_second + part, 64);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    for (int64_t row = 0; row < panel.next_count; ++row) {
      _mm_prefetch((const char*)(panel.next + row * panel.next_stride + i * kStepK), _MM_HINT_T1);
    }
    first += panel.step;
    second += panel.step;
    tokens += kPackedStep;
    tokens_second += kPackedStep;
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  _tile_stored(2, sums + 512, 64);
  _tile_stored(3, sums + 768, 64);
}

// A block of tokens and outputs whose sums are held together.
struct AmxBlock {
  int64_t m;
  int64_t m_count;
  int64_t n;
  int64_t n_count;
  float* sums;   // Shape: [panel][token pair][kProductSums]
  Bf16* copied;  // Shape: [output tile][kStepsPerChunk][kTileElements]
};

static inline int64_t product_count(const AmxBlock& block) {
  return (block.m_count + 2 * kTile - 1) / (2 * kTile);
}

// Copies up to kPanelRows weight rows to whole tiles that are filled with zeros.
static inline void copy_weights(
    const Bf16* w, int64_t w_stride, int64_t row_count, int64_t k_size, Bf16* copied) {
  for (int64_t row = 0; row < kPanelRows; ++row) {
    Bf16* to = copied + row / kTile * kStepsPerChunk * kTileElements + row % kTile * kStepK;
    for (int64_t k = 0; k < k_size; k += kStepK, to += kTileElements) {
      const int64_t count = at_most(k_size - k, kStepK);
      const __m512i elements = row < row_count
                                   ? _mm512_maskz_loadu_epi16((__mmask32)((1ULL << count) - 1ULL),
                                                              w + row * w_stride + k)
                                   : _mm512_setzero_si512();
      _mm512_storeu_si512(to, elements);
    }
  }
}

// Products of one panel with all tokens of the block, over a chunk of k.
static inline void amx_panel(const LinearArgs& args,
                             const AmxBlock& block,
                             const AmxPanel& panel,
                             int64_t step,
                             int64_t step_count,
                             float* sums) {
  const int64_t products = product_count(block);
  const int64_t steps = steps_of(args.k);
  AmxPanel part = panel;
  for (int64_t i = 0; i < products; ++i, sums += kProductSums) {
    // Each product fetches its part of the next panel.
    const int64_t begin = panel.next_count * i / products;
    part.next = panel.next + begin * panel.next_stride;
    part.next_count = panel.next_count * (i + 1) / products - begin;
    const int64_t tile = block.m / kTile + 2 * i;
    const Bf16* tokens = (const Bf16*)args.packed + (tile * steps + step) * kPackedStep;
    if (block.m_count - 2 * kTile * i > kTile) {
      amx_product<2>(part, tokens, tokens + steps * kPackedStep, step_count, step == 0, sums);
    } else {
      amx_product<1>(part, tokens, tokens, step_count, step == 0, sums);
    }
  }
}

// All panels of a block over the steps of a chunk. Weights go to the tiles straight from the file
// (`direct`) when few tokens use them; else they are copied, because rows a power of two apart
// would fight for a set of L1.
static inline void amx_chunk(
    const LinearArgs& args, const AmxBlock& block, int64_t step, int64_t step_count, bool direct) {
  for (int64_t i = 0; i < block.n_count; i += kPanelRows) {
    const int64_t n = block.n + i;
    const int64_t row_count = at_most(block.n_count - i, kPanelRows);
    const Bf16* w = (const Bf16*)args.w + n * args.k + step * kStepK;
    AmxPanel panel;
    if (direct) {
      panel.first = w;
      panel.second = w + kTile * args.k;
      panel.row_bytes = args.k * (int64_t)sizeof(Bf16);
      panel.step = kStepK;
    } else {
      const int64_t k_size = at_most(args.k - step * kStepK, step_count * kStepK);
      copy_weights(w, args.k, row_count, k_size, block.copied);
      panel.first = block.copied;
      panel.second = block.copied + kStepsPerChunk * kTileElements;
      panel.row_bytes = kStepK * (int64_t)sizeof(Bf16);
      panel.step = kTileElements;
    }
    panel.next = w + row_count * args.k;
    panel.next_stride = args.k;
    panel.next_count = n + 2 * kPanelRows <= args.n_end ? kPanelRows : 0;
    float* sums = block.sums + i / kPanelRows * product_count(block) * kProductSums;
    amx_panel(args, block, panel, step, step_count, sums);
  }
}

// Writes one tile of sums (outputs by tokens) to y, which starts at the tile's first element.
static inline void write_sums(const LinearArgs& args,
                              const float* sums,
                              int64_t m,
                              int64_t n,
                              int64_t token_count,
                              int n_count) {
  Vec rows[kTile];
  INFERNEO_UNROLL
  for (int i = 0; i < kTile; ++i) rows[i] = load(sums + i * kTile);
  transpose(rows);
  float outputs[kTile * kTile];
  INFERNEO_UNROLL
  for (int i = 0; i < kTile; ++i) store(outputs + i * kTile, rows[i]);
  float* y = args.y + m * args.y_stride + n;
  for (int64_t i = 0; i < token_count; ++i, y += args.y_stride) {
    Vec sum = load(outputs + i * kTile);
    if (args.bias != nullptr) sum = add(sum, load_some(args.bias + n, n_count));
    if (args.accumulate) sum = add(load_some(y, n_count), sum);
    store_some(y, sum, n_count);
  }
}

static inline void write_block(const LinearArgs& args, const AmxBlock& block) {
  const int64_t products = product_count(block);
  for (int64_t m = 0; m < block.m_count; m += kTile) {
    for (int64_t n = 0; n < block.n_count; n += kTile) {
      const int64_t product = n / kPanelRows * products + m / (2 * kTile);
      const int64_t tile = m / kTile % 2 * 2 + n / kTile % 2;
      write_sums(args,
                 block.sums + product * kProductSums + tile * kTile * kTile,
                 block.m + m,
                 block.n + n,
                 at_most(block.m_count - m, kTile),
                 (int)at_most(block.n_count - n, kTile));
    }
  }
}

void amx_linear(const LinearArgs& args) noexcept {
  alignas(64) float sums[kSumsPerBlock];
  alignas(64) Bf16 copied[2 * kStepsPerChunk * kTileElements];
  _tile_loadconfig(&kTileConfig);
  const int64_t steps = steps_of(args.k);
  for (int64_t m = 0; m < args.m; m += kTokensPerBlock) {
    for (int64_t n = args.n_begin; n < args.n_end; n += kOutputsPerBlock) {
      const AmxBlock block = {m,
                              at_most(args.m - m, kTokensPerBlock),
                              n,
                              at_most(args.n_end - n, kOutputsPerBlock),
                              sums,
                              copied};
      const bool direct =
          block.m_count <= 2 * kTile && block.n_count % kPanelRows == 0 && args.k % kStepK == 0;
      const int64_t chunk = direct ? steps : kStepsPerChunk;
      int64_t step = 0;
      do {
        amx_chunk(args, block, step, at_most(steps - step, chunk), direct);
        step += chunk;
      } while (step < steps);
      write_block(args, block);
    }
  }
  _tile_release();
}

double spin_amx(int64_t rounds) noexcept {
  _tile_loadconfig(&kTileConfig);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4.0 * 2 * kTile * kTile * kStepK * (double)rounds;
}
