// links: inferneo_device
// Attention of every table this machine supports: prefill of a prompt and decode over a long
// context, with the arithmetic and the bytes of keys and values that it does a second.
//   attention_bench [--threads=N] [--isa=NAME] [--seconds=S]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/cpu.h"

namespace inferneo {
namespace {

using Clock = std::chrono::steady_clock;

struct Shape {
  std::int32_t rows, context, kv_heads, group, head_dim;
  std::int32_t window = 0;  // keys that a row sees, 0 for all
  float soft_cap = 0;
};

struct Options {
  int threads = 0;
  std::string isa;
  double seconds = 0.5;
};

// Layers of keys and values whose blocks lie in no order. Several, so that decode reads memory and
// not a cache.
class Cache {
 public:
  static constexpr std::int32_t kBlockSize = 16;

  explicit Cache(const Shape& shape) {
    const std::int32_t count = (shape.context + shape.rows + kBlockSize - 1) / kBlockSize;
    for (std::int32_t b = 0; b < count; ++b) blocks.push_back(static_cast<std::uint32_t>(b));
    std::uint32_t state = 1;
    for (std::size_t i = blocks.size() - 1; i > 0; --i) {
      state = state * 1664525 + 1013904223;
      std::swap(blocks[i], blocks[state % i]);
    }
    plane = static_cast<std::size_t>(count) * kBlockSize *
            static_cast<std::size_t>(shape.kv_heads * shape.head_dim);
    constexpr std::size_t kElementsMin = std::size_t{128} << 20;
    layers = std::max<std::size_t>(1, kElementsMin / (2 * plane));
    halves.resize(layers * 2 * plane);
    scales.assign(plane / static_cast<std::size_t>(shape.head_dim), 0.01F);
    for (kernels::F16& half : halves) {
      state = state * 1664525 + 1013904223;
      half = static_cast<kernels::F16>((state >> 31 << 15) | (0x3000 + (state >> 20 & 0xbff)));
    }
  }

