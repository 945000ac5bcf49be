// Attention over f16 and int8 keys and values on AMX tiles. Keys are the first operand of the
// scores, where the tiles are f16 as they lie in the cache: 16 slots by 32 dimensions. Queries are
// the second, packed once to pairs of dimensions by 16 queries. Scores come as keys by queries, so
// that the softmax needs no sum or maximum across lanes; its weights go to pairs of keys by 16
// queries. Values are transposed once for all queries of a call, and outputs hold dimensions by
// queries until they leave. Included after the generic bodies, inside the region of the table.
//
// Invariant: a query sees the keys of a range in chunks that begin at multiples of kTileKeys, in
// order. A score is one sum over steps of 32 dimensions, an output one over steps of 32 keys. Keys
// that a query does not see weigh 0, and a step of them changes no bit: values that are not finite
// take part as zeros, and are added to the outputs of the queries that see them. So keys that no
// query of a call sees may be read with the chunk that they are part of.
//
// int8 codes are exact as f16. Scores take the scales of the keys; values are scaled, and so
// rounded, before they are transposed.
//
// Queries and weights become halves, those of the tiles, or, with two parts, the sum of two: what
// the first leaves is the second. Keys and values have kCacheParts parts. A product then
// adds part by part at each step, but for those of two second parts, which are too small to matter.

constexpr int64_t kTileSteps = kTileKeys / kStepK;
constexpr int64_t kPairQueries = 2 * kTile;
// Parts of keys, and the first once more without what is not finite: a second part may be 0.
constexpr int64_t kKeyPlanes = kCacheParts == 1 ? 1 : 3;

// Scratch of a call, cut into its parts.
struct TileAttention {
  F16* q;                // Shape: [tile][head_dim / 32][16 pairs][16 queries][2], scaled
  float* out;            // Shape: [tile][head_dim][16 queries], of the range at hand
  float* unscale;        // Shape: [query], powers of two that scores still have to be multiplied by
  float* slope;          // Shape: [query], what is added to a score for each key
  float* offset;         // Shape: [query], the same of key 0
  float* most;           // Shape: [query], largest score so far
  float* sum;            // Shape: [query], sum of weights so far
  int32_t* first;        // Shape: [query], the first key that it sees
  int32_t* visible;      // Shape: [query], the key behind the last
  float* scores;         // Shape: [2][kTileKeys][16 queries]
  F16* weights;          // Shape: [2][kTileKeys / 2][16 queries][2]
  F16* values;           // Shape: [part][kTileSteps][head_dim][32 keys]
  F16* keys;             // Shape: [plane][kTileKeys][head_dim], of what is no tile in the cache
  float* k_scales;       // Shape: [kTileKeys], of caches with scales
  F16* value_rows;       // Shape: [32][head_dim], values of a step widened to f16
  RangeRows results[2];  // of the ranges before, and of the one at hand
  F16* q_rest;           // as q: what is left of it
  F16* weights_rest;     // as weights
  int64_t cache_rows[kTileKeys];  // of the chunk's keys
  const F16* key_tiles[kTileKeys / kTile];
  int64_t finite_keys;  // halves from the chunk's keys to those that second parts multiply
  int64_t head_dim;
  float soft_cap;  // in units of scores, 0 for none
  bool has_slopes;
  bool has_broken_values;                 // some value of the chunk is not finite
  bool is_started[kTileQueries / kTile];  // out holds a sum
};

static inline TileAttention tile_attention(const AttentionArgs& args) {
  TileAttention s = {};
  const int64_t d = args.head_dim;
  s.head_dim = d;
  float* next = (float*)(((uintptr_t)args.scratch + 63) & ~(uintptr_t)63);
  const auto take = [&next](int64_t floats) {
    float* here = next;
    next += floats;
    return here;
  };
  s.q = (F16*)take(kTileQueries * d / 2);
  s.out = take(kTileQueries * d);
  s.unscale = take(kTileQueries);
  s.slope = take(kTileQueries);
  s.offset = take(kTileQueries);
  s.most = take(kTileQueries);
  s.sum = take(kTileQueries);
  s.first = (int32_t*)take(kTileQueries);
  s.visible = (int32_t*)take(kTileQueries);
  s.scores = take(2 * kTileKeys * kTile);
  s.weights = (F16*)take(kTileKeys * kTile);
  s.values = (F16*)take(kTileKeys * d / 2 * kCacheParts);
  s.keys = (F16*)take(kTileKeys * d / 2 * kKeyPlanes);
  s.k_scales = take(kTileKeys);
  s.value_rows = (F16*)take(kStepK * d / 2);
  for (RangeRows& rows : s.results) {
    rows = range_rows(take(partial_floats(kTileQueries, d)), kTileQueries, d);
  }
  s.q_rest = (F16*)take(kTileQueries * d / 2);
  s.weights_rest = (F16*)take(kTileKeys * kTile);
  s.soft_cap = args.soft_cap * 1.44269504f;
  s.has_slopes = args.slopes != nullptr;
  return s;
}

