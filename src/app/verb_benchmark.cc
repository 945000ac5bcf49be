#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "app/bench_engine.h"
#include "app/bench_measure.h"
#include "app/bench_shape.h"
#include "app/first_token.h"
#include "app/json_lines.h"
#include "app/model_host.h"
#include "app/program.h"
#include "app/spread.h"
#include "app/verb.h"
#include "base/str.h"
#include "base/version.h"
#include "device/limits.h"
#include "formats/model_meta.h"
#include "runtimes/native/native_runtime.h"
#include "runtimes/native/random_model.h"

namespace inferneo::app {
namespace {

constexpr std::int32_t kPrefillTokens = 512;
// Short, so that a whole batch is prefilled in one step and the keys cost little beside the
// weights.
constexpr std::int32_t kDecodePromptTokens = 16;
constexpr std::uint64_t kRandomSeed = 1;
constexpr std::int32_t kBatches[] = {1, 4, 8, 16, 32};

struct BenchFlags {
  std::string shape = "1.1b";
  std::string model;
  std::string starter;
  bool quick = false;
  bool json = false;
  bool measure = false;
};

// What is measured and how often.
struct Plan {
  int runs = 5;
  std::int32_t decode_tokens = 48;
  std::chrono::milliseconds time_per_limit{300};
  std::vector<std::int32_t> batches{std::begin(kBatches), std::end(kBatches)};
};

struct Subject {
  std::string name;
  BenchShape shape;
  std::shared_ptr<const runtime::Model> model;
};

struct BatchSamples {
  std::int32_t batch = 0;
  std::vector<double> tokens_per_s;
};

struct Samples {
  std::vector<double> read_bytes_per_s;
  std::vector<double> f32_flop_per_s;
  std::vector<double> bf16_flop_per_s;
  std::vector<double> bf16_loaded_flop_per_s;  // empty where loads do not slow products
  std::vector<double> bf16_dot_flop_per_s;     // empty on tables without vdpbf16ps
  std::vector<double> prefill_tokens_per_s;
  std::vector<double> prefill_share;
  std::vector<double> prefill_loaded_share;
  std::vector<double> prefill_dot_share;
  std::vector<double> decode_share;
  std::vector<double> host_us_per_step;
  std::vector<double> start_to_first_token_ms;
  std::vector<BatchSamples> decode;
};

Result<Subject> load_subject(const BenchFlags& flags, const Config& config, ModelHost& host) {
  Subject subject;
  if (!flags.model.empty()) {
    ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(flags.model));
    ASSIGN_OR_RETURN(const formats::ModelMeta meta, runtimes::native::read_model_meta(spec.path));
    subject.name = spec.name;
    subject.shape = shape_of(meta);
    ASSIGN_OR_RETURN(subject.model,
                     host.native_runtime().load(spec.path, load_options(config), {}));
    return subject;
  }
  ASSIGN_OR_RETURN(subject.shape, named_shape(flags.shape));
  subject.name = str("random ", flags.shape);
  const BenchShape& s = subject.shape;
  const runtimes::native::RandomModelShape shape = {.hidden_size = s.hidden,
                                                    .layer_count = s.layers,
                                                    .head_count = s.heads,
                                                    .kv_head_count = s.kv_heads,
                                                    .head_dim = s.head_dim,
                                                    .ffn_size = s.ffn,
                                                    .vocab_size = s.vocab,
                                                    .tied = s.tied,
                                                    .expert_count = s.experts,
                                                    .chosen_count = s.chosen,
                                                    .latent_rank = s.latent_rank,
                                                    .rope_dim = s.rope_dim,
                                                    .nope_dim = s.nope_dim};
  ASSIGN_OR_RETURN(
      subject.model,
      runtimes::native::make_random_model(shape, kRandomSeed, load_options(config), host.device()));
  return subject;
}

// One round: the limits of this moment, then each measurement, so that noise hits both alike.
Status run_round(ModelHost& host,
                 BenchEngine& engine,
                 const Subject& subject,
                 const Plan& plan,
                 Samples& samples) {
  device::LimitsOptions limits_options;
  limits_options.time_per_limit = plan.time_per_limit;
  ASSIGN_OR_RETURN(const device::Limits limits,
                   device::measure_limits(host.device(), limits_options));
  samples.read_bytes_per_s.push_back(limits.read_bytes_per_s);
  samples.f32_flop_per_s.push_back(limits.f32_flop_per_s);
  samples.bf16_flop_per_s.push_back(limits.bf16_flop_per_s);

  const runtime::ModelInfo& info = subject.model->info();
  const bool f32 = info.arithmetic == runtime::Arithmetic::kF32;
  ASSIGN_OR_RETURN(const TimedRun prefill, engine.prefill(kPrefillTokens));
  const double peak = f32 ? limits.f32_flop_per_s : limits.bf16_flop_per_s;
  const double rate = prefill_flops(subject.shape, kPrefillTokens) / prefill.seconds;
  samples.prefill_tokens_per_s.push_back(kPrefillTokens / prefill.seconds);
  samples.prefill_share.push_back(rate / peak);
  if (limits.bf16_loaded_flop_per_s > 0) {
    samples.bf16_loaded_flop_per_s.push_back(limits.bf16_loaded_flop_per_s);
    samples.prefill_loaded_share.push_back(rate / limits.bf16_loaded_flop_per_s);
  }
  if (limits.bf16_dot_flop_per_s > 0) {
    samples.bf16_dot_flop_per_s.push_back(limits.bf16_dot_flop_per_s);
    samples.prefill_dot_share.push_back(rate / limits.bf16_dot_flop_per_s);
  }

  for (BatchSamples& batch : samples.decode) {
    ASSIGN_OR_RETURN(const TimedRun run,
                     engine.decode(batch.batch, kDecodePromptTokens, plan.decode_tokens));
    const double tokens_per_s = static_cast<double>(run.tokens) / run.seconds;
    batch.tokens_per_s.push_back(tokens_per_s);
    if (batch.batch != 1) continue;
    const auto weight_size = static_cast<double>(tensor::dtype_size(info.weight_dtype));
    const std::int64_t context = kDecodePromptTokens + plan.decode_tokens / 2;
    const double bytes = weight_bytes_per_step(subject.shape, weight_size) +
                         kv_bytes_per_step(subject.shape, context, f32 ? 4 : 2);
    samples.decode_share.push_back(bytes * tokens_per_s / limits.read_bytes_per_s);
    samples.host_us_per_step.push_back(run.host_s_per_step * 1e6);
  }
  return ok_status();
}

Result<Samples> measure(const BenchFlags& flags,
                        const Plan& plan,
                        ModelHost& host,
                        const Subject& subject) {
  Samples samples;
  for (const std::int32_t batch : plan.batches) samples.decode.push_back({batch, {}});
  const std::int64_t kv_tokens = std::max<std::int64_t>(
      kPrefillTokens,
      std::int64_t{plan.batches.back()} * (kDecodePromptTokens + plan.decode_tokens));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<BenchEngine> engine,
      BenchEngine::create(subject.model, plan.batches.back(), kv_tokens, host.clock()));
  // The first touch of weights and cache is not what is measured.
  RETURN_IF_ERROR(engine->prefill(kPrefillTokens).status());
  for (int i = 0; i < plan.runs; ++i) {
    std::fprintf(stderr, "run %d of %d\n", i + 1, plan.runs);
    RETURN_IF_ERROR(run_round(host, *engine, subject, plan, samples));
    if (flags.starter.empty()) continue;
    ASSIGN_OR_RETURN(const double seconds, start_to_first_token(flags.starter));
    samples.start_to_first_token_ms.push_back(seconds * 1e3);
  }
  return samples;
}

