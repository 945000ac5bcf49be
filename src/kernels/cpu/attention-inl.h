// Attention by online softmax over tiles of kKeyTile keys. A tile of keys is transposed once in
// scratch, so that scores come as vectors over keys, and serves up to kQueryTile query rows (heads
// of a group at consecutive positions).
// Included inside the anonymous namespace and target region of an instruction set.
//
// Invariant: within a range, a row sees its keys in tiles that begin at multiples of kKeyTile, in
// order. A score is
// one sum over the head's dimensions in order; a tile's weights are added by a fixed tree; an
// output element adds its keys in order. Masked keys take part in none of these, not even as zeros,
// because 0 times a NaN of another row's key would not be 0.

struct F32Cache {
  using T = float;
  static constexpr bool kHasScales = false;
  static inline Vec load_full(const float* p) { return load(p); }
  static inline Vec load_tail(const float* p, int64_t n) { return load_part(p, n); }
};

struct F16Cache {
  using T = F16;
  static constexpr bool kHasScales = false;
  static inline Vec load_full(const F16* p) { return load_f16(p); }
  static inline Vec load_tail(const F16* p, int64_t n) { return load_f16_part(p, n); }
};

struct Bf16Cache {
  using T = Bf16;
  static constexpr bool kHasScales = false;
  static inline Vec load_full(const Bf16* p) { return load_bf16(p); }
  static inline Vec load_tail(const Bf16* p, int64_t n) { return load_bf16_part(p, n); }
};

// Scores and weights take the scales of the rows.
struct I8Cache {
  using T = int8_t;
  static constexpr bool kHasScales = true;
  static inline Vec load_full(const int8_t* p) { return load_i8(p); }
  static inline Vec load_tail(const int8_t* p, int64_t n) { return load_i8_part(p, n); }
};

// Scratch of a call, cut into its parts. Rows of q and out are `width` floats, zero-padded.
struct AttentionState {
  float* q;         // Shape: [kQueryTile][width], scaled
  float* scores;    // Shape: [kQueryTile][kKeyTile]
  float* keys;      // Shape: [width][kKeyTile], transposed
  float* k_scales;  // Shape: [kKeyTile], of caches with scales
  float* v_scales;
  float* out;     // Shape: [kQueryTile][width], of the range at hand
  float* most;    // Shape: [kQueryTile], largest score so far
  float* sum;     // Shape: [kQueryTile], sum of weights so far
  int64_t width;  // padded head_dim
  int64_t head_dim;
  RangeRows results[2];  // of the ranges before, and of the one at hand
  // What is added to scores, by row: slope * (key of the tile) + offset; with slopes only.
  float slope[kQueryTile];
  float offset[kQueryTile];
  bool has_slopes;
  float soft_cap;  // in units of scores, 0 for none
};

// The keys of a tile that a row sees.
struct TileSpan {
  int64_t begin;
  int64_t end;
};

// Rows of the keys and values of positions [begin, begin + count) in the cache.
static inline void find_rows(const AttentionArgs& args,
                             int64_t begin,
                             int64_t count,
                             int64_t* rows) {
  int64_t block = begin / args.block_size;
  int64_t slot = begin % args.block_size;
  for (int64_t i = 0; i < count; ++i) {
    rows[i] = ((int64_t)args.blocks[block] * args.kv_heads + args.kv_head) * args.block_size + slot;
    if (++slot < args.block_size) continue;
    slot = 0;
    ++block;
  }
}

template <typename Cache>
static inline const typename Cache::T* cache_row(const AttentionArgs& args,
                                                 const void* cache,
                                                 int64_t row) {
  return (const typename Cache::T*)cache + row * args.head_dim;
}

// Transposes the keys of some rows of the cache into state.keys; columns beyond count become zero.
template <typename Cache>
void transpose_keys(const AttentionArgs& args,
                    const AttentionState& state,
                    const int64_t* keys,
                    int64_t count) {
  for (int64_t j = 0; j < kKeyTile; j += kLanes) {
    const typename Cache::T* rows[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      rows[i] = j + i < count ? cache_row<Cache>(args, args.k_cache, keys[j + i]) : nullptr;
    }
    for (int64_t d = 0; d < state.head_dim; d += kLanes) {
      const int64_t left = state.head_dim - d;
      Vec block[kLanes];
      INFERNEO_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        block[i] = rows[i] == nullptr ? zero()
                   : left >= kLanes   ? Cache::load_full(rows[i] + d)
                                      : Cache::load_tail(rows[i] + d, left);
      }
      transpose(block);
      INFERNEO_UNROLL
      for (int i = 0; i < kLanes; ++i) store(state.keys + (d + i) * kKeyTile + j, block[i]);
    }
  }
}