// 2^x times 2^shift, within a relative error of 1e-7 (1 exactly at x = 0); 0 at -infinity.
// Method: 2^floor(x) * p(x - floor(x)), a polynomial fitted for the smallest relative error.
static inline Vec exp2_wide(Vec x) {
  const Vec r = _mm512_reduce_ps(x, 0x09);
  Vec p = fma(r, set(1.8671302e-3f), set(9.0170298e-3f));
  p = fma(r, p, set(5.5799913e-2f));
  p = fma(r, p, set(0.24016444f));
  p = fma(r, p, set(0.6931513f));
  p = fma(r, p, set(1.0f));
  return _mm512_scalef_ps(p, x);
}

// Weights are 2^15 times too large until they are divided by their sum, which is so too: as f16
// they then keep their precision down to 2^-29 of the largest.
// Bound: relative error 3e-6; rounding to f16 adds 5e-4.
constexpr float kWeightScale = 32768.0f;
static inline Vec exp2_weight(Vec x, __mmask16 mask) {
  const Vec r = _mm512_reduce_ps(x, 0x09);
  Vec p = fma(r, set(0.013426686f * kWeightScale), set(0.052242473f * kWeightScale));
  p = fma(r, p, set(0.24128021f * kWeightScale));
  p = fma(r, p, set(0.69304484f * kWeightScale));
  p = fma(r, p, set(kWeightScale));
  return _mm512_maskz_scalef_ps(mask, p, x);
}

// The exponent of the power of two that brings a row's largest element into the middle of the range
// of f16, 0 when it need not be moved or is not finite.
static inline float row_exponent(const float* q, int64_t head_dim, float factor) {
  Vec most = zero();
  for (int64_t d = 0; d < head_dim; d += kLanes) most = max(most, _mm512_abs_ps(load(q + d)));
  const float largest = reduce_max(most) * factor;
  const bool is_finite = largest < __builtin_inff();
  if (!is_finite || largest == 0 || (largest >= 0x1p-7f && largest <= 0x1p15f)) return 0;
  const int exponent = 13 - ilogbf(largest);
  return (float)(exponent < 100 ? exponent : 100);
}

// Packs a part of the queries of a tile, null where there is none. Shape: to [head_dim / 32][16
// pairs][16 queries][2]
template <int part>
static inline void pack_query_part(
    const float* const* rows, const Vec* exponents, float factor, int64_t head_dim, F16* to) {
  for (int64_t d = 0; d < head_dim; d += kStepK) {
    Vec pairs[kTile];
    for (int64_t i = 0; i < kTile; ++i) {
      if (rows[i] == nullptr) {
        pairs[i] = zero();
        continue;
      }
      const Vec a = _mm512_scalef_ps(mul(load(rows[i] + d), set(factor)), exponents[i]);
      const Vec b = _mm512_scalef_ps(mul(load(rows[i] + d + kLanes), set(factor)), exponents[i]);
      pairs[i] = _mm512_castsi512_ps(query_part<part>(a, b));
    }
    transpose(pairs);
    for (int i = 0; i < kTile; ++i) store((float*)(to + d * kTile) + i * kTile, pairs[i]);
  }
}

