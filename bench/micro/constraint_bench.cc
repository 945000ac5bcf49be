// links: inferneo_text inferneo_engine inferneo_runtimes_native
// What structured output costs: compiling the schemas of tests/structured, the mask of each token
// of sampled outputs with a vocabulary of 128,000 tokens, and a decode step of the starter model
// with and without a schema. Prints percentiles (of masks in time of the processor); times of the
// second pass over the same outputs, when the masks of their positions are known, come beside those
// of the first. INFERNEO_BENCH_TOKENIZER names a model directory whose vocabulary is taken instead.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "device/cpu.h"
#include "engine/engine.h"
#include "runtimes/native/native_runtime.h"
#include "text/grammar/constraint_compiler.h"
#include "text/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer/byte_alphabet.h"

namespace inferneo {
namespace {

using text::grammar::ConstraintCompiler;
using text::grammar::ConstraintPtr;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kVocabSize = 128'000;
constexpr std::size_t kTokensMax = 120;
constexpr int kOutputsPerSchema = 5;
const std::string kSource = INFERNEO_SOURCE_DIR;

double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Time that this thread had a processor: masks take microseconds, and on a busy machine a slice of
// another process takes milliseconds.
double processor_now() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Characters that a merge keeps together: words (a space before them), digits, marks, the rest.
int kind_of(std::string_view token) {
  const auto c = static_cast<unsigned char>(token.back());
  if (c >= 0x80) return 0;
  if (std::isalpha(c) != 0) return 1;
  if (std::isdigit(c) != 0) return 2;
  return c == ' ' || c == '\n' || c == '\t' ? 3 : 4;
}

// A byte-level BPE like those of large models, by random merges: words with and without a space,
// runs of marks and of blanks, numbers, and parts and runs of characters beyond ASCII.
std::shared_ptr<const text::Tokenizer> synthetic_tokenizer() {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  std::vector<std::string> plain;  // bytes of tokens
  std::set<std::string> known;
  const auto spelled = [](std::string_view bytes) {
    std::string out;
    for (const char c : bytes) utf8::append(out, text::byte_to_char(static_cast<std::uint8_t>(c)));
    return out;
  };
  const auto add = [&](const std::string& bytes) {
    if (!known.insert(bytes).second) return false;
    plain.push_back(bytes);
    tokens.push_back(spelled(bytes));
    return true;
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  std::mt19937 random(1);
  const auto pick = [&]() -> const std::string& {
    // Short tokens are merged more often.
    const double share = static_cast<double>(random()) / 4294967296.0;
    return plain[static_cast<std::size_t>(share * share * static_cast<double>(plain.size()))];
  };
  while (tokens.size() < kVocabSize) {
    const std::string left = pick();
    const std::string right = pick();
    const bool space_first = left == " " && kind_of(right) == 1 && right.front() != ' ';
    const bool alike = kind_of(left) == kind_of(right) && right.front() != ' ';
    const bool blanks = kind_of(left) == 3 && kind_of(right) == 3;
    const std::size_t size_max = kind_of(left) == 2 ? 3 : kind_of(left) == 4 ? 6 : 14;
    if (!(space_first || alike || blanks) || left.size() + right.size() > size_max) continue;
    if (kind_of(left) == 0 && static_cast<unsigned char>(left.front()) < 0xC2) continue;
    if (!add(left + right)) continue;
    merges.push_back(spelled(left) + " " + spelled(right));
  }
  tokens.emplace_back("<|end|>");
  text::TokenVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens.assign(tokens.begin(), tokens.end());
  vocabulary.merges.assign(merges.begin(), merges.end());
  vocabulary.kinds.assign(tokens.size(), text::TokenKind::kNormal);
  vocabulary.kinds.back() = text::TokenKind::kControl;
  auto made = text::Tokenizer::from_vocabulary(vocabulary);
  if (!made.has_value()) {
    std::fprintf(stderr, "%s\n", made.error().to_string().c_str());
    std::exit(1);
  }
  return *std::move(made);
}

std::vector<text::Value> read_schemas() {
  std::vector<text::Value> schemas;
  std::ifstream file(kSource + "/tests/structured/schemas.jsonl");
  for (std::string line; std::getline(file, line);) {
    schemas.push_back(*text::parse_json(line).value().find("schema"));
  }
  return schemas;
}

void print(const char* name, std::vector<double> seconds, double scale, const char* unit) {
  if (seconds.empty()) return;
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return seconds[static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1))] *
           scale;
  };
  std::printf("%-34s p50 %9.2f  p90 %9.2f  p99 %9.2f  max %9.2f %s  (%zu)\n",
              name,
              at(0.5),
              at(0.9),
              at(0.99),
              seconds.back() * scale,
              unit,
              seconds.size());
}

