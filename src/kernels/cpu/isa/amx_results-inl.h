// From sums to results: rows of y. Included after amx_weights-inl.h.

constexpr int64_t kSums = 4 * kTile * kTile;  // of a product: two input tiles by two panels

// Where the results of a row tile and a panel go.
struct TilePlace {
  const float* row_inverses;  // Shape: [row_count]
  float* y;
  int64_t y_stride;
  int64_t row_count;
  int64_t n;  // the first output
  int count;  // outputs
};

template <int parts>
static inline TilePlace place_of_tile(const PackedLinearArgs& args, int64_t tile, int64_t panel) {
  const int64_t n = panel * kPanelOutputs;
  const int64_t offset = tile * input_tile_size<parts>(args.k);
  return {(const float*)((const char*)args.inputs + offset),
          args.y + tile * kTile * args.y_stride + n,
          args.y_stride,
          at_most(args.m - tile * kTile, kTile),
          n,
          (int)at_most(args.n_end - n, kPanelOutputs)};
}

// A tile of sums, Shape [16 rows][16 outputs], with what makes results of them.
struct TileSums {
  inline TileSums(const float* sums_,
                  const void* panel,
                  const float* biases,
                  const TilePlace& place)
      : sums(sums_),
        inverse(load((const float*)panel)),
        bias(biases != nullptr ? load_some(biases + place.n, place.count) : zero()) {}

  inline Vec row(int64_t row, float row_inverse) const {
    return fma(load(sums + row * kTile), mul(inverse, set(row_inverse)), bias);
  }

  const float* sums;
  Vec inverse;
  Vec bias;
};

// Writes the sums of row tile `tile` and panel `panel`.
template <int parts>
static inline void write_tile(const PackedLinearArgs& args,
                              const float* sums,
                              int64_t tile,
                              int64_t panel,
                              int64_t panel_size) {
  const TilePlace place = place_of_tile<parts>(args, tile, panel);
  const TileSums results(sums, args.panels + panel * panel_size, args.bias, place);
  float* y = place.y;
  for (int64_t row = 0; row < place.row_count; ++row, y += place.y_stride) {
    Vec v = results.row(row, place.row_inverses[row]);
    if (args.accumulate) v = add(load_some(y, place.count), v);
    store_some(y, v, place.count);
  }
}

struct WriteGated {
  const TilePlace& place;
  const TileSums& gate;
  const TileSums& up;

  template <typename Step>
  inline void run() const {
    float* y = place.y;
    for (int64_t row = 0; row < place.row_count; ++row, y += place.y_stride) {
      const float inverse = place.row_inverses[row];
      store_some(y, mul(Step::apply(gate.row(row, inverse)), up.row(row, inverse)), place.count);
    }
  }
};

// The same for sums of gate and those of up that follow them.
template <int parts>
static inline void write_gated_tile(const PackedGatedArgs& args,
                                    const float* sums,
                                    int64_t tile,
                                    int64_t panel,
                                    int64_t panel_size) {
  const PackedLinearArgs& linear = args.gate;
  const TilePlace place = place_of_tile<parts>(linear, tile, panel);
  const int64_t offset = panel * panel_size;
  const TileSums gate(sums, linear.panels + offset, linear.bias, place);
  const TileSums up(sums + kTile * kTile, args.up_panels + offset, args.up_bias, place);
  run_with_step(args.activation, WriteGated{place, gate, up});
}