// Packs queries [index, index + count) of the call.
template <int parts>
static inline void pack_queries(const AttentionArgs& args,
                                const TileAttention& s,
                                int64_t index,
                                int64_t count) {
  // Scores are exponents of 2; under a soft cap, first what its tanh takes.
  const float factor = args.soft_cap != 0 ? args.scale / args.soft_cap : args.scale * 1.44269504f;
  for (int64_t tile = 0; tile * kTile < count; ++tile) {
    const float* rows[kTile];
    Vec exponents[kTile];
    for (int64_t i = 0; i < kTile; ++i) {
      const int64_t query = tile * kTile + i;
      const QueryRow at = query_row(args, index + (query < count ? query : count - 1));
      rows[i] = query < count ? args.q + at.row * args.q_stride + at.head * s.head_dim : nullptr;
      const float exponent = query < count ? row_exponent(rows[i], s.head_dim, factor) : 0;
      exponents[i] = set(exponent);
      s.unscale[query] = _mm512_cvtss_f32(_mm512_scalef_ps(set(1.0f), set(-exponent)));
      const KeySpan seen = visible_keys(args, at.position);
      s.first[query] = (int32_t)seen.begin;
      s.visible[query] = (int32_t)seen.end;
      s.slope[query] = s.has_slopes ? args.slopes[at.head] * 1.44269504f : 0;
      s.offset[query] = s.slope[query] * -(float)at.position;
    }
    const int64_t at = tile * s.head_dim * kTile;
    pack_query_part<0>(rows, exponents, factor, s.head_dim, s.q + at);
    if constexpr (parts == 2) {
      pack_query_part<1>(rows, exponents, factor, s.head_dim, s.q_rest + at);
    }
  }
}

static inline __m512i load_halves(const F16* p) {
  return p == nullptr ? _mm512_setzero_si512() : _mm512_loadu_si512(p);
}

// Transposes 32 keys by 32 dimensions of a part of values. Element i of rows is null where there is
// no key.
template <int part>
static inline void transpose_values(const F16* const* rows, int64_t d, F16* values) {
  for (int half = 0; half < 2; ++half) {
    Vec pairs[kTile];
    INFERNEO_UNROLL
    for (int i = 0; i < kTile; ++i) {
      const F16* even = rows[2 * i];
      const F16* odd = rows[2 * i + 1];
      const __m512i a = load_halves(even == nullptr ? nullptr : even + d);
      const __m512i b = load_halves(odd == nullptr ? nullptr : odd + d);
      pairs[i] = _mm512_castsi512_ps(value_pairs<part>(a, b, half));
    }
    transpose(pairs);
    INFERNEO_UNROLL
    for (int i = 0; i < kTile; ++i) {
      store((float*)(values + (d + pair_dimension(half, i)) * kStepK), pairs[i]);
    }
  }
}

static inline bool is_broken(F16 value) { return (value & 0x7c00) == 0x7c00; }

static inline bool has_nan(__m512h v) { return _mm512_cmp_ph_mask(v, v, _CMP_UNORD_Q) != 0; }

// Halves from one part of the chunk's keys or values to the next.
static inline int64_t cache_part_size(const TileAttention& s) { return kTileKeys * s.head_dim; }

// Makes zeros of packed values that are not finite, if there are any: then `found` holds a NaN.
// `count`: of values in each part.
static inline void drop_broken(TileAttention& s, __m512h found, int64_t count) {
  s.has_broken_values = has_nan(found);
  if (!s.has_broken_values) return;
  for (int part = 0; part < kCacheParts; ++part) {
    F16* values = s.values + part * cache_part_size(s);
    for (int64_t i = 0; i < count; ++i) {
      if (is_broken_half(values[i])) values[i] = 0;
    }
  }
}

static inline __m512h widen_codes(const int8_t* codes) {
  return _mm512_cvtepi16_ph(_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)codes)));
}

// A row of values of the cache as f16: where it lies, or in `room`.
template <typename Cache>
inline const F16* value_row(const AttentionArgs& args, int64_t index, F16* room) {
  const typename Cache::T* row = cache_row<Cache>(args, args.v_cache, index);
  if constexpr (Cache::kHasScales) {
    // Why in two factors: the scale itself may be beyond the range of f16, or lose digits there.
    int exponent = 0;
    const float fraction = frexpf(args.v_scales[index], &exponent);
    const __m512h factor = _mm512_set1_ph((_Float16)fraction);
    const __m512h power = _mm512_set1_ph((_Float16)exponent);
    for (int64_t d = 0; d < args.head_dim; d += kStepK) {
      const __m512h value = _mm512_mul_ph(widen_codes(row + d), factor);
      _mm512_storeu_ph(room + d, _mm512_scalef_ph(value, power));
    }
    return room;
  } else {
    return row;
  }
}