// Scores of `rows` query rows against all keys of the tile, kScoreVectors vectors at a time.
template <int rows>
void score_rows(const AttentionState& state, int64_t first) {
  const float* q = state.q + first * state.width;
  for (int64_t j = 0; j < kKeyTile; j += kScoreVectors * kLanes) {
    Vec acc[rows][kScoreVectors];
    INFERNEO_UNROLL
    for (int r = 0; r < rows; ++r) {
      INFERNEO_UNROLL
      for (int v = 0; v < kScoreVectors; ++v) acc[r][v] = zero();
    }
    for (int64_t d = 0; d < state.head_dim; ++d) {
      Vec key[kScoreVectors];
      INFERNEO_UNROLL
      for (int v = 0; v < kScoreVectors; ++v)
        key[v] = load(state.keys + d * kKeyTile + j + v * kLanes);
      INFERNEO_UNROLL
      for (int r = 0; r < rows; ++r) {
        const Vec query = set(q[r * state.width + d]);
        INFERNEO_UNROLL
        for (int v = 0; v < kScoreVectors; ++v) acc[r][v] = fma(query, key[v], acc[r][v]);
      }
    }
    INFERNEO_UNROLL
    for (int r = 0; r < rows; ++r) {
      INFERNEO_UNROLL
      for (int v = 0; v < kScoreVectors; ++v) {
        store(state.scores + (first + r) * kKeyTile + j + v * kLanes, acc[r][v]);
      }
    }
  }
}

static const float kLaneNumbers[kLanesMax] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The scores of keys from j on with soft cap and slope.
static inline Vec adjust_scores(const AttentionState& state, int64_t r, int64_t j, Vec s) {
  if (state.soft_cap != 0) s = mul(tanh_lanes(s), set(state.soft_cap));
  if (!state.has_slopes) return s;
  const Vec key = add(load(kLaneNumbers), set((float)j));
  return add(s, fma(key, set(state.slope[r]), set(state.offset[r])));
}

// Turns a row's scores into weights and rescales what the row has so far.
template <typename Cache>
void soften_row(const AttentionState& state, int64_t r, const TileSpan& span) {
  float* scores = state.scores + r * kKeyTile;
  const Vec lowest = set(-__builtin_inff());
  const int64_t first = span.begin / kLanes * kLanes;
  const int64_t count = span.end;
  const bool adjusts = state.has_slopes || state.soft_cap != 0;
  Vec most = set(state.most[r]);
  for (int64_t j = first; j < count; j += kLanes) {
    const int here = part(j, count);
    Vec s = load(scores + j);
    if constexpr (Cache::kHasScales) s = mul(s, load(state.k_scales + j));
    if (adjusts) s = adjust_scores(state, r, j, s);
    if (here < kLanes) s = keep_first(s, here, lowest);
    if (j < span.begin) s = keep_first(lowest, (int)(span.begin - j), s);
    if (Cache::kHasScales || adjusts || here < kLanes || j < span.begin) store(scores + j, s);
    most = max(most, s);
  }
  const float before = state.most[r];
  const float after = reduce_max(most);
  // Why: while every score is -infinity, subtracting it would make NaNs of weights that are 0.
  const Vec shift = set(after == -__builtin_inff() ? 0.0f : after);
  Vec sum = zero();
  for (int64_t j = first; j < count; j += kLanes) {
    Vec weights = exp2_lanes(sub(load(scores + j), shift));
    sum = add(sum, weights);
    if constexpr (Cache::kHasScales) weights = mul(weights, load(state.v_scales + j));
    store(scores + j, weights);
  }
  if (before == after) {
    state.sum[r] += reduce_add(sum);
    return;
  }
  const Vec rescale = exp2_lanes(sub(set(before), shift));
  float lanes[kLanes];
  store(lanes, rescale);
  state.most[r] = after;
  state.sum[r] = state.sum[r] * lanes[0] + reduce_add(sum);
  float* out = state.out + r * state.width;
  for (int64_t d = 0; d < state.width; d += kLanes) store(out + d, mul(load(out + d), rescale));
}

