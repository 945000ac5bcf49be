// Attention of up to 8 queries on AMX tiles: decode, where reading keys and values is the
// work. Scores are keys by 8 queries, so that a vector holds two keys; weights are brought to
// queries by keys, so that values need no transposition, only pairs of keys side by side. Included
// after amx_attention-inl.h.
//
// Invariant: the bits are those of the wide kernel. Products, their order, and the even and the odd
// sum of weights are the same; the operands of a product change places.

constexpr int64_t kNarrow = 8;  // queries

// Tiles: 0 and 1 scores, 2 queries, 3 and 7 keys or values, 4 weights, 5 and 6 outputs.
constexpr TileConfig kNarrowTiles = {
    1, 0, {}, {32, 32, 32, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 8, 8, 8, 16}};

static inline Vec both_halves(Vec v) { return _mm512_shuffle_f32x4(v, v, 0x44); }
static inline Vec swap_halves(Vec v) { return _mm512_shuffle_f32x4(v, v, 0x4e); }

// Where dimension d is in a row of narrow outputs.
static inline int64_t narrow_column(int64_t d) {
  return d / kStepK * kStepK + pair_column(d % kStepK);
}

// Writes a part of the values of a pair of keys side by side. Shape: as pair_values has it.
template <int part>
static inline void store_value_pairs(__m512i a, __m512i b, F16* to) {
  _mm512_storeu_si512(to, value_pairs<part>(a, b, 0));
  _mm512_storeu_si512(to + kTileElements, value_pairs<part>(a, b, 1));
}

// Values [begin, end) of the keys as pairs of keys by dimensions, to whole steps filled with zeros.
// Shape: [part][step][head_dim / 16][16 pairs][16 dimensions][2]
template <typename Cache>
void pair_values(const AttentionArgs& args, TileAttention& s, int64_t begin, int64_t end) {
  F16* values = s.values;
  __m512h broken = _mm512_setzero_ph();  // 0 times what is not finite is NaN
  for (int64_t key = begin; key < end; key += kStepK, values += kStepK * s.head_dim) {
    for (int64_t i = 0; i < kTile; ++i) {
      const int64_t at = key + 2 * i;
      F16* room = s.value_rows;
      const F16* first =
          at < end ? value_row<Cache>(args, s.cache_rows[at - begin], room) : nullptr;
      const F16* second =
          at + 1 < end ? value_row<Cache>(args, s.cache_rows[at + 1 - begin], room + s.head_dim)
                       : nullptr;
      F16* to = values + i * kStepK;
      for (int64_t d = 0; d < s.head_dim; d += kStepK, to += 2 * kTileElements) {
        const __m512i a = load_halves(first == nullptr ? nullptr : first + d);
        const __m512i b = load_halves(second == nullptr ? nullptr : second + d);
        broken = _mm512_fmadd_ph((__m512h)a, _mm512_setzero_ph(), broken);
        broken = _mm512_fmadd_ph((__m512h)b, _mm512_setzero_ph(), broken);
        store_value_pairs<0>(a, b, to);
        if constexpr (kCacheParts == 2) store_value_pairs<1>(a, b, to + cache_part_size(s));
      }
    }
  }
  drop_broken(s, broken, values - s.values);
}

template <int parts>
static inline void score_narrow(const TileAttention& s, int64_t step_count) {
  const int64_t row_bytes = s.head_dim * (int64_t)sizeof(F16);
  float* scores = s.scores;
  for (int64_t step = 0; step < step_count; ++step, scores += kStepK * kNarrow) {
    const F16* first = s.key_tiles[2 * step];
    const F16* second = s.key_tiles[2 * step + 1];
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t d = 0; d < s.head_dim; d += kStepK) {
      INFERNEO_UNROLL
      for (int part = 0; part < parts + kCacheParts - 1; ++part) {
        const int64_t keys = key_plane<parts>(s, part) + d;
        const bool is_new = part != 1 || parts == 1 || s.finite_keys != 0;
        if (is_new) _tile_loadd(3, first + keys, row_bytes);
        _tile_loadd(2, (part == 1 && parts == 2 ? s.q_rest : s.q) + d * kTile, 64);
        tile_product<0, 3, 2>();
        if (is_new) _tile_loadd(7, second + keys, row_bytes);
        tile_product<1, 7, 2>();
      }
    }
    _tile_stored(0, scores, 32);
    _tile_stored(1, scores + kTile * kNarrow, 32);
  }
}