// Values [begin, end) of the keys, to whole steps filled with zeros.
template <typename Cache>
void pack_values(const AttentionArgs& args, TileAttention& s, int64_t begin, int64_t end) {
  F16* values = s.values;
  __m512h broken = _mm512_setzero_ph();  // 0 times what is not finite is NaN
  for (int64_t key = begin; key < end; key += kStepK, values += kStepK * s.head_dim) {
    const F16* rows[kStepK];
    for (int64_t i = 0; i < kStepK; ++i) {
      rows[i] = nullptr;
      if (key + i >= end) continue;
      rows[i] =
          value_row<Cache>(args, s.cache_rows[key - begin + i], s.value_rows + i * s.head_dim);
      for (int64_t d = 0; d < s.head_dim; d += kStepK) {
        const __m512h value = _mm512_loadu_ph(rows[i] + d);
        broken = _mm512_fmadd_ph(value, _mm512_setzero_ph(), broken);
      }
    }
    for (int64_t d = 0; d < s.head_dim; d += kStepK) {
      transpose_values<0>(rows, d, values);
      if constexpr (kCacheParts == 2) transpose_values<1>(rows, d, values + cache_part_size(s));
    }
  }
  drop_broken(s, broken, values - s.values);
}

// Writes the parts of a key. `broken` becomes NaN where one of its elements is not finite.
template <typename Cache>
inline void copy_key(
    const AttentionArgs& args, const TileAttention& s, int64_t index, F16* to, __m512h& broken) {
  const typename Cache::T* row = cache_row<Cache>(args, args.k_cache, index);
  for (int64_t d = 0; d < args.head_dim; d += kStepK) {
    __m512i halves;
    if constexpr (Cache::kHasScales) {
      halves = (__m512i)widen_codes(row + d);
    } else {
      halves = _mm512_loadu_si512(row + d);
    }
    _mm512_storeu_si512(to + d, key_part<0>(halves));
    if constexpr (kCacheParts == 2) {
      _mm512_storeu_si512(to + cache_part_size(s) + d, key_part<1>(halves));
      broken = _mm512_fmadd_ph((__m512h)halves, _mm512_setzero_ph(), broken);
    }
  }
}

// Where keys of the chunk are not finite, their second part is 0, and second parts of queries,
// which may be 0, multiply 0 instead. If there are any, `found` holds a NaN.
static inline void part_broken_keys(TileAttention& s, __m512h found, int64_t key_count) {
  const F16* const first = s.keys;
  F16* const second = s.keys + cache_part_size(s);
  F16* const finite = s.keys + 2 * cache_part_size(s);
  s.finite_keys = has_nan(found) ? finite - first : 0;
  if (s.finite_keys == 0) return;
  for (int64_t i = 0; i < key_count * s.head_dim; ++i) {
    const bool is_broken_key = is_broken_half(first[i]);
    if (is_broken_key) second[i] = 0;
    finite[i] = is_broken_key ? 0 : first[i];
  }
}

// Where tiles of 16 keys begin. Slots that hold no key of the sequence are only read.
template <typename Cache>
void find_keys(const AttentionArgs& args, TileAttention& s, int64_t begin, int64_t end) {
  find_rows(args, begin, end - begin, s.cache_rows);
  __m512h broken = _mm512_setzero_ph();
  const bool is_whole = kCacheParts == 1 && !Cache::kHasScales && args.block_size % kTile == 0;
  for (int64_t key = begin; key < begin + kTileKeys; key += kTile) {
    const int64_t tile = (key - begin) / kTile;
    if (key >= end) {
      s.key_tiles[tile] = s.key_tiles[0];
    } else if (is_whole) {
      s.key_tiles[tile] =
          (const F16*)cache_row<Cache>(args, args.k_cache, s.cache_rows[key - begin]);
    } else {
      F16* rows = s.keys + tile * kTile * s.head_dim;
      s.key_tiles[tile] = rows;
      for (int64_t i = 0; i < kTile; ++i, rows += s.head_dim) {
        copy_key<Cache>(args, s, s.cache_rows[at_most(key + i, end - 1) - begin], rows, broken);
      }
    }
  }
  if constexpr (kCacheParts == 2) part_broken_keys(s, broken, end - begin);
  if constexpr (Cache::kHasScales) {
    for (int64_t i = 0; i < kTileKeys; ++i) {
      s.k_scales[i] = begin + i < end ? args.k_scales[s.cache_rows[i]] : 0;
    }
  }
}