// out += weights * values for keys [begin, end) of the tile, `rows` rows and `vectors` vectors of
// dimensions from d on.
template <typename Cache, int rows, int vectors>
inline void weigh_block(const AttentionState& state,
                        const typename Cache::T* const* values,
                        int64_t first,
                        int64_t begin,
                        int64_t end,
                        int64_t d) {
  Vec acc[rows][vectors];
  float* out = state.out + first * state.width + d;
  INFERNEO_UNROLL
  for (int r = 0; r < rows; ++r) {
    INFERNEO_UNROLL
    for (int v = 0; v < vectors; ++v) acc[r][v] = load(out + r * state.width + v * kLanes);
  }
  const int64_t left = state.head_dim - d;
  const float* weights = state.scores + first * kKeyTile;
  for (int64_t j = begin; j < end; ++j) {
    Vec value[vectors];
    INFERNEO_UNROLL
    for (int v = 0; v < vectors; ++v) {
      value[v] = vectors == 1 && left < kLanes ? Cache::load_tail(values[j] + d, left)
                                               : Cache::load_full(values[j] + d + v * kLanes);
    }
    INFERNEO_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Vec weight = set(weights[r * kKeyTile + j]);
      INFERNEO_UNROLL
      for (int v = 0; v < vectors; ++v) acc[r][v] = fma(weight, value[v], acc[r][v]);
    }
  }
  INFERNEO_UNROLL
  for (int r = 0; r < rows; ++r) {
    INFERNEO_UNROLL
    for (int v = 0; v < vectors; ++v) store(out + r * state.width + v * kLanes, acc[r][v]);
  }
}

template <typename Cache, int rows>
void weigh_rows(const AttentionState& state,
                const typename Cache::T* const* values,
                int64_t first,
                int64_t begin,
                int64_t end) {
  if (begin >= end) return;
  int64_t d = 0;
  for (; d + 4 * kLanes <= state.head_dim; d += 4 * kLanes) {
    weigh_block<Cache, rows, 4>(state, values, first, begin, end, d);
  }
  for (; d < state.head_dim; d += kLanes) {
    weigh_block<Cache, rows, 1>(state, values, first, begin, end, d);
  }
}

// Scores and weights of `rows` rows that start at `first`; spans neither begin nor end before those
// of the rows before.
template <typename Cache, int rows>
void attend_rows(const AttentionState& state,
                 const typename Cache::T* const* values,
                 int64_t first,
                 const TileSpan* spans) {
  score_rows<rows>(state, first);
  for (int r = 0; r < rows; ++r) soften_row<Cache>(state, first + r, spans[r]);
  // Keys that all of them see; where there are none, the first two loops share all.
  const int64_t end = spans[0].end;
  const int64_t begin = spans[rows - 1].begin < end ? spans[rows - 1].begin : end;
  for (int r = 0; r < rows; ++r) {
    const int64_t row_end = spans[r].begin < begin ? begin : spans[r].begin;
    weigh_rows<Cache, 1>(state, values, first + r, spans[r].begin, row_end);
  }
  weigh_rows<Cache, rows>(state, values, first, begin, end);
  for (int r = 1; r < rows; ++r) {
    const int64_t row_begin = spans[r].begin > end ? spans[r].begin : end;
    weigh_rows<Cache, 1>(state, values, first + r, row_begin, spans[r].end);
  }
}

// By row, what scores of the keys of a tile get added.
static inline void place_slopes(const AttentionArgs& args,
                                AttentionState& state,
                                int64_t index,
                                int64_t row_count,
                                int64_t key_begin) {
  for (int64_t r = 0; r < row_count; ++r) {
    const QueryRow at = query_row(args, index + r);
    state.slope[r] = args.slopes[at.head] * 1.44269504f;
    state.offset[r] = state.slope[r] * (float)(key_begin - at.position);
  }
}

// One tile of keys for the query rows [index, index + row_count) of the call.
template <typename Cache>
void attend_tile(const AttentionArgs& args,
                 AttentionState& state,
                 int64_t index,
                 int64_t row_count,
                 int64_t key_begin) {
  TileSpan spans[kQueryTile];
  int64_t first = row_count;  // rows [first, last) see any of these keys
  int64_t last = 0;
  for (int64_t r = 0; r < row_count; ++r) {
    const KeySpan seen = visible_keys(args, query_row(args, index + r).position);
    spans[r].begin = seen.begin > key_begin ? seen.begin - key_begin : 0;
    spans[r].end = seen.end < key_begin + kKeyTile ? seen.end - key_begin : kKeyTile;
    if (spans[r].begin >= spans[r].end) continue;
    if (first == row_count) first = r;
    last = r + 1;
  }
  if (first >= last) return;
  const int64_t key_count = spans[last - 1].end;
  int64_t keys[kKeyTile];
  find_rows(args, key_begin, key_count, keys);
  transpose_keys<Cache>(args, state, keys, key_count);
  const typename Cache::T* values[kKeyTile];
  for (int64_t j = 0; j < key_count; ++j) {
    values[j] = cache_row<Cache>(args, args.v_cache, keys[j]);
  }
  if constexpr (Cache::kHasScales) {
    for (int64_t j = 0; j < kKeyTile; ++j) {
      state.k_scales[j] = j < key_count ? args.k_scales[keys[j]] : 0;
      state.v_scales[j] = j < key_count ? args.v_scales[keys[j]] : 0;
    }
  }
  if (state.has_slopes) place_slopes(args, state, index, row_count, key_begin);
  int64_t r = first;
  for (; r + kAttendRows <= last; r += kAttendRows) {
    attend_rows<Cache, kAttendRows>(state, values, r, spans + r);
  }
  for (; r + 2 <= last; r += 2) attend_rows<Cache, 2>(state, values, r, spans + r);
  for (; r < last; ++r) attend_rows<Cache, 1>(state, values, r, spans + r);
}