  // Shape: [layers][2][plane]; int8 codes lie in the first half of each plane.
  std::vector<kernels::F16> halves;
  std::vector<float> scales;  // of all int8 planes
  std::vector<std::uint32_t> blocks;
  std::size_t plane = 0;
  std::size_t layers = 0;
};

void measure(device::CpuDevice& cpu, const Shape& shape, bool is_i8, double seconds) {
  const Cache cache(shape);
  const auto width = static_cast<std::size_t>(shape.kv_heads * shape.group * shape.head_dim);
  std::vector<float> q(static_cast<std::size_t>(shape.rows) * width);
  std::uint32_t state = 7;
  for (float& x : q) {
    state = state * 1664525 + 1013904223;
    x = static_cast<float>(state >> 16) / 32768.0F - 1.0F;
  }
  std::vector<float> out(q.size());
  const auto scratch_size =
      static_cast<std::size_t>(kernels::attention_scratch_floats(shape.head_dim, shape.group));
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(cpu.thread_count()),
                                          std::vector<float>(scratch_size));
  kernels::AttentionArgs args;
  args.q = q.data();
  args.blocks = cache.blocks.data();
  args.k_scales = args.v_scales = cache.scales.data();
  args.out = out.data();
  args.q_stride = args.out_stride = static_cast<std::int64_t>(width);
  args.context_before = shape.context;
  args.kv_heads = shape.kv_heads;
  args.group = shape.group;
  args.head_dim = shape.head_dim;
  args.block_size = Cache::kBlockSize;
  args.scale = 0.125F;
  args.soft_cap = shape.soft_cap;
  if (shape.window > 0) args.reach_before = shape.window - 1;
  constexpr std::int32_t kRows = 32;  // of an item, as the executor cuts them
  const std::int64_t tiles = (shape.rows + kRows - 1) / kRows;
  double best = std::numeric_limits<double>::infinity();
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  std::size_t layer = 0;
  do {
    args.k_cache = cache.halves.data() + layer * 2 * cache.plane;
    args.v_cache = cache.halves.data() + (layer * 2 + 1) * cache.plane;
    layer = (layer + 1) % cache.layers;
    auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
      kernels::AttentionArgs mine = args;
      mine.scratch = scratch[static_cast<std::size_t>(worker)].data();
      for (std::int64_t item = begin; item < end; ++item) {
        // Tiles from both ends in turn, so that halves of the items take equal times.
        const std::int64_t at = item / shape.kv_heads;
        const std::int64_t tile = at % 2 == 0 ? at / 2 : tiles - 1 - at / 2;
        mine.kv_head = static_cast<std::int32_t>(item % shape.kv_heads);
        mine.row_begin = static_cast<std::int32_t>(tile) * kRows;
        mine.row_end = std::min(mine.row_begin + kRows, shape.rows);
        (is_i8 ? cpu.kernels().attention_i8 : cpu.kernels().attention_f16)(mine);
      }
    };
    const auto start = Clock::now();
    cpu.parallel_for(tiles * shape.kv_heads, 1, body);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  } while (Clock::now() < deadline);
  // A row does 4 head_dim operations for each key that it sees.
  const double rows = shape.rows;
  double keys = 0;
  for (std::int32_t position = shape.context; position < shape.context + shape.rows; ++position) {
    keys += shape.window > 0 ? std::min(position + 1, shape.window) : position + 1;
  }
  const double flops = 4.0 * keys * static_cast<double>(width);
  const double row_size = is_i8 ? shape.head_dim + 4.0 : shape.head_dim * 2.0;
  const double cached = shape.context + rows;
  const double read = shape.window > 0 ? std::min(cached, shape.window + rows - 1) : cached;
  const double bytes = 2.0 * read * shape.kv_heads * row_size;
  std::printf(
      "%-12s %s  rows %4d  context %5d  heads %2d x %-2d  dim %3d  window %4d  cap %2.0f  %9.1f us "
      " "
      "%7.1f GFLOP/s  %6.2f GB/s\n",
      cpu.kernels().name,
      is_i8 ? "i8 " : "f16",
      shape.rows,
      shape.context,
      shape.kv_heads,
      shape.group,
      shape.head_dim,
      shape.window,
      static_cast<double>(shape.soft_cap),
      best * 1e6,
      flops / best / 1e9,
      bytes / best / 1e9);
}

int run(const Options& options) {
  for (const kernels::KernelTable* table : kernels::supported_tables()) {
    if (!options.isa.empty() ? options.isa != table->name : table == &kernels::reference_table()) {
      continue;
    }
    auto cpu = device::CpuDevice::create({.thread_count = options.threads, .isa = table->name});
    if (!cpu.has_value()) {
      std::fprintf(stderr, "%s\n", cpu.error().to_string().c_str());
      return 1;
    }
    for (const Shape& shape : {Shape{512, 0, 4, 8, 64},
                               Shape{512, 0, 8, 4, 128},
                               Shape{512, 7680, 4, 8, 64},
                               Shape{1, 8191, 4, 8, 64},
                               Shape{1, 1023, 1, 8, 64},
                               Shape{1, 8191, 8, 4, 128},
                               Shape{1, 4095, 32, 1, 128},
                               Shape{512, 7680, 4, 8, 64, 1024},
                               Shape{512, 7680, 8, 4, 128, 4096},
                               Shape{512, 7680, 4, 2, 256, 0, 50},
                               Shape{1, 8191, 4, 8, 64, 1024},
                               Shape{1, 8191, 4, 2, 256, 0, 50}}) {
      for (const bool is_i8 : {false, true}) measure(**cpu, shape, is_i8, options.seconds);
    }
  }
  return 0;
}

}  // namespace
}  // namespace inferneo

int main(int argc, char** argv) {
  inferneo::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag.starts_with("--threads=")) options.threads = std::atoi(argv[i] + 10);
    if (flag.starts_with("--isa=")) options.isa = flag.substr(6);
    if (flag.starts_with("--seconds=")) options.seconds = std::atof(argv[i] + 10);
  }
  return inferneo::run(options);
}
