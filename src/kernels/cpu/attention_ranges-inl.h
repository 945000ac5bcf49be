// Results of ranges of keys and their merge in order, the same for every body of attention.
// Included inside the anonymous namespace and target region of an instruction set.
//
// Invariant: the result of a row is the fold over its ranges from the first on. A range of which a
// row sees no key changes no bit, so rows may be merged with others that see more.

// One row of a call: a head of a position.
struct QueryRow {
  int64_t row;  // of the chunk
  int64_t head;
  int64_t position;
};

static inline QueryRow query_row(const AttentionArgs& args, int64_t index) {
  const int64_t row = args.row_begin + index / args.group;
  const int64_t head = (int64_t)args.kv_head * args.group + index % args.group;
  return {row, head, args.context_before + row};
}

// The keys that a row sees.
struct KeySpan {
  int64_t begin;
  int64_t end;
};

static inline KeySpan visible_keys(const AttentionArgs& args, int64_t position) {
  const int64_t begin = position - args.reach_before;
  const int64_t end = position + args.reach_after + 1;
  return {begin > 0 ? begin : 0, end < args.key_count ? end : args.key_count};
}

static inline int64_t query_count(const AttentionArgs& args) {
  return (int64_t)(args.row_end - args.row_begin) * args.group;
}

// Queries of a range: values not yet divided by the sum of their weights. Weights are powers of 2,
// relative to the largest score, which is in these units, too.
struct RangeRows {
  float* values;  // Shape: [queries][padded head_dim]
  float* most;    // Shape: [queries], largest score
  float* sum;     // Shape: [queries], sum of weights
};

static inline RangeRows range_rows(float* floats, int64_t queries, int64_t head_dim) {
  const int64_t width = padded_head_dim(head_dim);
  return {floats, floats + queries * width, floats + queries * (width + 1)};
}

// Queries of a call's partials from `index` on.
static inline RangeRows partial_rows(const AttentionArgs& args, int64_t range, int64_t index) {
  const int64_t queries = query_count(args);
  float* floats =
      args.partials + (range - args.partials_begin) * partial_floats(queries, args.head_dim);
  const RangeRows rows = range_rows(floats, queries, args.head_dim);
  return {
      rows.values + index * padded_head_dim(args.head_dim), rows.most + index, rows.sum + index};
}

static inline float exp2_one(float x) {
  float lanes[kLanes];
  store(lanes, exp2_lanes(set(x)));
  return lanes[0];
}

static inline void fold_range(const RangeRows& total,
                              const RangeRows& next,
                              int64_t queries,
                              int64_t head_dim) {
  const int64_t width = padded_head_dim(head_dim);
  for (int64_t i = 0; i < queries; ++i) {
    const float most = total.most[i] > next.most[i] ? total.most[i] : next.most[i];
    // Why: while every score is -infinity, subtracting it would make NaNs of weights that are 0.
    const float shift = most == -__builtin_inff() ? 0.0f : most;
    const float before = exp2_one(total.most[i] - shift);
    const float here = exp2_one(next.most[i] - shift);
    total.most[i] = most;
    total.sum[i] = __builtin_fmaf(next.sum[i], here, total.sum[i] * before);
    float* values = total.values + i * width;
    for (int64_t d = 0; d < width; d += kLanes) {
      const Vec old = mul(load(values + d), set(before));
      store(values + d, fma(load(next.values + i * width + d), set(here), old));
    }
  }
}

// Divides by the sums and writes the call's rows from `index` on.
static inline void write_rows(const AttentionArgs& args,
                              const RangeRows& rows,
                              int64_t index,
                              int64_t queries) {
  const int64_t width = padded_head_dim(args.head_dim);
  for (int64_t i = 0; i < queries; ++i) {
    const QueryRow at = query_row(args, index + i);
    float* out = args.out + at.row * args.out_stride + at.head * args.head_dim;
    float sum = rows.sum[i];
    if (args.sinks != nullptr) {
      sum += exp2_one(args.sinks[at.head] * 1.44269504f - rows.most[i]);
    }
    const Vec factor = set(1.0f / sum);
    for (int64_t d = 0; d < args.head_dim; d += kLanes) {
      // Why add zero: keys that a row does not see could have turned a -0 into 0.
      const Vec quotient = fma(load(rows.values + i * width + d), factor, zero());
      store_some(out + d, quotient, part(d, args.head_dim));
    }
  }
}

void attention_merge(const AttentionArgs& args) noexcept {
  const int64_t queries = query_count(args);
  const int64_t keys = visible_keys(args, query_row(args, queries - 1).position).end;
  const RangeRows total = partial_rows(args, args.partials_begin, 0);
  for (int64_t range = args.partials_begin + 1; range <= (keys - 1) / kAttentionRange; ++range) {
    fold_range(total, partial_rows(args, range, 0), queries, args.head_dim);
  }
  write_rows(args, total, 0, queries);
}
