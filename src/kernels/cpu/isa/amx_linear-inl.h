// bf16 linear layers on AMX tiles. Weights are the first operand as they lie in the file: 16 rows
// of 32 elements. Activations are the second, packed on the stack to pairs of k by 16 tokens, so
// the result holds outputs by tokens and is transposed on its way out. A batch of one row uses the
// same instruction with 15 empty tokens: it waits for memory, not for the tile unit. Included after
// the generic bodies, inside the region of the table.
//
// Invariant: an output is the sum over blocks of kBlock elements, in order; a block is summed by
// tdpbf16ps pair by pair, in order. Other outputs of a tile take no part in it.

constexpr int kTile = 16;   // rows of any tile, and tokens or outputs it covers
constexpr int kStepK = 32;  // elements of k in a tile
constexpr int kTileElements = kTile * kStepK;
constexpr int64_t kStepsPerBlock = kBlock / kStepK;
// Bound: the packed tokens of a block take 1 MiB, half of the L2 of every processor with AMX. They
// stay there while the weights go by once.
constexpr int64_t kTokensPerBlock = 256;
constexpr int64_t kPackedTile = kStepsPerBlock * kTileElements;  // elements of a packed token tile

// Elements that packing fetches ahead: 8 cache lines, about the latency of L3 at 32 cycles a line.
constexpr int64_t kPackAhead = 8 * kStepK;

// Spec: Intel SDM vol. 1, 18.3 (tile configuration, palette 1).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// One product of tiles: up to 32 outputs and 32 tokens, for one block of k.
struct AmxProduct {
  const Bf16* w;       // first weight row at the block's first element
  int64_t w_stride;    // elements
  int64_t n_count;     // outputs, up to 2 * kTile
  const Bf16* tokens;  // Shape: [token tile][step][16 pairs][16 tokens][2]
  int64_t k_size;
  const Bf16* next;    // weight rows to fetch into L2 meanwhile
  int64_t next_count;  // of them; may be 0
};

// Packs up to kTile rows of x from element k on; missing tokens and elements are zero.
static inline void pack_tokens(
    const Bf16* x, int64_t x_stride, int64_t token_count, int64_t k_size, Bf16* packed) {
  for (int64_t k = 0; k < k_size; k += kStepK, packed += kTileElements) {
    const int64_t count = k_size - k < kStepK ? k_size - k : kStepK;
    Vec rows[kTile];
    // Why: rows a power of two apart fall into one set of L1, which defeats the prefetchers.
    for (int64_t i = 0; i < token_count; ++i) {
      _mm_prefetch((const char*)(x + i * x_stride + k + kPackAhead), _MM_HINT_T1);
    }
    INFERNEO_UNROLL
    for (int i = 0; i < kTile; ++i) {
      const Bf16* row = x + i * x_stride + k;
      rows[i] = i >= token_count  ? zero()
                : count == kStepK ? _mm512_castsi512_ps(load_wide(row))
                                  : _mm512_castsi512_ps(load_wide_part(row, count));
    }
    transpose(rows);
    INFERNEO_UNROLL
    for (int i = 0; i < kTile; ++i) store((float*)(packed + i * kStepK), rows[i]);
  }
}

// Copies up to kTile weight rows of up to kStepK elements into a whole tile filled with zeros.
static inline void copy_weights(
    const Bf16* w, int64_t w_stride, int64_t row_count, int64_t count, Bf16* tile) {
  for (int64_t i = 0; i < kTile; ++i) {
    const Vec row =
        i < row_count ? _mm512_castsi512_ps(load_wide_part(w + i * w_stride, count)) : zero();
    store((float*)(tile + i * kStepK), row);
  }
}