// Where the keys are that a product of scores takes.
template <int parts>
static inline int64_t key_plane(const TileAttention& s, int part) {
  if (part == 0) return 0;
  return part < parts ? s.finite_keys : cache_part_size(s);
}

// Scores of `step_count` steps of keys for one or two tiles of queries. Tiles 0 to 3 hold sums, 4
// and 5 keys, 6 and 7 queries.
template <int tiles, int parts>
void score_tiles(const TileAttention& s, int64_t tile, int64_t step_count) {
  const int64_t first_query = tile * kTile * s.head_dim;
  const int64_t second_query = first_query + kTile * s.head_dim;
  const int64_t row_bytes = s.head_dim * (int64_t)sizeof(F16);
  float* scores = s.scores;
  for (int64_t step = 0; step < step_count; ++step, scores += kStepK * kTile) {
    const F16* first = s.key_tiles[2 * step];
    const F16* second = s.key_tiles[2 * step + 1];
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (tiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int64_t d = 0; d < s.head_dim; d += kStepK) {
      INFERNEO_UNROLL
      for (int part = 0; part < parts + kCacheParts - 1; ++part) {
        const F16* queries = (part == 1 && parts == 2 ? s.q_rest : s.q) + d * kTile;
        const int64_t keys = key_plane<parts>(s, part) + d;
        const bool is_new = part != 1 || parts == 1 || s.finite_keys != 0;
        if (is_new) _tile_loadd(4, first + keys, row_bytes);
        _tile_loadd(6, queries + first_query, 64);
        tile_product<0, 4, 6>();
        if (is_new) _tile_loadd(5, second + keys, row_bytes);
        tile_product<1, 5, 6>();
        if constexpr (tiles == 2) {
          _tile_loadd(7, queries + second_query, 64);
          tile_product<2, 4, 7>();
          tile_product<3, 5, 7>();
        }
      }
    }
    _tile_stored(0, scores, 64);
    _tile_stored(1, scores + kTile * kTile, 64);
    if constexpr (tiles == 2) {
      float* other = scores + kTileKeys * kTile;
      _tile_stored(2, other, 64);
      _tile_stored(3, other + kTile * kTile, 64);
    }
  }
}

// Which keys of a chunk the queries of a tile see.
enum class Mask { kNone, kEnd, kBoth };

// The keys of a chunk, counted from its first, between which queries see.
struct Seen {
  __m512i first;
  __m512i visible;
};

template <Mask mask>
static inline __mmask16 sees_key(const Seen& seen, int64_t key) {
  if constexpr (mask == Mask::kNone) return 0xffff;
  const __m512i position = _mm512_set1_epi32((int)key);
  const __mmask16 before_end = _mm512_cmpgt_epi32_mask(seen.visible, position);
  if constexpr (mask == Mask::kEnd) return before_end;
  return _mm512_mask_cmple_epi32_mask(before_end, seen.first, position);
}

// Finishes scores under a soft cap or with slopes, which then need no more factors.
template <bool has_scales>
void adjust_tile(
    const TileAttention& s, int64_t tile, int64_t place, int64_t key_begin, int64_t key_count) {
  float* scores = s.scores + place * kTileKeys * kTile;
  const Vec unscale = load(s.unscale + tile * kTile);
  const Vec slope = load(s.slope + tile * kTile);
  const Vec offset = load(s.offset + tile * kTile);
  for (int64_t key = 0; key < key_count; ++key, scores += kTile) {
    Vec score = load(scores);
    if constexpr (has_scales) score = mul(score, set(s.k_scales[key]));
    score = mul(score, unscale);
    if (s.soft_cap != 0) score = mul(tanh_lanes(score), set(s.soft_cap));
    if (s.has_slopes) score = add(score, fma(set((float)(key_begin + key)), slope, offset));
    store(scores, score);
  }
}