// Scores of two keys, with their scales.
template <bool has_scales>
inline Vec narrow_scores(const TileAttention& s, int64_t key) {
  const Vec score = load(s.scores + key * kNarrow);
  if constexpr (!has_scales) return score;
  const __m256 second = _mm256_set1_ps(s.k_scales[key + 1]);
  return mul(score, _mm512_insertf32x8(set(s.k_scales[key]), second, 1));
}

// Writes the weights of 32 keys, pairs[i] for keys 2 i and 2 i + 1, as 8 queries by 32 keys.
static inline void store_narrow_weights(const __m256i (&pairs)[kTile], F16* weights) {
  const __m512i order = _mm512_set_epi16(31,
                                         23,
                                         30,
                                         22,
                                         29,
                                         21,
                                         28,
                                         20,
                                         27,
                                         19,
                                         26,
                                         18,
                                         25,
                                         17,
                                         24,
                                         16,
                                         15,
                                         7,
                                         14,
                                         6,
                                         13,
                                         5,
                                         12,
                                         4,
                                         11,
                                         3,
                                         10,
                                         2,
                                         9,
                                         1,
                                         8,
                                         0);
  Vec rows[kNarrow];  // pairs i and i + 4, quarters of 4 queries each
  INFERNEO_UNROLL
  for (int i = 0; i < kNarrow; ++i) {
    const int pair = i / 4 * 8 + i % 4;
    const __m512i halves =
        _mm512_inserti64x4(_mm512_castsi256_si512(pairs[pair]), pairs[pair + 4], 1);
    rows[i] = _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
  }
  Vec columns[kNarrow];  // of query c and c + 4 in turn, four pairs to a quarter
  INFERNEO_UNROLL
  for (int g = 0; g < kNarrow; g += 4) {
    const Vec t0 = _mm512_unpacklo_ps(rows[g], rows[g + 1]);
    const Vec t1 = _mm512_unpackhi_ps(rows[g], rows[g + 1]);
    const Vec t2 = _mm512_unpacklo_ps(rows[g + 2], rows[g + 3]);
    const Vec t3 = _mm512_unpackhi_ps(rows[g + 2], rows[g + 3]);
    columns[g] = _mm512_shuffle_ps(t0, t2, 0x44);
    columns[g + 1] = _mm512_shuffle_ps(t0, t2, 0xee);
    columns[g + 2] = _mm512_shuffle_ps(t1, t3, 0x44);
    columns[g + 3] = _mm512_shuffle_ps(t1, t3, 0xee);
  }
  INFERNEO_UNROLL
  for (int c = 0; c < 4; ++c) {
    store((float*)(weights + c * kStepK), _mm512_shuffle_f32x4(columns[c], columns[4 + c], 0x88));
    store((float*)(weights + (4 + c) * kStepK),
          _mm512_shuffle_f32x4(columns[c], columns[4 + c], 0xdd));
  }
}