// Adds a step to the sums: tiles 0 to 3 are [output tile][token tile], 4 and 5 weights, 6 and 7
// tokens.
template <int output_tiles, int token_tiles>
static inline void amx_step(const Bf16* w0, const Bf16* w1, int64_t w_stride, const Bf16* tokens) {
  const int64_t w_bytes = w_stride * (int64_t)sizeof(Bf16);
  _tile_loadd(6, tokens, 64);
  _tile_loadd(4, w0, w_bytes);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (token_tiles == 2) {
    _tile_loadd(7, tokens + kPackedTile, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (output_tiles == 2) {
    _tile_loadd(5, w1, w_bytes);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (token_tiles == 2) _tile_dpbf16ps(3, 5, 7);
  }
}

// sums: Shape [output tile][token tile][16 outputs][16 tokens].
template <int output_tiles, int token_tiles>
void amx_product(const AmxProduct& p, float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const Bf16* second = p.w + kTile * p.w_stride;
  int64_t k = 0;
  const Bf16* tokens = p.tokens;
  if (p.n_count == output_tiles * kTile) {
    for (; k + kStepK <= p.k_size; k += kStepK, tokens += kTileElements) {
      amx_step<output_tiles, token_tiles>(p.w + k, second + k, p.w_stride, tokens);
      for (int64_t i = 0; i < p.next_count; ++i) {
        _mm_prefetch((const char*)(p.next + i * p.w_stride + k), _MM_HINT_T1);
      }
    }
  }
  // What is left has weight rows that end early or tiles that reach past the last row.
  for (; k < p.k_size; k += kStepK, tokens += kTileElements) {
    const int64_t count = p.k_size - k < kStepK ? p.k_size - k : kStepK;
    Bf16 edge[2 * kTileElements];
    copy_weights(p.w + k, p.w_stride, p.n_count, count, edge);
    if (output_tiles == 2) {
      copy_weights(second + k, p.w_stride, p.n_count - kTile, count, edge + kTileElements);
    }
    amx_step<output_tiles, token_tiles>(edge, edge + kTileElements, kStepK, tokens);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  _tile_stored(2, sums + 512, 64);
  _tile_stored(3, sums + 768, 64);
}

static inline void amx_product_of(const AmxProduct& p, int64_t token_count, float* sums) {
  if (p.n_count > kTile) {
    if (token_count > kTile) {
      amx_product<2, 2>(p, sums);
    } else {
      amx_product<2, 1>(p, sums);
    }
  } else if (token_count > kTile) {
    amx_product<1, 2>(p, sums);
  } else {
    amx_product<1, 1>(p, sums);
  }
}

// Adds one tile of sums (outputs by tokens) to y, which starts at the tile's first element.
static inline void add_sums(const float* sums,
                            float* y,
                            int64_t y_stride,
                            const float* bias,
                            bool accumulate,
                            int64_t n_count,
                            int64_t token_count) {
  Vec rows[kTile];
  INFERNEO_UNROLL
  for (int i = 0; i < kTile; ++i) rows[i] = load(sums + i * kTile);
  transpose(rows);
  float outputs[kTile * kTile];
  INFERNEO_UNROLL
  for (int i = 0; i < kTile; ++i) store(outputs + i * kTile, rows[i]);
  for (int64_t m = 0; m < token_count; ++m, y += y_stride) {
    Vec sum = load(outputs + m * kTile);
    if (bias != nullptr) sum = add(sum, load_some(bias, (int)n_count));
    if (accumulate) sum = add(load_some(y, (int)n_count), sum);
    store_some(y, sum, (int)n_count);
  }
}

// A block of tokens and of k; `packed` holds the tokens.
struct AmxBlock {
  int64_t m;
  int64_t m_count;
  int64_t k;
  int64_t k_size;
  const Bf16* packed;  // Shape: [token tile][kPackedTile]
};

static inline void pack_block(const LinearArgs& args, const AmxBlock& block, Bf16* packed) {
  const Bf16* x = (const Bf16*)args.x + block.m * args.x_stride + block.k;
  for (int64_t m = 0; m < block.m_count; m += kTile) {
    const int64_t count = block.m_count - m < kTile ? block.m_count - m : kTile;
    pack_tokens(x + m * args.x_stride, args.x_stride, count, block.k_size, packed);
    packed += kPackedTile;
  }
}

// Outputs [n, n + n_count) of the tokens [m, m + m_count) of a block.
static inline void amx_outputs(const LinearArgs& args,
                               const AmxBlock& block,
                               const AmxProduct& product,
                               int64_t n,
                               int64_t m,
                               int64_t m_count) {
  alignas(64) float sums[4 * kTile * kTile];
  float* y = args.y + (block.m + m) * args.y_stride + n;
  for (int64_t i = 0; i < m_count; ++i) {
    __builtin_prefetch(y + i * args.y_stride, 1);
    __builtin_prefetch(y + i * args.y_stride + kTile, 1);
  }
  amx_product_of(product, m_count, sums);
  for (int64_t tile = 0; tile < 4; ++tile) {
    const int64_t n_done = tile / 2 * kTile;
    const int64_t m_done = tile % 2 * kTile;
    if (n_done >= product.n_count || m_done >= m_count) continue;
    const int64_t n_left = product.n_count - n_done < kTile ? product.n_count - n_done : kTile;
    const int64_t m_left = m_count - m_done < kTile ? m_count - m_done : kTile;
    add_sums(sums + tile * kTile * kTile,
             y + m_done * args.y_stride + n_done,
             args.y_stride,
             block.k == 0 && args.bias != nullptr ? args.bias + n + n_done : nullptr,
             block.k != 0 || args.accumulate,
             n_left,
             m_left);
  }
}

static inline void amx_block(const LinearArgs& args, const AmxBlock& block) {
  for (int64_t n = args.n_begin; n < args.n_end; n += 2 * kTile) {
    const int64_t n_count = args.n_end - n < 2 * kTile ? args.n_end - n : 2 * kTile;
    const int64_t n_after = args.n_end - n - n_count;  // rows that follow, of which 32 are fetched
    const Bf16* w = (const Bf16*)args.w + n * args.k + block.k;
    for (int64_t m = 0; m < block.m_count; m += 2 * kTile) {
      const int64_t m_count = block.m_count - m < 2 * kTile ? block.m_count - m : 2 * kTile;
      // Each product fetches its part of the next 32 weight rows.
      const int64_t first = 2 * kTile * m / block.m_count;
      const int64_t last = 2 * kTile * (m + m_count) / block.m_count;
      AmxProduct product;
      product.w = w;
      product.w_stride = args.k;
      product.n_count = n_count;
      product.tokens = block.packed + m / kTile * kPackedTile;
      product.k_size = block.k_size;
      product.next = w + (n_count + first) * args.k;
      product.next_count = n_after >= 2 * kTile ? last - first : 0;
      amx_outputs(args, block, product, n, m, m_count);
    }
  }
}

void amx_linear(const LinearArgs& args) noexcept {
  alignas(64) Bf16 packed[kTokensPerBlock / kTile * kPackedTile];
  const TileConfig config;
  _tile_loadconfig(&config);
  for (int64_t m = 0; m < args.m; m += kTokensPerBlock) {
    const int64_t m_count = args.m - m < kTokensPerBlock ? args.m - m : kTokensPerBlock;
    int64_t k = 0;
    do {
      const int64_t k_size = args.k - k < kBlock ? args.k - k : kBlock;
      const AmxBlock block = {m, m_count, k, k_size, packed};
      pack_block(args, block, packed);
      amx_block(args, block);
      k += kBlock;
    } while (k < args.k);
  }
  _tile_release();
}

double spin_amx(int64_t rounds) noexcept {
  const TileConfig config;
  _tile_loadconfig(&config);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4.0 * 2 * kTile * kTile * kStepK * (double)rounds;
}