// Largest score of each query among the keys of the chunk that it sees.
template <Mask mask, bool has_scales>
inline Vec largest_scores(const TileAttention& s,
                          const float* scores,
                          const Seen& seen,
                          int64_t key_count) {
  const Vec lowest = set(-__builtin_inff());
  Vec most[4] = {lowest, lowest, lowest, lowest};
  for (int64_t key = 0; key < key_count; key += 4) {
    INFERNEO_UNROLL
    for (int i = 0; i < 4; ++i) {
      Vec score = load(scores + (key + i) * kTile);
      if constexpr (has_scales) score = mul(score, set(s.k_scales[key + i]));
      if constexpr (mask != Mask::kNone) {
        most[i] = _mm512_mask_max_ps(most[i], sees_key<mask>(seen, key + i), most[i], score);
      } else {
        most[i] = max(most[i], score);
      }
    }
  }
  return max(max(most[0], most[1]), max(most[2], most[3]));
}

// Weights of a chunk's keys, those of place `place`, and their sums.
template <Mask mask, bool has_scales, int parts>
inline Vec weigh_scores(const TileAttention& s,
                        const float* scores,
                        const Seen& seen,
                        int64_t key_count,
                        Vec unscale,
                        Vec shift,
                        int64_t place) {
  Vec sums[2] = {zero(), zero()};
  for (int64_t key = 0; key < key_count; key += 2) {
    Vec weight[2];
    INFERNEO_UNROLL
    for (int i = 0; i < 2; ++i) {
      Vec score = load(scores + (key + i) * kTile);
      if constexpr (has_scales) score = mul(score, set(s.k_scales[key + i]));
      weight[i] =
          exp2_weight(_mm512_fmsub_ps(score, unscale, shift), sees_key<mask>(seen, key + i));
      sums[i] = add(sums[i], weight[i]);
    }
    const int64_t at = (place * kTileKeys + key) * kTile;
    // Halves of a pair of keys side by side for each query.
    _mm512_storeu_si512(s.weights + at, pair_part<0>(weight[0], weight[1]));
    if constexpr (parts == 2) {
      _mm512_storeu_si512(s.weights_rest + at, pair_part<1>(weight[0], weight[1]));
    }
  }
  return add(sums[0], sums[1]);
}

// Turns the scores of a tile of queries into weights and rescales what the tile has so far.
template <Mask mask, bool has_scales, int parts>
void soften_tile(TileAttention& s,
                 int64_t tile,
                 int64_t place,
                 int64_t key_begin,
                 int64_t key_count,
                 bool is_adjusted) {
  const float* scores = s.scores + place * kTileKeys * kTile;
  const int64_t query = tile * kTile;
  const __m512i begin = _mm512_set1_epi32((int)key_begin);
  const Seen seen = {_mm512_sub_epi32(_mm512_loadu_si512(s.first + query), begin),
                     _mm512_sub_epi32(_mm512_loadu_si512(s.visible + query), begin)};
  const Vec unscale = is_adjusted ? set(1.0f) : load(s.unscale + query);
  const Vec before = load(s.most + query);
  const Vec here = mul(largest_scores<mask, has_scales>(s, scores, seen, key_count), unscale);
  const Vec most = max(before, here);
  // Why: while every score is -infinity, subtracting it would make NaNs of weights that are 0.
  const Vec lowest = set(-__builtin_inff());
  const __mmask16 has_none = _mm512_cmp_ps_mask(most, lowest, _CMP_EQ_OQ);
  const Vec shift = _mm512_mask_blend_ps(has_none, most, zero());
  const Vec sum =
      weigh_scores<mask, has_scales, parts>(s, scores, seen, key_count, unscale, shift, place);
  const Vec rescale = exp2_wide(sub(before, shift));
  store(s.most + query, most);
  store(s.sum + query, fma(load(s.sum + query), rescale, sum));
  const bool is_changed = _mm512_cmp_ps_mask(before, most, _CMP_NEQ_UQ) != 0;
  if (!s.is_started[tile] || !is_changed) return;
  float* out = s.out + query * s.head_dim;
  for (int64_t d = 0; d < s.head_dim; ++d) {
    store(out + d * kTile, mul(load(out + d * kTile), rescale));
  }
}