static inline AttentionState attention_state(const AttentionArgs& args) {
  AttentionState state = {};
  state.head_dim = args.head_dim;
  state.width = padded_head_dim(args.head_dim);
  state.q = args.scratch;
  state.scores = state.q + kQueryTile * state.width;
  state.keys = state.scores + kQueryTile * kKeyTile;
  state.k_scales = state.keys + state.width * kKeyTile;
  state.v_scales = state.k_scales + kKeyTile;
  float* results = state.v_scales + kKeyTile;
  state.results[0] = range_rows(results, kQueryTile, args.head_dim);
  results += partial_floats(kQueryTile, args.head_dim);
  state.results[1] = range_rows(results, kQueryTile, args.head_dim);
  state.has_slopes = args.slopes != nullptr;
  state.soft_cap = args.soft_cap * 1.44269504f;
  return state;
}

static inline void load_queries(const AttentionArgs& args,
                                const AttentionState& state,
                                int64_t index,
                                int64_t row_count) {
  // Scores are exponents of 2; under a soft cap, first what its tanh takes.
  const float factor = args.soft_cap != 0 ? args.scale / args.soft_cap : args.scale * 1.44269504f;
  for (int64_t r = 0; r < row_count; ++r) {
    const QueryRow at = query_row(args, index + r);
    const float* q = args.q + at.row * args.q_stride + at.head * args.head_dim;
    for (int64_t d = 0; d < state.head_dim; ++d) state.q[r * state.width + d] = q[d] * factor;
  }
}

// Keys of one range for the query rows [index, index + row_count), into `rows`.
template <typename Cache>
void attend_range(const AttentionArgs& args,
                  AttentionState& state,
                  const RangeRows& rows,
                  int64_t index,
                  int64_t row_count,
                  int64_t range) {
  state.out = rows.values;
  state.most = rows.most;
  state.sum = rows.sum;
  for (int64_t i = 0; i < row_count * state.width; ++i) state.out[i] = 0;
  for (int64_t r = 0; r < row_count; ++r) {
    state.most[r] = -__builtin_inff();
    state.sum[r] = 0;
  }
  const int64_t range_begin = range * kAttentionRange;
  const int64_t range_end = range_begin + kAttentionRange;
  const int64_t visible = visible_keys(args, query_row(args, index + row_count - 1).position).end;
  const int64_t key_end = visible < range_end ? visible : range_end;
  const int64_t oldest = visible_keys(args, query_row(args, index).position).begin;
  const int64_t first = oldest > range_begin ? oldest / kKeyTile * kKeyTile : range_begin;
  for (int64_t key = first; key < key_end; key += kKeyTile) {
    attend_tile<Cache>(args, state, index, row_count, key);
  }
}

template <typename Cache>
void attention(const AttentionArgs& args) noexcept {
  AttentionState state = attention_state(args);
  const int64_t total = query_count(args);
  for (int64_t index = 0; index < total; index += kQueryTile) {
    const int64_t row_count = total - index < kQueryTile ? total - index : kQueryTile;
    load_queries(args, state, index, row_count);
    if (args.partials != nullptr) {
      for (int64_t range = args.range_begin; range < args.range_end; ++range) {
        const RangeRows rows = partial_rows(args, range, index);
        attend_range<Cache>(args, state, rows, index, row_count, range);
      }
      continue;
    }
    const KeySpan oldest = visible_keys(args, query_row(args, index).position);
    const KeySpan newest = visible_keys(args, query_row(args, index + row_count - 1).position);
    const int64_t first = oldest.begin / kAttentionRange;
    attend_range<Cache>(args, state, state.results[0], index, row_count, first);
    for (int64_t range = first + 1; range <= (newest.end - 1) / kAttentionRange; ++range) {
      attend_range<Cache>(args, state, state.results[1], index, row_count, range);
      fold_range(state.results[0], state.results[1], row_count, args.head_dim);
    }
    write_rows(args, state.results[0], index, row_count);
  }
}
