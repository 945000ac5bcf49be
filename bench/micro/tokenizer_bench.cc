// links: inferneo_text
// Encode and decode speed in bytes of text a second, and load time, on one thread. The text is the
// starter model's held-out text; INFERNEO_BENCH_TOKENIZER names another model directory, for a
// large vocabulary, and INFERNEO_BENCH_TEXT another text.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "base/mapped_file.h"
#include "text/tokenizer.h"

namespace inferneo::text {
namespace {

constexpr std::size_t kTextSizeMax = 64 * 1024 * 1024;

std::string setting(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

const std::string kSource = INFERNEO_SOURCE_DIR;

std::string model_dir() { return setting("INFERNEO_BENCH_TOKENIZER", kSource + "/models/starter"); }

const Tokenizer& tokenizer() {
  static const std::unique_ptr<Tokenizer> loaded = Tokenizer::load(model_dir()).value();
  return *loaded;
}

const std::string& text() {
  static const std::string read =
      read_file(setting("INFERNEO_BENCH_TEXT", kSource + "/tests/starter/held_out.txt"),
                kTextSizeMax)
          .value();
  return read;
}

void encode(benchmark::State& state) {
  std::vector<TokenId> ids;
  for (auto _ : state) {
    ids.clear();
    tokenizer().encode(text(), {}, ids);
    benchmark::DoNotOptimize(ids.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text().size()));
  state.counters["bytes_per_token"] =
      static_cast<double>(text().size()) / static_cast<double>(ids.size());
}
BENCHMARK(encode);

// The first text that a tokenizer sees: no word is known yet.
void encode_cold(benchmark::State& state) {
  std::vector<TokenId> ids;
  for (auto _ : state) {
    state.PauseTiming();
    auto fresh = Tokenizer::load(model_dir()).value();
    ids.clear();
    ids.reserve(text().size());
    state.ResumeTiming();
    fresh->encode(text(), {}, ids);
    benchmark::DoNotOptimize(ids.data());
    state.PauseTiming();
    fresh.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text().size()));
}
BENCHMARK(encode_cold);

void decode(benchmark::State& state) {
  const std::vector<TokenId> ids = tokenizer().encode(text());
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer().decode(ids, true).data());
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text().size()));
}
BENCHMARK(decode);

// One piece without a break: the merge queue decides.
void encode_unbroken(benchmark::State& state) {
  std::string run;
  for (std::uint64_t seed = 1; run.size() < static_cast<std::size_t>(state.range(0));) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    run += static_cast<char>('a' + (seed >> 33) % 26);
  }
  std::vector<TokenId> ids;
  for (auto _ : state) {
    ids.clear();
    tokenizer().encode(run, {}, ids);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * run.size()));
}
BENCHMARK(encode_unbroken)->Arg(1 << 16)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

void encode_repeated(benchmark::State& state) {
  const std::string run(static_cast<std::size_t>(state.range(0)), 'a');
  std::vector<TokenId> ids;
  for (auto _ : state) {
    ids.clear();
    tokenizer().encode(run, {}, ids);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * run.size()));
}
BENCHMARK(encode_repeated)->Arg(1 << 16)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

void load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::load(model_dir()).value().get());
}
BENCHMARK(load)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace inferneo::text