// out += values * weights for one or two tiles of queries. Tiles 0 to 3 hold sums, 4 and 5 values,
// 6 and 7 weights.
template <int tiles, int parts>
void weigh_tiles(const TileAttention& s, int64_t tile, int64_t step_count) {
  float* out = s.out + tile * kTile * s.head_dim;
  float* out_second = out + kTile * s.head_dim;
  const int64_t sums = kTile * kTile;
  for (int64_t d = 0; d < s.head_dim; d += 2 * kTile) {
    if (s.is_started[tile]) {
      _tile_loadd(0, out, 64);
      _tile_loadd(1, out + sums, 64);
    } else {
      _tile_zero(0);
      _tile_zero(1);
    }
    if constexpr (tiles == 2) {
      if (s.is_started[tile + 1]) {
        _tile_loadd(2, out_second, 64);
        _tile_loadd(3, out_second + sums, 64);
      } else {
        _tile_zero(2);
        _tile_zero(3);
      }
    }
    const F16* values = s.values + d * kStepK;
    for (int64_t step = 0; step < step_count; ++step, values += s.head_dim * kStepK) {
      INFERNEO_UNROLL
      for (int part = 0; part < parts + kCacheParts - 1; ++part) {
        const F16* weights =
            (part == 1 && parts == 2 ? s.weights_rest : s.weights) + step * kTileElements;
        const F16* own = values + (part < parts ? 0 : cache_part_size(s));
        if (part == 0 || part == parts) _tile_loadd(4, own, 64);
        _tile_loadd(6, weights, 64);
        tile_product<0, 4, 6>();
        if (part == 0 || part == parts) _tile_loadd(5, own + kTileElements, 64);
        tile_product<1, 5, 6>();
        if constexpr (tiles == 2) {
          _tile_loadd(7, weights + kTileKeys * kTile, 64);
          tile_product<2, 4, 7>();
          tile_product<3, 5, 7>();
        }
      }
    }
    _tile_stored(0, out, 64);
    _tile_stored(1, out + sums, 64);
    if constexpr (tiles == 2) {
      _tile_stored(2, out_second, 64);
      _tile_stored(3, out_second + sums, 64);
    }
    out += 2 * sums;
    out_second += 2 * sums;
  }
}

// Adds values that are not finite to the outputs of the queries that see them.
template <typename Cache>
void add_broken_values(const AttentionArgs& args,
                       const TileAttention& s,
                       int64_t tile,
                       int64_t key_begin,
                       int64_t key_end) {
  const Seen seen = {_mm512_loadu_si512(s.first + tile * kTile),
                     _mm512_loadu_si512(s.visible + tile * kTile)};
  for (int64_t key = key_begin; key < key_end; ++key) {
    const F16* row = value_row<Cache>(args, s.cache_rows[key - key_begin], s.value_rows);
    const __mmask16 sees = sees_key<Mask::kBoth>(seen, key);
    for (int64_t d = 0; d < s.head_dim; ++d) {
      if (!is_broken(row[d])) continue;
      float* out = s.out + (tile * s.head_dim + d) * kTile;
      const Vec value = _mm512_cvtph_ps(_mm256_set1_epi16((short)row[d]));
      store(out, _mm512_mask_add_ps(load(out), sees, load(out), value));
    }
  }
}

// Scores of a tile of queries to weights, with what has to be masked.
template <Mask mask, typename Cache, int parts>
void soften_masked(
    TileAttention& s, int64_t tile, int64_t place, int64_t key_begin, int64_t key_count) {
  if (s.soft_cap != 0 || s.has_slopes) {
    adjust_tile<Cache::kHasScales>(s, tile, place, key_begin, key_count);
    soften_tile<mask, false, parts>(s, tile, place, key_begin, key_count, true);
  } else {
    soften_tile<mask, Cache::kHasScales, parts>(s, tile, place, key_begin, key_count, false);
  }
}

template <typename Cache, int parts>
void soften(TileAttention& s, int64_t tile, int64_t place, int64_t key_begin, int64_t key_count) {
  const bool begins_before = s.first[(tile + 1) * kTile - 1] <= key_begin;
  if (!begins_before) {
    soften_masked<Mask::kBoth, Cache, parts>(s, tile, place, key_begin, key_count);
  } else if (s.visible[tile * kTile] < key_begin + key_count) {
    soften_masked<Mask::kEnd, Cache, parts>(s, tile, place, key_begin, key_count);
  } else {
    soften_masked<Mask::kNone, Cache, parts>(s, tile, place, key_begin, key_count);
  }
}

