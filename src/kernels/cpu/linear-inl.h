// Linear layers: dot products of activation rows and weight rows, several of each at a time.
// Included inside the anonymous namespace and target region of an instruction set, which defines
// before: Vec, kLanes, zero, reduce_add4, kTileRows, and the operand types below.
//
// An Operands type names the element types X and W, the elements per step kStep, loads of a step
// (load_x, load_w) and of a shorter last one filled with zeros (load_x_part, load_w_part), and
// dot(sum, x, w), which adds the products of a step to the lanes of sum.
//
// Invariant: y[m][n] is the sum over blocks of kBlock elements, in order; each block is summed by
// one vector over its steps, in order, then over its lanes by the tree of reduce_add4. Nothing in
// this depends on the tile, so tiles of any shape give the same bits.

// Sums of a tile of `rows` x `columns` outputs over one block of k.
template <typename Operands, int rows, int columns>
inline void dot_tile(const typename Operands::X* x,
                     int64_t x_stride,
                     const typename Operands::W* w,
                     int64_t w_stride,
                     int64_t k,
                     float* sums) {
  Vec acc[rows][columns];
  INFERNEO_UNROLL
  for (int m = 0; m < rows; ++m) {
    INFERNEO_UNROLL
    for (int n = 0; n < columns; ++n) acc[m][n] = zero();
  }
  int64_t i = 0;
  for (; i + Operands::kStep <= k; i += Operands::kStep) {
    typename Operands::WStep ws[columns];
    INFERNEO_UNROLL
    for (int n = 0; n < columns; ++n) ws[n] = Operands::load_w(w + n * w_stride + i);
    INFERNEO_UNROLL
    for (int m = 0; m < rows; ++m) {
      const typename Operands::XStep xs = Operands::load_x(x + m * x_stride + i);
      INFERNEO_UNROLL
      for (int n = 0; n < columns; ++n) acc[m][n] = Operands::dot(acc[m][n], xs, ws[n]);
    }
  }
  if (i < k) {
    INFERNEO_UNROLL
    for (int m = 0; m < rows; ++m) {
      const typename Operands::XStep xs = Operands::load_x_part(x + m * x_stride + i, k - i);
      INFERNEO_UNROLL
      for (int n = 0; n < columns; ++n) {
        acc[m][n] =
            Operands::dot(acc[m][n], xs, Operands::load_w_part(w + n * w_stride + i, k - i));
      }
    }
  }
  INFERNEO_UNROLL
  for (int m = 0; m < rows; ++m) {
    if constexpr (columns % 4 == 0) {
      INFERNEO_UNROLL
      for (int n = 0; n < columns; n += 4) {
        reduce_add4(acc[m][n], acc[m][n + 1], acc[m][n + 2], acc[m][n + 3], sums + m * columns + n);
      }
    } else {
      INFERNEO_UNROLL
      for (int n = 0; n < columns; ++n) {
        float same[4];
        reduce_add4(acc[m][n], acc[m][n], acc[m][n], acc[m][n], same);
        sums[m * columns + n] = same[0];
      }
    }
  }
}

// What a tile needs to know of its call: the rows and columns it covers and the block of k.
struct TileRange {
  int64_t m;
  int64_t n;
  int64_t k_begin;
  int64_t k_size;
};

template <typename Operands, int rows, int columns>
inline void linear_tile(const LinearArgs& args, const TileRange& at) {
  float sums[rows * columns];
  const auto* x = static_cast<const typename Operands::X*>(args.x);
  const auto* w = static_cast<const typename Operands::W*>(args.w);
  dot_tile<Operands, rows, columns>(x + at.m * args.x_stride + at.k_begin,
                                    args.x_stride,
                                    w + at.n * args.k + at.k_begin,
                                    args.k,
                                    at.k_size,
                                    sums);
  for (int m = 0; m < rows; ++m) {
    float* y = args.y + (at.m + m) * args.y_stride + at.n;
    for (int n = 0; n < columns; ++n) {
      float sum = sums[m * columns + n];
      if (at.k_begin == 0 && args.bias != nullptr) sum += args.bias[at.n + n];
      y[n] = at.k_begin == 0 && !args.accumulate ? sum : y[n] + sum;
    }
  }
}

template <typename Operands, int rows>
void linear_columns(const LinearArgs& args, TileRange at, int64_t n_end) {
  // Why: a tile of few rows needs more columns to have enough independent sums in flight.
  constexpr int kColumns = rows == 1 ? 8 : 4;
  for (; at.n + kColumns <= n_end; at.n += kColumns) {
    linear_tile<Operands, rows, kColumns>(args, at);
  }
  for (; at.n < n_end; ++at.n) linear_tile<Operands, rows, 1>(args, at);
}

template <typename Operands>
void linear_rows(const LinearArgs& args, int rows, const TileRange& at, int64_t n_end) {
  switch (rows) {
    case 1:
      return linear_columns<Operands, 1>(args, at, n_end);
    case 2:
      return linear_columns<Operands, 2>(args, at, n_end);
    case 3:
      return linear_columns<Operands, 3>(args, at, n_end);
    case 4:
      if constexpr (kTileRows >= 4) return linear_columns<Operands, 4>(args, at, n_end);
      break;
    case 5:
      if constexpr (kTileRows >= 5) return linear_columns<Operands, 5>(args, at, n_end);
      break;
    default:
      if constexpr (kTileRows >= 6) return linear_columns<Operands, 6>(args, at, n_end);
      break;
  }
}

template <typename Operands>
void linear(const LinearArgs& args) noexcept {
  // Rows of activations that make a block of weights pay for its trip into the L2 cache.
  constexpr int64_t kManyRows = 4 * kTileRows;
  // Bound: a block of weight rows takes at most 512 KiB, half of the smallest L2 we tune for.
  constexpr int64_t kCacheRows = 512 * 1024 / (kBlock * (int64_t)sizeof(typename Operands::W));
  const int64_t n_step = args.m >= kManyRows ? kCacheRows : 8;
  const int64_t tile_count = (args.m + kTileRows - 1) / kTileRows;
  for (int64_t n = args.n_begin; n < args.n_end; n += n_step) {
    const int64_t n_end = n + n_step < args.n_end ? n + n_step : args.n_end;
    int64_t k = 0;
    do {
      const int64_t k_size = args.k - k < kBlock ? args.k - k : kBlock;
      int64_t m = 0;
      for (int64_t tile = 0; tile < tile_count; ++tile) {
        // Heights differ by at most one, so no tile is left with a single row.
        const auto rows = (int)((args.m - m + tile_count - tile - 1) / (tile_count - tile));
        linear_rows<Operands>(args, rows, {m, n, k, k_size}, n_end);
        m += rows;
      }
      k += k_size;
    } while (k < args.k);
  }
}