// A random token of the mask; -1 for none. Short ones as often as long ones.
TokenId draw(request::TokenMask mask, const text::Tokenizer& tokenizer, std::mt19937& random) {
  std::vector<TokenId> allowed;
  for (std::size_t i = 0; i < mask.size() * 64; ++i) {
    if (request::allows(mask, static_cast<TokenId>(i))) allowed.push_back(static_cast<TokenId>(i));
  }
  if (allowed.empty()) return -1;
  // Why the shortest of three: uniform draws hardly ever close a string.
  TokenId best = allowed[random() % allowed.size()];
  for (int i = 0; i < 2; ++i) {
    const TokenId other = allowed[random() % allowed.size()];
    if (tokenizer.token_bytes(other).size() < tokenizer.token_bytes(best).size()) best = other;
  }
  return best;
}

struct MaskTimes {
  std::vector<double> first;
  std::vector<double> again;
  std::vector<double> accept;
};

void measure_masks(const ConstraintPtr& constraint,
                   const text::Tokenizer& tokenizer,
                   std::mt19937& random,
                   MaskTimes& times) {
  for (int i = 0; i < kOutputsPerSchema; ++i) {
    std::vector<TokenId> output;
    for (const bool again : {false, true}) {
      const auto state = constraint->start();
      for (std::size_t t = 0; t < kTokensMax && !state->must_end(); ++t) {
        const double begin = processor_now();
        const request::TokenMask mask = state->mask();
        (again ? times.again : times.first).push_back(processor_now() - begin);
        if (!again) output.push_back(draw(mask, tokenizer, random));
        if (t >= output.size() || output[t] < 0) break;
        const double before = processor_now();
        state->accept(output[t]);
        times.accept.push_back(processor_now() - before);
      }
    }
  }
}

class Sink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& /*delta*/) override {}
  void on_end(const request::Usage& usage,
              const request::RequestTiming& timing,
              const Status& status) override {
    const std::lock_guard lock(mutex_);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.to_string().c_str());
    per_token_ = to_seconds(timing.total - timing.first_token) / (usage.completion_tokens - 1);
    ended_ = true;
    changed_.notify_all();
  }
  double wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    return per_token_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  double per_token_ = 0;
  bool ended_ = false;
};

// The same number of tokens with and without a schema, in turns.
void measure_decode() {
  const std::string dir = kSource + "/models/starter";
  const auto device = device::CpuDevice::create({}).value();
  const auto runtime = runtimes::native::make_runtime(*device);
  const auto model = runtime->load(dir, {}, {}).value();
  const std::shared_ptr<const text::Tokenizer> tokenizer = text::Tokenizer::load(dir).value();
  ConstraintCompiler compiler(tokenizer);
  observe::ModelMetrics metrics;
  const SteadyClock clock;
  engine::EngineOptions options;
  options.name = "bench";
  options.kv_block_count = 1024;
  auto engine = engine::Engine::create(model, tokenizer, options, clock, metrics).value();
  const text::Value schema =
      text::parse_json(R"({"type":"object","properties":{"text":{"type":"string","minLength":3000}},
                          "required":["text"],"additionalProperties":false})")
          .value();
  const ConstraintPtr constraint = compiler.json_schema(schema, false).value();
  std::vector<double> free;
  std::vector<double> kept;
  for (int pair = 0; pair < 24; ++pair) {
    for (const bool with : {false, true}) {
      request::GenerateRequest request;
      request.prompt = tokenizer->encode("The dog said:");
      request.sampling.max_tokens = 256;
      request.sampling.ignore_eos = true;
      request.sampling.seed = static_cast<std::uint64_t>(pair);
      if (with) request.constraint = constraint;
      const auto sink = std::make_shared<Sink>();
      if (!engine->submit(request, sink).has_value()) return;
      (with ? kept : free).push_back(sink->wait());
    }
  }
  print("decode step, free", free, 1e6, "us");
  print("decode step, with a schema", kept, 1e6, "us");
  std::vector<double> ratios;
  for (std::size_t i = 0; i < free.size(); ++i) ratios.push_back(kept[i] / free[i]);
  std::sort(ratios.begin(), ratios.end());
  std::printf("slowdown, median of pairs: %.2f %%\n", (ratios[ratios.size() / 2] - 1) * 100);
}

void run() {
  const char* dir = std::getenv("INFERNEO_BENCH_TOKENIZER");
  const std::shared_ptr<const text::Tokenizer> tokenizer =
      dir != nullptr ? text::Tokenizer::load(std::string(dir)).value() : synthetic_tokenizer();
  ConstraintCompiler compiler(tokenizer);
  const double begin = now();
  (void)compiler.json_object(false);
  std::printf("vocabulary of %d tokens prepared in %.0f ms\n",
              tokenizer->vocab_size(),
              (now() - begin) * 1e3);
  std::vector<double> compile;
  MaskTimes times;
  std::mt19937 random(2);
  for (const text::Value& schema : read_schemas()) {
    const double before = now();
    const auto constraint = compiler.json_schema(schema, false);
    compile.push_back(now() - before);
    if (constraint.has_value()) measure_masks(*constraint, *tokenizer, random, times);
  }
  print("schema compile", compile, 1e3, "ms");
  print("mask, first time", times.first, 1e6, "us");
  print("mask, position met before", times.again, 1e6, "us");
  print("accept a token", times.accept, 1e6, "us");
  measure_decode();
}

}  // namespace
}  // namespace inferneo

int main() { inferneo::run(); }
