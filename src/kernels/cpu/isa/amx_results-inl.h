// From sums to results: rows of y. Included after amx_weights-inl.h.

constexpr int64_t kSums = 4 * kTile * kTile;  // of a product: two input tiles by two panels

// Writes a tile of sums, Shape [16 rows][16 outputs], for row tile `tile` and panel `panel`.
template <int parts>
static inline void write_tile(const PackedLinearArgs& args,
                              const float* sums,
                              int64_t tile,
                              int64_t panel,
                              int64_t panel_size) {
  const int64_t n = panel * kPanelOutputs;
  const int count = (int)at_most(args.n_end - n, kPanelOutputs);
  const int64_t row_count = at_most(args.m - tile * kTile, kTile);
  const float* row_inverse =
      (const float*)((const char*)args.inputs + tile * input_tile_size<parts>(args.k));
  const Vec inverse = load((const float*)(args.panels + panel * panel_size));
  const Vec bias = args.bias != nullptr ? load_some(args.bias + n, count) : zero();
  float* y = args.y + tile * kTile * args.y_stride + n;
  for (int64_t row = 0; row < row_count; ++row, y += args.y_stride) {
    Vec sum = fma(load(sums + row * kTile), mul(inverse, set(row_inverse[row])), bias);
    if (args.accumulate) sum = add(load_some(y, count), sum);
    store_some(y, sum, count);
  }
}

// The rows of a tile of gated sums.
struct GatedTile {
  const float* gate;  // sums, Shape: [16 rows][16 outputs]
  const float* up;
  Vec gate_inverse, up_inverse, gate_bias, up_bias;
  const float* row_inverse;  // Shape: [row_count]
  float* y;
  int64_t y_stride;
  int64_t row_count;
  int count;  // outputs

  template <typename Step>
  inline void run() const {
    float* out = y;
    for (int64_t row = 0; row < row_count; ++row, out += y_stride) {
      const Vec inverse = set(row_inverse[row]);
      const Vec x = fma(load(gate + row * kTile), mul(gate_inverse, inverse), gate_bias);
      const Vec factor = fma(load(up + row * kTile), mul(up_inverse, inverse), up_bias);
      store_some(out, mul(Step::apply(x), factor), count);
    }
  }
};

// As write_tile, for a tile of sums of gate and the one of up that follows it.
template <int parts>
static inline void write_gated_tile(const PackedGatedArgs& args,
                                    const float* sums,
                                    int64_t tile,
                                    int64_t panel,
                                    int64_t panel_size) {
  const PackedLinearArgs& gate = args.gate;
  const int64_t n = panel * kPanelOutputs;
  GatedTile out;
  out.count = (int)at_most(gate.n_end - n, kPanelOutputs);
  out.row_count = at_most(gate.m - tile * kTile, kTile);
  out.gate = sums;
  out.up = sums + kTile * kTile;
  out.row_inverse =
      (const float*)((const char*)gate.inputs + tile * input_tile_size<parts>(gate.k));
  out.gate_inverse = load((const float*)(gate.panels + panel * panel_size));
  out.up_inverse = load((const float*)(args.up_panels + panel * panel_size));
  out.gate_bias = gate.bias != nullptr ? load_some(gate.bias + n, out.count) : zero();
  out.up_bias = args.up_bias != nullptr ? load_some(args.up_bias + n, out.count) : zero();
  out.y = gate.y + tile * kTile * gate.y_stride + n;
  out.y_stride = gate.y_stride;
  run_with_step(args.activation, out);
}