struct Row {
  std::string key;
  std::string label;
  std::string unit;
  double scale = 1;
  const std::vector<double>* samples = nullptr;
};

std::vector<Row> rows_of(const Samples& samples) {
  std::vector<Row> rows = {
      {"read_bandwidth", "read bandwidth", "GB/s", 1e-9, &samples.read_bytes_per_s},
      {"bf16_peak", "peak of bf16 products", "GFLOP/s", 1e-9, &samples.bf16_flop_per_s},
      {"bf16_loaded_peak",
       "  with operands loaded",
       "GFLOP/s",
       1e-9,
       &samples.bf16_loaded_flop_per_s},
      {"bf16_dot_peak", "bf16 peak of vdpbf16ps", "GFLOP/s", 1e-9, &samples.bf16_dot_flop_per_s},
      {"f32_peak", "f32 peak", "GFLOP/s", 1e-9, &samples.f32_flop_per_s},
      {"prefill_512", "prefill of 512 tokens", "tokens/s", 1, &samples.prefill_tokens_per_s},
      {"prefill_512_share", "  share of the peak", "%", 100, &samples.prefill_share},
      {"prefill_512_loaded_share",
       "  with operands loaded",
       "%",
       100,
       &samples.prefill_loaded_share},
      {"prefill_512_dot_share", "  share of vdpbf16ps", "%", 100, &samples.prefill_dot_share},
  };
  for (const BatchSamples& batch : samples.decode) {
    rows.push_back({str("decode_batch_", batch.batch),
                    str("decode, ", batch.batch, batch.batch == 1 ? " sequence" : " sequences"),
                    "tokens/s",
                    1,
                    &batch.tokens_per_s});
    if (batch.batch != 1) continue;
    rows.push_back(
        {"decode_share", "  share of the read bandwidth", "%", 100, &samples.decode_share});
    rows.push_back({"host_us_per_step",
                    "  engine time outside kernels",
                    "us/step",
                    1,
                    &samples.host_us_per_step});
  }
  if (!samples.start_to_first_token_ms.empty()) {
    rows.push_back({"start_to_first_token",
                    "start to first token, starter",
                    "ms",
                    1,
                    &samples.start_to_first_token_ms});
  }
  std::erase_if(rows, [](const Row& row) { return row.samples->empty(); });
  return rows;
}

