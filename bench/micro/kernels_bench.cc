// links: inferneo_device
// Linear layers, attention and row operations of every table, with the share of the machine's
// limits measured in the same run.
//   kernels_bench [--threads=N] [--isa=NAME] [--benchmark_filter=REGEX] ...
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  const double peak = x_size == 2 ? machine.limits.bf16_flop_per_s : machine.limits.f32_flop_per_s;
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsRate);
  state.counters["of_read"] = Counter(bytes / machine.limits.read_bytes_per_s, Counter::kIsRate);
  state.counters["GFLOP/s"] = Counter(flops / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(flops / peak, Counter::kIsRate);
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
  std::vector<kernels::Bf16> k(cache_size, 0x3c80);
  std::vector<kernels::Bf16> v(cache_size, 0x3e80);
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
        machine.cpu->kernels().attention_bf16(mine);
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
    add_linear("linear_bf16_bf16", table.linear_bf16_bf16, 2, 2, {m, 5632, 2048});
  }
  for (const std::int64_t m : {1, 512}) {
    add_linear("linear_bf16_bf16", table.linear_bf16_bf16, 2, 2, {m, 2048, 2048});
    add_linear("linear_bf16_bf16", table.linear_bf16_bf16, 2, 2, {m, 2048, 5632});
    add_linear("linear_f32_bf16", table.linear_f32_bf16, 4, 2, {m, 2048, 2048});
    add_linear("linear_f32_f16", table.linear_f32_f16, 4, 2, {m, 2048, 2048});
    add_linear("linear_f32_f32", table.linear_f32_f32, 4, 4, {m, 2048, 2048});
  }
  add_linear("linear_bf16_bf16", table.linear_bf16_bf16, 2, 2, {1, 32000, 2048});
  for (const AttentionShape s : {AttentionShape{512, 0, 4, 8, 64},
                                 AttentionShape{1, 512, 4, 8, 64},
                                 AttentionShape{1, 8192, 4, 8, 64},
                                 AttentionShape{512, 0, 8, 4, 128},
                                 AttentionShape{1, 4096, 32, 1, 128}}) {
    const std::string name = prefix + "attention_bf16/rows" + std::to_string(s.rows) + "_context" +
                             std::to_string(s.context) + "_heads" + std::to_string(s.kv_heads) +
                             "x" + std::to_string(s.group) + "_dim" + std::to_string(s.head_dim);
    add(name, [&machine, s](benchmark::State& state) { attention(state, machine, s); });
  }
  add(prefix + "rms_norm/2048", [&table](benchmark::State& state) {
    std::vector<float> x(2048, 0.5F);
    std::vector<float> y(2048);
    for (auto _ : state) table.rms_norm(x.data(), x.data(), 1e-5F, y.data(), 2048);
  });
  add(prefix + "silu_mul/5632", [&table](benchmark::State& state) {
    std::vector<float> x(5632, 0.5F);
    std::vector<float> y(5632);
    for (auto _ : state) table.silu_mul(x.data(), x.data(), y.data(), 5632);
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
      "table %s, %d threads: read %.1f GB/s, f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s, "
      "empty section %.2f us\n",
      machine.cpu->kernels().name,
      machine.cpu->thread_count(),
      machine.limits.read_bytes_per_s / 1e9,
      machine.limits.f32_flop_per_s / 1e9,
      machine.limits.bf16_flop_per_s / 1e9,
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
