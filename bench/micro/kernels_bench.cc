// links: inferneo_device
// Linear layers, attention and row operations of every table, with the share of the machine's
// limits measured in the same run.
//   kernels_bench [--threads=N] [--isa=NAME] [--benchmark_filter=REGEX] ...
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/str.h"
#include "device/cpu.h"
#include "device/limits.h"

namespace inferneo {
namespace {

struct Machine {
  std::unique_ptr<device::CpuDevice> cpu;
  device::Limits limits;
};

// Weights come from a pool much larger than the caches, at another place each time, as they do in a
// model; the pool is shared by all benchmarks.
class WeightPool {
 public:
  explicit WeightPool(std::size_t size) : bytes_(size) {
    std::uint32_t state = 1;
    for (std::size_t i = 0; i + 1 < size; i += 2) {
      state = state * 1664525 + 1013904223;
      // bf16 values of magnitude 0.25 to 0.5; as f32 or f16 they are finite, too.
      const auto value = static_cast<kernels::Bf16>(0x3e80 | (state >> 25) | (state >> 31 << 15));
      bytes_[i] = static_cast<std::byte>(value & 0xff);
      bytes_[i + 1] = static_cast<std::byte>(value >> 8);
    }
  }
  const void* next(std::size_t size) {
    if (at_ + size > bytes_.size()) at_ = 0;
    const void* weights = bytes_.data() + at_;
    at_ += size;
    return weights;
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

struct Shape {
  std::int64_t m, n, k;
};

void linear(benchmark::State& state,
            Machine& machine,
            WeightPool& pool,
            kernels::LinearFn function,
            std::size_t x_size,
            std::size_t w_size,
            Shape shape) {
  std::vector<std::byte> x(static_cast<std::size_t>(shape.m * shape.k) * x_size, std::byte{0x3d});
  std::vector<float> y(static_cast<std::size_t>(shape.m * shape.n));
  const auto weight_bytes = static_cast<std::size_t>(shape.n * shape.k) * w_size;
  kernels::LinearArgs args;
  args.x = x.data();
  args.y = y.data();
  args.m = shape.m;
  args.k = shape.k;
  args.x_stride = shape.k;
  args.y_stride = shape.n;
  for (auto _ : state) {
    args.w = pool.next(weight_bytes);
    auto body = [&](std::int64_t begin, std::int64_t end, int) {
      kernels::LinearArgs mine = args;
      mine.n_begin = begin;
      mine.n_end = end;
      function(mine);
    };
    machine.cpu->parallel_for(shape.n, 16, body);
  }
  using benchmark::Counter;
  const auto runs = static_cast<double>(state.iterations());
  const double bytes = static_cast<double>(weight_bytes) * runs;
  const double flops = 2.0 * static_cast<double>(shape.m * shape.n * shape.k) * runs;
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsRate);
  state.counters["of_read"] = Counter(bytes / machine.limits.read_bytes_per_s, Counter::kIsRate);
  state.counters["GFLOP/s"] = Counter(flops / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(flops / machine.limits.f32_flop_per_s, Counter::kIsRate);
}

struct PackedCase {
  const char* name;
  kernels::MatrixFormat format;
  double peak;  // operations per second of its products
};

constexpr std::int8_t kCodebook[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// One packed matrix of many copies of one panel: enough of them that no cache holds them.
class PackedPool {
 public:
  PackedPool(const kernels::MatrixOps& ops, const kernels::MatrixFormat& format, Shape shape)
      : matrix_size_(ops.panel_size(shape.k) *
                     static_cast<std::size_t>(shape.n / kernels::kPanelOutputs)),
        bytes_(std::max(kPoolSize, 2 * matrix_size_) + 64) {
    const auto count = static_cast<std::size_t>(kernels::kPanelOutputs * shape.k);
    std::vector<std::uint16_t> halves(count, 0x3400);
    std::vector<std::int8_t> codes(count);
    for (std::size_t i = 0; i < count; ++i) {
      codes[i] = format.codebook != nullptr
                     ? kCodebook[i % 16]
                     : static_cast<std::int8_t>(i * 7 % 16 - 8 * !format.has_min);
    }
    const std::vector<float> scales(count / 16, 0.01F);
    const std::size_t panel_size = ops.panel_size(shape.k);
    for (std::size_t at = 0; at + panel_size <= bytes_.size() - 64; at += panel_size) {
      if (at == 0) {
        ops.pack_panel({.row_count = kernels::kPanelOutputs,
                        .k = shape.k,
                        .halves = halves.data(),
                        .codes = codes.data(),
                        .scales = scales.data(),
                        .mins = format.has_min ? scales.data() : nullptr,
                        .codebook = format.codebook},
                       data());
      } else {
        std::memcpy(data() + at, data(), panel_size);
      }
    }
  }
  const std::byte* next() {
    if (at_ + matrix_size_ > bytes_.size() - 64) at_ = 0;
    const std::byte* matrix = data() + at_;
    at_ += matrix_size_;
    return matrix;
  }
  [[nodiscard]] std::size_t matrix_size() const { return matrix_size_; }

 private:
  static constexpr std::size_t kPoolSize = std::size_t{512} << 20;
  std::byte* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - address % 64) % 64;
  }

  std::size_t matrix_size_;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

void packed_linear(benchmark::State& state, Machine& machine, const PackedCase& one, Shape shape) {
  const kernels::MatrixOps& ops = *machine.cpu->kernels().matrix_ops(one.format);
  PackedPool pool(ops, one.format, shape);
  std::vector<float> x(static_cast<std::size_t>(shape.m * shape.k), 0.25F);
  std::vector<float> y(static_cast<std::size_t>(shape.m * shape.n));
  std::vector<std::byte> inputs(ops.inputs->size(shape.m, shape.k) + 64);
  void* packed = inputs.data();
  std::size_t space = inputs.size();
  std::align(64, inputs.size() - 64, packed, space);
  kernels::PackedLinearArgs args;
  args.inputs = packed;
  args.y = y.data();
  args.m = shape.m;
  args.k = shape.k;
  args.y_stride = shape.n;
  args.codebook = one.format.codebook;
  for (auto _ : state) {
    args.panels = pool.next();
    ops.inputs->pack(x.data(), shape.k, 0, shape.m, shape.k, packed);
    auto body = [&](std::int64_t begin, std::int64_t end, int) {
      kernels::PackedLinearArgs mine = args;
      mine.n_begin = begin * kernels::kPanelOutputs;
      mine.n_end = end * kernels::kPanelOutputs;
      ops.linear(mine);
    };
    machine.cpu->parallel_for(shape.n / kernels::kPanelOutputs, 4, body);
  }
  using benchmark::Counter;
  const auto runs = static_cast<double>(state.iterations());
  const double bytes = static_cast<double>(pool.matrix_size()) * runs;
  const double operations = 2.0 * static_cast<double>(shape.m * shape.n * shape.k) * runs;
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsRate);
  state.counters["of_read"] = Counter(bytes / machine.limits.read_bytes_per_s, Counter::kIsRate);
  state.counters["GOP/s"] = Counter(operations / 1e9, Counter::kIsRate);
  if (one.peak > 0) state.counters["of_peak"] = Counter(operations / one.peak, Counter::kIsRate);
}

struct AttentionShape {
  std::int32_t rows, context, kv_heads, group, head_dim;
};

void attention(benchmark::State& state, Machine& machine, AttentionShape shape) {
  constexpr std::int32_t kBlockSize = 16;
  const std::int32_t tokens = shape.context + shape.rows;
  const std::int32_t block_count = (tokens + kBlockSize - 1) / kBlockSize;
  const auto width = static_cast<std::size_t>(shape.kv_heads * shape.group * shape.head_dim);
  const std::size_t cache_size = static_cast<std::size_t>(block_count * kBlockSize) *
                                 static_cast<std::size_t>(shape.kv_heads * shape.head_dim);
  std::vector<kernels::F16> k(cache_size, 0x2c00);
  std::vector<kernels::F16> v(cache_size, 0x3400);
  std::vector<float> q(static_cast<std::size_t>(shape.rows) * width, 0.5F);
  std::vector<float> out(q.size());
  std::vector<std::uint32_t> blocks;
  for (std::int32_t b = 0; b < block_count; ++b) blocks.push_back(static_cast<std::uint32_t>(b));
  const auto scratch_size =
      static_cast<std::size_t>(kernels::attention_scratch_floats(shape.head_dim, shape.group));
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(machine.cpu->thread_count()),
                                          std::vector<float>(scratch_size));
  kernels::AttentionArgs args;
  args.q = q.data();
  args.k_cache = k.data();
  args.v_cache = v.data();
  args.blocks = blocks.data();
  args.out = out.data();
  args.q_stride = args.out_stride = static_cast<std::int64_t>(width);
  args.row_end = shape.rows;
  args.context_before = shape.context;
  args.kv_heads = shape.kv_heads;
  args.group = shape.group;
  args.head_dim = shape.head_dim;
  args.block_size = kBlockSize;
  args.scale = 0.125F;
  for (auto _ : state) {
    auto body = [&](std::int64_t begin, std::int64_t end, int worker) {
      kernels::AttentionArgs mine = args;
      mine.scratch = scratch[static_cast<std::size_t>(worker)].data();
      for (std::int64_t head = begin; head < end; ++head) {
        mine.kv_head = static_cast<std::int32_t>(head);
        machine.cpu->kernels().attention_f16(mine);
      }
    };
    machine.cpu->parallel_for(shape.kv_heads, 1, body);
  }
  // A row at position p does 4 head_dim operations for each of its p + 1 keys.
  const double rows = shape.rows;
  const double keys = rows * shape.context + rows * (rows + 1) / 2;
  const auto runs = static_cast<double>(state.iterations());
  const double flops = 4.0 * keys * static_cast<double>(width) * runs;
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(flops / 1e9, Counter::kIsRate);
  state.counters["of_f32_peak"] = Counter(flops / machine.limits.f32_flop_per_s, Counter::kIsRate);
}

void add_benchmarks(Machine& machine, WeightPool& pool) {
  const kernels::KernelTable& table = machine.cpu->kernels();
  const std::string prefix = std::string(table.name) + "/";
  const auto add = [](const std::string& name, auto&& body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
  };
  const auto add_linear =
      [&](const char* name, kernels::LinearFn f, std::size_t x_size, std::size_t w_size, Shape s) {
        const std::string full = prefix + name + "/m" + std::to_string(s.m) + "_n" +
                                 std::to_string(s.n) + "_k" + std::to_string(s.k);
        add(full, [&machine, &pool, f, x_size, w_size, s](benchmark::State& state) {
          linear(state, machine, pool, f, x_size, w_size, s);
        });
      };
  for (const std::int64_t m : {1, 2, 4, 8, 16, 32, 512}) {
    add_linear("linear_f32_bf16", table.linear_f32_bf16, 4, 2, {m, 5632, 2048});
  }
  for (const std::int64_t m : {1, 512}) {
    add_linear("linear_f32_bf16", table.linear_f32_bf16, 4, 2, {m, 2048, 2048});
    add_linear("linear_f32_bf16", table.linear_f32_bf16, 4, 2, {m, 2048, 5632});
    add_linear("linear_f32_f16", table.linear_f32_f16, 4, 2, {m, 2048, 2048});
    add_linear("linear_f32_f32", table.linear_f32_f32, 4, 4, {m, 2048, 2048});
  }
  add_linear("linear_f32_bf16", table.linear_f32_bf16, 4, 2, {1, 32000, 2048});
  if (table.matrix_ops != nullptr) {
    const auto codes = [&](const char* name,
                           std::int8_t bits,
                           std::int8_t group,
                           bool has_min,
                           const std::int8_t* codebook) {
      return PackedCase{name,
                        {kernels::MatrixFormat::Kind::kCodes, bits, group, has_min, codebook},
                        machine.limits.int8_op_per_s};
    };
    for (const PackedCase& one :
         {PackedCase{"f16", {.kind = kernels::MatrixFormat::Kind::kF16}, 0},
          PackedCase{"bf16", {.kind = kernels::MatrixFormat::Kind::kBf16}, 0},
          codes("8x32", 8, 32, false, nullptr),
          codes("8x32_min", 8, 32, true, nullptr),
          codes("8x16", 8, 16, false, nullptr),
          codes("4x32", 4, 32, false, nullptr),
          codes("4x32_min", 4, 32, true, nullptr),
          codes("4x16", 4, 16, false, nullptr),
          codes("4x16_min", 4, 16, true, nullptr),
          codes("4x32_codebook", 4, 32, false, kCodebook)}) {
      if (table.matrix_ops(one.format) == nullptr) continue;
      for (const std::int64_t m : {1, 2, 4, 8, 16, 32, 512}) {
        const Shape s{m, 5632, 2048};
        add(str(prefix, "packed_", one.name, "/m", s.m, "_n", s.n, "_k", s.k),
            [&machine, one, s](benchmark::State& state) { packed_linear(state, machine, one, s); });
      }
    }
  }
  for (const AttentionShape s : {AttentionShape{512, 0, 4, 8, 64},
                                 AttentionShape{1, 512, 4, 8, 64},
                                 AttentionShape{1, 8192, 4, 8, 64},
                                 AttentionShape{512, 0, 8, 4, 128},
                                 AttentionShape{1, 4096, 32, 1, 128}}) {
    const std::string name = prefix + "attention_f16/rows" + std::to_string(s.rows) + "_context" +
                             std::to_string(s.context) + "_heads" + std::to_string(s.kv_heads) +
                             "x" + std::to_string(s.group) + "_dim" + std::to_string(s.head_dim);
    add(name, [&machine, s](benchmark::State& state) { attention(state, machine, s); });
  }
  add(prefix + "rms_norm/2048", [&table](benchmark::State& state) {
    std::vector<float> x(2048, 0.5F);
    std::vector<float> y(2048);
    for (auto _ : state) table.rms_norm(x.data(), x.data(), 1e-5F, y.data(), 2048);
  });
  add(prefix + "activate/silu/5632", [&table](benchmark::State& state) {
    std::vector<float> x(5632, 0.5F);
    std::vector<float> y(5632);
    for (auto _ : state)
      table.activate(kernels::Activation::kSilu, x.data(), x.data(), y.data(), 5632);
  });
  add(prefix + "argmax/32000", [&table](benchmark::State& state) {
    std::vector<float> x(32000, 0.5F);
    bool finite = false;
    for (auto _ : state) benchmark::DoNotOptimize(table.argmax(x.data(), 32000, &finite));
  });
}

int run(int argc, char** argv) {
  int threads = 0;
  std::string isa;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag.starts_with("--threads=")) threads = std::atoi(argv[i] + 10);
    if (flag.starts_with("--isa=")) isa = flag.substr(6);
  }
  auto cpu = device::CpuDevice::create({.thread_count = threads, .isa = isa});
  if (!cpu.has_value()) {
    std::fprintf(stderr, "%s\n", cpu.error().to_string().c_str());
    return 1;
  }
  Machine machine{std::move(cpu).value(), {}};
  auto limits = device::measure_limits(*machine.cpu, {});
  if (!limits.has_value()) {
    std::fprintf(stderr, "%s\n", limits.error().to_string().c_str());
    return 1;
  }
  machine.limits = *limits;
  std::printf(
      "table %s, %d threads: read %.1f GB/s, f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s, int8 %.0f GOP/s, "
      "empty section %.2f us\n",
      machine.cpu->kernels().name,
      machine.cpu->thread_count(),
      machine.limits.read_bytes_per_s / 1e9,
      machine.limits.f32_flop_per_s / 1e9,
      machine.limits.bf16_flop_per_s / 1e9,
      machine.limits.int8_op_per_s / 1e9,
      machine.limits.empty_section_s * 1e6);
  WeightPool pool(std::size_t{1} << 30);
  add_benchmarks(machine, pool);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace inferneo

int main(int argc, char** argv) { return inferneo::run(argc, argv); }