Json to_json(const Samples& samples, const Subject& subject, int threads) {
  const runtime::ModelInfo& info = subject.model->info();
  Json json;
  json["version"] = version();
  json["build_type"] = build_type();
  json["model"] = subject.name;
  json["parameters"] = info.parameter_count;
  json["weight_dtype"] = tensor::dtype_name(info.weight_dtype);
  json["arithmetic"] = info.arithmetic == runtime::Arithmetic::kF32 ? "f32" : "bf16";
  json["isa"] = info.isa;
  json["threads"] = threads;
  for (const Row& row : rows_of(samples)) {
    const Spread spread = spread_of(*row.samples);
    json["results"][row.key] = {{"unit", row.unit},
                                {"median", spread.median * row.scale},
                                {"p20", spread.p20 * row.scale},
                                {"p80", spread.p80 * row.scale},
                                {"runs", spread.count}};
  }
  return json;
}

void print_table(const Samples& samples, const Subject& subject, int threads) {
  const runtime::ModelInfo& info = subject.model->info();
  std::printf("%s, %s, %d threads\n", subject.name.c_str(), info.isa.c_str(), threads);
  std::printf("%-32s %12s %12s %12s\n", "", "median", "20 %", "80 %");
  for (const Row& row : rows_of(samples)) {
    const Spread spread = spread_of(*row.samples);
    std::printf("%-32s %12.1f %12.1f %12.1f  %s\n",
                row.label.c_str(),
                spread.median * row.scale,
                spread.p20 * row.scale,
                spread.p80 * row.scale,
                row.unit.c_str());
  }
}

Result<int> bench(const BenchFlags& flags, const Config& config) {
  if (build_type() != "release") {
    std::fputs("note: this is no release build; its speed says nothing\n", stderr);
  }
  Plan plan;
  if (flags.quick) {
    plan = {.runs = 2,
            .decode_tokens = 16,
            .time_per_limit = std::chrono::milliseconds(100),
            .batches = {1, 8}};
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelHost> host, ModelHost::create(config));
  ASSIGN_OR_RETURN(const Subject subject, load_subject(flags, config, *host));
  if (flags.measure)
    return measure_lines(std::cin, subject.model, host->clock()) ? kExitOk : kExitFailure;
  ASSIGN_OR_RETURN(const Samples samples, measure(flags, plan, *host, subject));
  const int threads = host->device().thread_count();
  if (flags.json) {
    std::printf("%s\n", to_json(samples, subject, threads).dump(2).c_str());
  } else {
    print_table(samples, subject, threads);
  }
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<BenchFlags>();
  command
      .add_option("--shape",
                  flags->shape,
                  "Random weights in this shape: 135m, 0.5b, each also with -moe or -mla, or 1.1b "
                  "(default 1.1b)")
      ->type_name("NAME");
  command.add_option("--model", flags->model, "A real model instead")->type_name("DIR");
  command
      .add_option("--starter",
                  flags->starter,
                  "Also measure a process's start to the first token of this model")
      ->type_name("DIR");
  command.add_flag("--quick", flags->quick, "Fewer and shorter runs: a first impression");
  command.add_flag("--json", flags->json, "Print one JSON object");
  command.add_flag("--measure",
                   flags->measure,
                   "Measure what the lines of stdin ask for, one JSON object for each; "
                   "docs/benchmarks.md lists them");
  return [flags](const Config& config) { return bench(*flags, config); };
}

}  // namespace

extern const Verb kBenchVerb;
const Verb kBenchVerb = {
    .name = "bench",
    .rank = 7,
    .summary = "Measure speed, as a share of what this machine can do",
    .examples =
        "  inferneo bench --starter models/starter\n"
        "  inferneo bench --shape 135m --quick\n"
        "  inferneo bench --model /models/llama --json > result.json\n"
        "\n"
        "Each run measures the limits of the machine (read bandwidth, arithmetic peaks) next\n"
        "to the model, because shared machines change from minute to minute. Figures are the\n"
        "median of the runs with the 20th and 80th percentile.",
    .config = ConfigUse::kEngine,
    .declare = declare};

}  // namespace inferneo::app