// One chunk of keys for one or two tiles of queries.
template <typename Cache, int tiles, int parts>
void attend_tiles(
    const AttentionArgs& args, TileAttention& s, int64_t tile, int64_t key_begin, int64_t key_end) {
  const int64_t last = s.visible[(tile + tiles) * kTile - 1];
  const int64_t count = (last < key_end ? last : key_end) - key_begin;
  if (count <= 0 || s.first[tile * kTile] >= key_end) return;
  const int64_t step_count = (count + kStepK - 1) / kStepK;
  score_tiles<tiles, parts>(s, tile, step_count);
  tile_memory_fence();
  const int64_t key_count = step_count * kStepK;
  for (int64_t i = 0; i < tiles; ++i) soften<Cache, parts>(s, tile + i, i, key_begin, key_count);
  tile_memory_fence();
  weigh_tiles<tiles, parts>(s, tile, step_count);
  tile_memory_fence();
  for (int64_t i = 0; i < tiles; ++i) {
    s.is_started[tile + i] = true;
    if (s.has_broken_values) add_broken_values<Cache>(args, s, tile + i, key_begin, key_end);
  }
}

// What weights are too large by goes out of a range: sinks, which are added to their sum, and other
// bodies of attention know nothing of it.
constexpr float kWeightUnscale = 1 / kWeightScale;

// Brings the outputs of a range to rows.
static inline void write_range(const TileAttention& s, const RangeRows& rows, int64_t count) {
  const int64_t width = padded_head_dim(s.head_dim);
  for (int64_t query = 0; query < count; query += kTile) {
    const int64_t tile = query / kTile;
    const int64_t row_count = at_most(count - query, kTile);
    for (int64_t d = 0; d < s.head_dim; d += kTile) {
      Vec block[kTile];
      const float* out = s.out + (tile * s.head_dim + d) * kTile;
      INFERNEO_UNROLL
      for (int i = 0; i < kTile; ++i) {
        block[i] = s.is_started[tile] ? mul(load(out + i * kTile), set(kWeightUnscale)) : zero();
      }
      transpose(block);
      float* to = rows.values + query * width + d;
      INFERNEO_UNROLL
      for (int i = 0; i < kTile; ++i) {
        if (i < row_count) store(to + i * width, block[i]);
      }
    }
    store_some(rows.most + query, load(s.most + query), (int)row_count);
    const Vec sum = mul(load(s.sum + query), set(kWeightUnscale));
    store_some(rows.sum + query, sum, (int)row_count);
  }
}

// The first key of a range that chunks have to begin with.
static inline int64_t first_chunk(const TileAttention& s, int64_t range) {
  const int64_t begin = range * kAttentionRange;
  const int64_t seen = s.first[0] / kTileKeys * kTileKeys;
  return seen > begin ? seen : begin;
}

template <typename Cache, int parts>
void attend_tile_range(const AttentionArgs& args,
                       TileAttention& s,
                       const RangeRows& rows,
                       int64_t count,
                       int64_t range) {
  const int64_t tile_count = (count + kTile - 1) / kTile;
  for (int64_t tile = 0; tile < tile_count; ++tile) {
    store(s.most + tile * kTile, set(-__builtin_inff()));
    store(s.sum + tile * kTile, zero());
    s.is_started[tile] = false;
  }
  const int64_t range_end = (range + 1) * kAttentionRange;
  const int64_t end = at_most(s.visible[count - 1], range_end);
  for (int64_t key = first_chunk(s, range); key < end; key += kTileKeys) {
    const int64_t key_end = at_most(end, key + kTileKeys);
    find_keys<Cache>(args, s, key, key_end);
    pack_values<Cache>(args, s, key, key_end);
    tile_memory_fence();
    int64_t tile = 0;
    for (; tile + 2 <= tile_count; tile += 2) {
      attend_tiles<Cache, 2, parts>(args, s, tile, key, key_end);
    }
    if (tile < tile_count) attend_tiles<Cache, 1, parts>(args, s, tile, key, key_end);
  }
  write_range(s, rows, count);
}