// As adjust_tile, for two keys to a vector.
template <bool has_scales>
void adjust_narrow(const TileAttention& s, int64_t key_begin, int64_t key_count) {
  const Vec own = _mm512_set_ps(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const Vec unscale = both_halves(load(s.unscale));
  const Vec slope = both_halves(load(s.slope));
  const Vec offset = both_halves(load(s.offset));
  for (int64_t key = 0; key < key_count; key += 2) {
    Vec score = mul(narrow_scores<has_scales>(s, key), unscale);
    if (s.soft_cap != 0) score = mul(tanh_lanes(score), set(s.soft_cap));
    if (s.has_slopes) {
      score = add(score, fma(add(set((float)(key_begin + key)), own), slope, offset));
    }
    store(s.scores + key * kNarrow, score);
  }
}

// As soften_tile, for two keys to a vector.
template <Mask mask, bool has_scales, int parts>
void soften_narrow(
    TileAttention& s, bool is_started, int64_t key_begin, int64_t key_count, bool is_adjusted) {
  const Vec lowest = set(-__builtin_inff());
  const __m512i own = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i begin = _mm512_add_epi32(own, _mm512_set1_epi32((int)key_begin));
  const auto from_begin = [&](const int32_t* keys) {
    return _mm512_sub_epi32(_mm512_castps_si512(both_halves(load((const float*)keys))), begin);
  };
  const Seen seen = {from_begin(s.first), from_begin(s.visible)};
  const auto sees = [&](int64_t key) { return sees_key<mask>(seen, key); };
  Vec mosts[2] = {lowest, lowest};
  for (int64_t key = 0; key < key_count; key += 4) {
    INFERNEO_UNROLL
    for (int i = 0; i < 2; ++i) {
      const Vec score = narrow_scores<has_scales>(s, key + 2 * i);
      mosts[i] = _mm512_mask_max_ps(mosts[i], sees(key + 2 * i), mosts[i], score);
    }
  }
  const Vec unscale = is_adjusted ? set(1.0f) : both_halves(load(s.unscale));
  const Vec before = both_halves(load(s.most));
  const Vec largest = max(mosts[0], mosts[1]);
  const Vec most = max(before, mul(max(largest, swap_halves(largest)), unscale));
  const __mmask16 has_none = _mm512_cmp_ps_mask(most, lowest, _CMP_EQ_OQ);
  const Vec shift = _mm512_mask_blend_ps(has_none, most, zero());
  Vec sum = zero();
  for (int64_t key = 0; key < key_count; key += kStepK) {
    __m256i pairs[kTile];
    __m256i rests[kTile];
    INFERNEO_UNROLL
    for (int i = 0; i < kTile; ++i) {
      const Vec score = narrow_scores<has_scales>(s, key + 2 * i);
      const Vec x = _mm512_fmsub_ps(score, unscale, shift);
      const Vec weight = exp2_weight(x, sees(key + 2 * i));
      sum = add(sum, weight);
      pairs[i] = to_part<0>(weight);
      if constexpr (parts == 2) rests[i] = to_part<1>(weight);
    }
    store_narrow_weights(pairs, s.weights + key * kNarrow);
    if constexpr (parts == 2) store_narrow_weights(rests, s.weights_rest + key * kNarrow);
  }
  const Vec rescale = exp2_wide(sub(before, shift));
  store(s.most, most);
  store(s.sum, fma(both_halves(load(s.sum)), rescale, add(sum, swap_halves(sum))));
  if (!is_started || _mm512_cmp_ps_mask(before, most, _CMP_NEQ_UQ) == 0) return;
  float factors[kLanes];
  store(factors, rescale);
  for (int64_t row = 0; row < kNarrow * s.head_dim / kTile; ++row) {
    store(s.out + row * kTile, mul(load(s.out + row * kTile), set(factors[row % kNarrow])));
  }
}

// out += weights * values. Shape of out: [head_dim / 16][8 queries][16 columns]
template <int parts>
static inline void weigh_narrow(const TileAttention& s, bool is_started, int64_t step_count) {
  constexpr int64_t kOutTile = kNarrow * kTile;
  float* out = s.out;
  for (int64_t d = 0; d < s.head_dim; d += kStepK, out += 2 * kOutTile) {
    if (is_started) {
      _tile_loadd(5, out, 64);
      _tile_loadd(6, out + kOutTile, 64);
    } else {
      _tile_zero(5);
      _tile_zero(6);
    }
    const F16* values = s.values + d * kStepK;
    for (int64_t step = 0; step < step_count; ++step, values += s.head_dim * kStepK) {
      INFERNEO_UNROLL
      for (int part = 0; part < parts + kCacheParts - 1; ++part) {
        const F16* weights = part == 1 && parts == 2 ? s.weights_rest : s.weights;
        const F16* own = values + (part < parts ? 0 : cache_part_size(s));
        _tile_loadd(4, weights + step * kNarrow * kStepK, 64);
        if (part == 0 || part == parts) _tile_loadd(3, own, 64);
        tile_product<5, 4, 3>();
        if (part == 0 || part == parts) _tile_loadd(7, own + kTileElements, 64);
        tile_product<6, 4, 7>();
      }
    }
    _tile_stored(5, out, 64);
    _tile_stored(6, out + kOutTile, 64);
  }
}

// Adds values that are not finite to the outputs of the queries that see them.
template <typename Cache>
void add_broken_narrow(const AttentionArgs& args,
                       const TileAttention& s,
                       int64_t key_begin,
                       int64_t key_end) {
  for (int64_t key = key_begin; key < key_end; ++key) {
    const F16* row = value_row<Cache>(args, s.cache_rows[key - key_begin], s.value_rows);
    for (int64_t d = 0; d < s.head_dim; ++d) {
      if (!is_broken(row[d])) continue;
      const float value = _mm512_cvtss_f32(_mm512_cvtph_ps(_mm256_set1_epi16((short)row[d])));
      const int64_t column = narrow_column(d);
      for (int64_t q = 0; q < kNarrow; ++q) {
        float* out = s.out + (column / kTile * kNarrow + q) * kTile + column % kTile;
        if (s.visible[q] > key && s.first[q] <= key) *out += value;
      }
    }
  }
}

static inline void write_narrow_range(const TileAttention& s,
                                      bool is_started,
                                      const RangeRows& rows,
                                      int64_t count) {
  const int64_t width = padded_head_dim(s.head_dim);
  for (int64_t q = 0; q < count; ++q) {
    for (int64_t d = 0; d < s.head_dim; d += kStepK) {
      const float* out = s.out + (d / kTile * kNarrow + q) * kTile;
      const Vec unscale = set(kWeightUnscale);
      Vec a = is_started ? mul(load(out), unscale) : zero();
      Vec b = is_started ? mul(load(out + kNarrow * kTile), unscale) : zero();
      order_columns(a, b);
      store(rows.values + q * width + d, a);
      store(rows.values + q * width + d + kTile, b);
    }
  }
  store_some(rows.most, load(s.most), (int)count);
  store_some(rows.sum, mul(load(s.sum), set(kWeightUnscale)), (int)count);
}

// Scores to weights, with what has to be masked.
template <Mask mask, typename Cache, int parts>
void soften_narrow_masked(TileAttention& s, bool is_started, int64_t key_begin, int64_t key_count) {
  if (s.soft_cap != 0 || s.has_slopes) {
    adjust_narrow<Cache::kHasScales>(s, key_begin, key_count);
    soften_narrow<mask, false, parts>(s, is_started, key_begin, key_count, true);
  } else {
    soften_narrow<mask, Cache::kHasScales, parts>(s, is_started, key_begin, key_count, false);
  }
}

// The keys of one range for all queries of the call, into `rows`.
template <typename Cache, int parts>
void attend_narrow_range(const AttentionArgs& args,
                         TileAttention& s,
                         const RangeRows& rows,
                         int64_t count,
                         int64_t range) {
  store(s.most, set(-__builtin_inff()));
  store(s.sum, zero());
  bool is_started = false;
  const int64_t end = at_most(s.visible[count - 1], (range + 1) * kAttentionRange);
  for (int64_t key = first_chunk(s, range); key < end; key += kTileKeys) {
    const int64_t key_end = at_most(end, key + kTileKeys);
    const int64_t step_count = (key_end - key + kStepK - 1) / kStepK;
    const int64_t key_count = step_count * kStepK;
    find_keys<Cache>(args, s, key, key_end);
    pair_values<Cache>(args, s, key, key_end);
    tile_memory_fence();
    score_narrow<parts>(s, step_count);
    tile_memory_fence();
    if (s.first[kNarrow - 1] > key) {
      soften_narrow_masked<Mask::kBoth, Cache, parts>(s, is_started, key, key_count);
    } else if (s.visible[0] < key + key_count) {
      soften_narrow_masked<Mask::kEnd, Cache, parts>(s, is_started, key, key_count);
    } else {
      soften_narrow_masked<Mask::kNone, Cache, parts>(s, is_started, key, key_count);
    }
    tile_memory_fence();
    weigh_narrow<parts>(s, is_started, step_count);
    tile_memory_fence();
    is_started = true;
    if (s.has_broken_values) add_broken_narrow<Cache>(args, s, key, key_end);
  }
  write_narrow_range(s, is_started, rows, count);
}

// Attends all ranges of `count` queries, or the ranges that partials take, by attend(rows, range).
template <typename Attend>
void attend_ranges(const AttentionArgs& args,
                   TileAttention& s,
                   int64_t index,
                   int64_t count,
                   const Attend& attend) {
  if (args.partials != nullptr) {
    for (int64_t range = args.range_begin; range < args.range_end; ++range) {
      attend(partial_rows(args, range, index), range);
    }
    return;
  }
  const int64_t first = s.first[0] / kAttentionRange;
  attend(s.results[0], first);
  for (int64_t range = first + 1; range <= (s.visible[count - 1] - 1) / kAttentionRange; ++range) {
    attend(s.results[1], range);
    fold_range(s.results[0], s.results[1], count, s.head_dim);
  }
  write_rows(args, s.results[0], index, count);
}

template <typename Cache, int parts>
void amx_attention(const AttentionArgs& args) noexcept {
  if (!fits_tiles(args.head_dim)) {
    attention<Cache>(args);
    return;
  }
  TileAttention s = tile_attention(args);
  const int64_t total = query_count(args);
  const bool is_narrow = total <= kNarrow;
  _tile_loadconfig(is_narrow ? &kNarrowTiles : &kTileConfig);
  for (int64_t index = 0; index < total; index += kTileQueries) {
    const int64_t count = at_most(total - index, kTileQueries);
    pack_queries<parts>(args, s, index, count);
    attend_ranges(args, s, index, count, [&](const RangeRows& rows, int64_t range) {
      if (is_narrow) {
        attend_narrow_range<Cache, parts>(args, s, rows, count, range);
      } else {
        attend_tile_range<Cache, parts>(args, s, rows, count, range);
      }
    });
  }
  _tile_release();
}
