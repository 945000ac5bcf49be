// Every architecture against transformers: logits and greedy tokens of tiny models, alone, among
// others, in chunks, with a prefix from the cache and after preemption, in f32 and with packed
// matrices.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/manual_clock.h"
#include "engine/engine_core.h"
#include "golden_models.h"
#include "runtimes/native/native_runtime.h"
#include "runtimes/native/token_logits.h"

namespace inferneo {
namespace {

using engine::ActiveRequest;
using engine::CoreOptions;
using engine::EngineCore;
using engine::TokenEvent;
using runtime::Arithmetic;
using runtimes::native::SequenceRunner;
using tensor::DType;
using testing::GoldenModel;
using testing::GoldenPrompt;

// Those with logits, and those that give vectors.
std::vector<GoldenModel> golden_models_that(bool generate) {
  std::vector<GoldenModel> models = testing::read_golden_models();
  std::erase_if(models, [&](const GoldenModel& model) { return model.generates() != generate; });
  return models;
}
const std::vector<GoldenModel>& golden_models() {
  static const std::vector<GoldenModel> models = golden_models_that(true);
  return models;
}
const std::vector<GoldenModel>& vector_models() {
  static const std::vector<GoldenModel> models = golden_models_that(false);
  return models;
}

std::unique_ptr<device::CpuDevice> make_device() {
  return device::CpuDevice::create({2, ""}).value();
}

// Largest difference as a share of the largest reference value.
double relative_difference(const std::vector<float>& found, const std::vector<float>& wanted) {
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!std::isfinite(found[i])) return INFINITY;
    largest = std::max(largest, std::abs(double{wanted[i]}));
    difference = std::max(difference, std::abs(double{found[i]} - double{wanted[i]}));
  }
  return difference / largest;
}

// How far the best logit is above the second, as a share of the largest.
double margin(std::vector<float> logits) {
  const auto absolute = [](float a, float b) { return std::abs(a) < std::abs(b); };
  const double largest =
      std::abs(double{*std::max_element(logits.begin(), logits.end(), absolute)});
  std::nth_element(logits.begin(), logits.begin() + 1, logits.end(), std::greater<>());
  return (double{logits[0]} - double{logits[1]}) / largest;
}

struct Comparison {
  double logits = 0;
  int wrong_tokens = 0;
  int excused_tokens = 0;  // wrong, but the two best logits are within the tolerance
};

// Follows the golden continuation, so that one early difference does not hide the later ones.
Comparison compare(const runtime::Model& model,
                   const std::vector<GoldenPrompt>& prompts,
                   double tolerance) {
  Comparison result;
  for (const GoldenPrompt& prompt : prompts) {
    const auto room = static_cast<std::int32_t>(prompt.ids.size() + prompt.greedy.size());
    SequenceRunner sequence = SequenceRunner::create(model, room).value();
    std::vector<float> logits = sequence.append(prompt.ids).value();
    result.logits = std::max(result.logits, relative_difference(logits, prompt.logits));
    for (const TokenId token : prompt.greedy) {
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      if (best != token)
        ++(margin(logits) < tolerance ? result.excused_tokens : result.wrong_tokens);
      logits = sequence.append(std::span(&token, 1)).value();
    }
  }
  return result;
}

class Architecture : public ::testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static const GoldenModel& golden() { return golden_models()[GetParam()]; }
};

// Bound: the issue asks for 1e-3; sums in f32 of these sizes agree to a few 1e-6. Attention in the
// latent space adds the same products in another order than the reference.
TEST_P(Architecture, f32_equals_the_reference) {
  const double bound = golden().family == "deepseek" ? 2e-4 : 2e-5;
  const auto device = make_device();
  const auto model =
      testing::load_golden_model(golden(), DType::kF32, {Arithmetic::kF32, {}, {}}, *device);
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  const Comparison found = compare(**model, golden().prompts, bound);
  std::printf("%s %s: logits differ by %.1e, %d tokens excused\n",
              golden().family.c_str(),
              golden().variant.c_str(),
              found.logits,
              found.excused_tokens);
  EXPECT_LT(found.logits, bound);
  EXPECT_EQ(found.wrong_tokens, 0);
}

// Weights are exact in these types; activations are rounded to pairs of bf16 or to f16, keys and
// values to f16. Where experts are nearly equal, a rounding error changes the choice among them and
// with it the logits as a whole.
TEST_P(Architecture, packed_matrices_are_near_the_reference) {
  const bool chooses = golden().config.find("experts") != std::string::npos;
  const double bound = chooses ? 0.5 : 2e-2;
  const auto device = make_device();
  for (const DType dtype : {DType::kBf16, DType::kF16}) {
    const auto model =
        testing::load_golden_model(golden(), dtype, {Arithmetic::kBf16, {}, {}}, *device);
    ASSERT_TRUE(model.has_value()) << model.status().to_string();
    const Comparison found = compare(**model, golden().prompts, bound);
    EXPECT_LT(found.logits, bound) << tensor::dtype_name(dtype);
    EXPECT_LE(found.wrong_tokens, chooses ? 8 : 0) << tensor::dtype_name(dtype);
  }
}

// A core on one model, driven step by step.
class Driver {
 public:
  Driver(const runtime::Model& model, const CoreOptions& options)
      : runner_(model.make_runner(EngineCore::runner_options(options)).value()),
        core_(options, model.info(), *runner_, clock_, metrics_) {}

  const ActiveRequest& add(std::vector<TokenId> prompt, std::int32_t tokens, int priority = 0) {
    auto active = std::make_unique<ActiveRequest>();
    active->request.prompt = std::move(prompt);
    active->request.sampling.temperature = 0;
    active->request.sampling.max_tokens = tokens;
    active->request.sampling.ignore_eos = true;
    active->request.priority = priority;
    active->submitted_at = clock_.now();
    requests_.push_back(std::move(active));
    core_.add(*requests_.back());
    return *requests_.back();
  }
  void step() {
    for (const TokenEvent& event : core_.step()) {
      if (event.kind == TokenEvent::Kind::kToken) {
        tokens_[event.request].push_back(event.sampled.id);
      }
    }
  }
  void run() {
    for (int i = 0; i < 5000 && core_.has_work(); ++i) step();
    EXPECT_FALSE(core_.has_work());
    EXPECT_TRUE(core_.cache().consistent());
  }
  [[nodiscard]] const std::vector<TokenId>& tokens(const ActiveRequest& request) {
    return tokens_[&request];
  }
  [[nodiscard]] const observe::ModelMetrics& metrics() const { return metrics_; }
  [[nodiscard]] const engine::Scheduler& scheduler() const { return core_.scheduler(); }
  [[nodiscard]] const kv::KvCache& cache() const { return core_.cache(); }
  [[nodiscard]] bool has_work() const { return core_.has_work(); }

 private:
  ManualClock clock_;
  observe::ModelMetrics metrics_;
  std::unique_ptr<runtime::GenerativeRunner> runner_;
  EngineCore core_;
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::map<const ActiveRequest*, std::vector<TokenId>> tokens_;
};

CoreOptions core_options(std::int32_t blocks, std::int32_t step_tokens) {
  return {blocks, 12, step_tokens, 64, true, 7};
}

TEST_P(Architecture, tokens_are_the_same_alone_among_others_in_chunks_and_from_the_cache) {
  const auto device = make_device();
  const auto model =
      testing::load_golden_model(golden(), DType::kF32, {Arithmetic::kF32, {}, {}}, *device);
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  const GoldenPrompt& shorter = golden().prompts.front();
  const GoldenPrompt& longer = golden().prompts.back();
  const auto count = static_cast<std::int32_t>(longer.greedy.size());

  Driver alone(**model, core_options(16, 128));
  const ActiveRequest& single = alone.add(longer.ids, count);
  alone.run();
  EXPECT_EQ(alone.tokens(single), longer.greedy) << "alone";
  // The same again finds its first blocks in the cache.
  const ActiveRequest& again = alone.add(longer.ids, count);
  alone.run();
  EXPECT_EQ(alone.tokens(again), longer.greedy) << "with a prefix from the cache";
  EXPECT_GT(alone.metrics().prefix_cache_hits.value(), 0);

  // Nine at once, in chunks of a few tokens.
  Driver batched(**model, core_options(64, 13));
  std::vector<const ActiveRequest*> longs;
  std::vector<const ActiveRequest*> shorts;
  for (int i = 0; i < 9; ++i) {
    const bool is_long = i % 3 == 0;
    (is_long ? longs : shorts).push_back(&batched.add(is_long ? longer.ids : shorter.ids, count));
  }
  batched.run();
  for (const ActiveRequest* each : longs) EXPECT_EQ(batched.tokens(*each), longer.greedy);
  for (const ActiveRequest* each : shorts) EXPECT_EQ(batched.tokens(*each), shorter.greedy);
}

TEST_P(Architecture, tokens_are_the_same_after_preemption) {
  const auto device = make_device();
  const auto model =
      testing::load_golden_model(golden(), DType::kF32, {Arithmetic::kF32, {}, {}}, *device);
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  const GoldenPrompt& longer = golden().prompts.back();
  const auto count = static_cast<std::int32_t>(longer.greedy.size());
  // Five blocks a sequence and seven in all: two of them cannot be held to their ends.
  Driver driver(**model, core_options(7, 64));
  const ActiveRequest& victim = driver.add(longer.ids, count);
  for (int i = 0; i < 6; ++i) driver.step();
  std::vector<TokenId> other = longer.ids;
  std::reverse(other.begin(), other.end());
  driver.add(other, count, 1);
  driver.run();
  EXPECT_GT(driver.scheduler().preemption_count(), 0U);
  EXPECT_EQ(driver.tokens(victim), longer.greedy);
}

// Layers with a window give back the blocks behind it: a sequence as long as the context fits into
// the smallest pool of them, whatever its chunks, and what the index kept of it is found again.
TEST_P(Architecture, windows_take_a_bounded_number_of_blocks) {
  const auto device = make_device();
  const auto model =
      testing::load_golden_model(golden(), DType::kF32, {Arithmetic::kF32, {}, {}}, *device);
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  const runtime::ModelInfo& info = (*model)->info();
  if (info.memory.kv_window_block_bytes == 0) return;
  const GoldenPrompt& longer = golden().prompts.back();
  const auto prompt = static_cast<std::int32_t>(longer.ids.size());
  const std::int32_t tokens = std::min(info.context_tokens_max, 128) - prompt;
  ASSERT_GE(tokens, std::ssize(longer.greedy));
  const std::int32_t bound = info.memory.kv_window_blocks_for(limits::kKvBlockSizeTokens);
  std::vector<TokenId> first;
  for (const std::int32_t step_tokens : {128, 5}) {
    CoreOptions options = core_options(9, step_tokens);
    options.kv_window_block_count = bound;
    Driver driver(**model, options);
    const ActiveRequest& request = driver.add(longer.ids, tokens);
    std::int32_t used = 0;
    while (driver.has_work()) {
      driver.step();
      used = std::max(used, driver.cache().window_pool().used());
    }
    EXPECT_LE(used, bound);
    EXPECT_LT(used, kv::KvCache::blocks_for(prompt + tokens));
    EXPECT_EQ(driver.scheduler().preemption_count(), 0U);
    std::vector<TokenId> found = driver.tokens(request);
    if (first.empty()) first = found;
    EXPECT_EQ(found, first);
    found.resize(longer.greedy.size());
    EXPECT_EQ(found, longer.greedy);
    // A question more in the same conversation.
    std::vector<TokenId> conversation = longer.ids;
    conversation.insert(conversation.end(), first.begin(), first.end());
    conversation.resize(conversation.size() - 8);
    const ActiveRequest& again = driver.add(conversation, 4);
    driver.run();
    EXPECT_TRUE(
        std::equal(driver.tokens(again).begin(), driver.tokens(again).end(), first.end() - 8));
    EXPECT_GT(driver.metrics().prefix_cache_hits.value(), 0);
  }
}

// A checkpoint as GPT-OSS is published: pairs of tensors, in a file.
TEST(Mxfp4Checkpoint, is_read_from_a_directory_and_refused_by_the_name_of_what_is_missing) {
  const auto& all = golden_models();
  const auto golden = std::find_if(
      all.begin(), all.end(), [](const GoldenModel& model) { return model.variant == "mxfp4"; });
  ASSERT_NE(golden, all.end());
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) /
                                       ("inferneo_mxfp4_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto device = make_device();
  const auto runtime = runtimes::native::make_runtime(*device);
  ASSERT_TRUE(testing::save_golden_model(*golden, folder).ok());
  const auto model = runtime->load(folder, {Arithmetic::kF32, {}, {}}, {});
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  const Comparison found = compare(**model, golden->prompts, 2e-5);
  EXPECT_LT(found.logits, 2e-5);
  EXPECT_EQ(found.wrong_tokens, 0);

  const std::string missing = "model.layers.1.mlp.experts.down_proj_scales";
  ASSERT_TRUE(testing::save_golden_model(*golden, folder, missing).ok());
  const Status status = runtime->load(folder, {}, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kCorruptData);
  EXPECT_NE(status.message().find(missing + "\" is missing"), std::string::npos)
      << status.message();
  std::filesystem::remove_all(folder);
}

class VectorModel : public ::testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static const GoldenModel& golden() { return vector_models()[GetParam()]; }
};

// The first and the last row of each prompt, all prompts in one step. Shape: [prompts][2]
std::vector<std::vector<std::vector<float>>> run_at_once(const runtime::Model& model,
                                                         const std::vector<GoldenPrompt>& prompts) {
  constexpr std::int32_t kBlocks = 8;
  const auto count = static_cast<std::int32_t>(prompts.size());
  runtime::RunnerOptions options;
  options.kv_block_count = kBlocks * count;
  options.step_token_count_max = 16 * kBlocks * count;
  options.sequence_count_max = count;
  options.logit_row_count_max = 2 * count;
  const auto runner = model.make_runner(options).value();
  std::vector<kv::BlockId> blocks(static_cast<std::size_t>(kBlocks * count));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    blocks[blocks.size() - 1 - i] = static_cast<kv::BlockId>(i);
  }
  std::vector<TokenId> ids;
  std::vector<std::int32_t> rows;
  std::vector<runtime::StepSequence> sequences;
  for (const GoldenPrompt& prompt : prompts) {
    const auto begin = static_cast<std::int32_t>(ids.size());
    const auto length = static_cast<std::int32_t>(prompt.ids.size());
    ids.insert(ids.end(), prompt.ids.begin(), prompt.ids.end());
    rows.insert(rows.end(), {begin, begin + length - 1});
    const std::size_t first = sequences.size() * kBlocks;
    sequences.push_back(
        {begin, length, 0, std::span(blocks).subspan(first, kBlocks), {}, prompt.second_begin});
  }
  const auto result = runner->wait(runner->submit({ids, sequences, {}, rows}));
  const auto width = static_cast<std::size_t>(model.info().vectors.hidden_size);
  std::vector<std::vector<std::vector<float>>> vectors;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const float* at = result.hidden.data() + 2 * i * width;
    vectors.push_back({{at, at + width}, {at + width, at + 2 * width}});
  }
  return vectors;
}

// The rows of all prompts against the reference, alone and in one step, and of which position they
// are where they are scores of classes.
void expect_rows(const runtime::Model& model, const std::vector<GoldenPrompt>& prompts) {
  constexpr double bound = 2e-5;
  const runtime::ModelInfo& info = model.info();
  EXPECT_FALSE(info.generates);
  const auto together = run_at_once(model, prompts);
  for (std::size_t i = 0; i < together.size(); ++i) {
    const GoldenPrompt& prompt = prompts[i];
    EXPECT_EQ(together[i], run_at_once(model, {prompt}).front()) << "a batch changed bits";
    if (info.vectors.class_count == 0) {
      EXPECT_LT(relative_difference(together[i][0], prompt.rows[0]), bound);
      EXPECT_LT(relative_difference(together[i][1], prompt.rows[1]), bound);
    } else {
      ASSERT_EQ(static_cast<std::size_t>(info.vectors.class_count), prompt.rows[0].size());
      const bool is_first = info.vectors.pooling == request::Pooling::kCls;
      EXPECT_LT(relative_difference(together[i][is_first ? 0 : 1], prompt.rows[0]), bound);
    }
  }
}

TEST_P(VectorModel, rows_equal_the_reference_alone_and_in_a_batch) {
  const auto device = make_device();
  const auto model =
      testing::load_golden_model(golden(), DType::kF32, {Arithmetic::kF32, {}, {}}, *device);
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  expect_rows(**model, golden().prompts);
}

const std::vector<testing::GoldenFile>& golden_files() {
  static const std::vector<testing::GoldenFile> files = testing::read_golden_files();
  return files;
}

class GgufArchitecture : public ::testing::TestWithParam<std::size_t> {};

// Names of weights and keys, orders of rows, and what converters change.
TEST_P(GgufArchitecture, f32_equals_the_reference) {
  const testing::GoldenFile& golden = golden_files()[GetParam()];
  const double bound = golden.family == "deepseek" ? 2e-4 : 2e-5;
  const auto device = make_device();
  const auto model =
      runtimes::native::make_runtime(*device)->load(golden.path, {Arithmetic::kF32, {}, {}}, {});
  ASSERT_TRUE(model.has_value()) << model.status().to_string();
  if (!golden.generates()) return expect_rows(**model, golden.prompts);
  const Comparison found = compare(**model, golden.prompts, bound);
  EXPECT_LT(found.logits, bound);
  EXPECT_EQ(found.wrong_tokens, 0);
}

std::string test_name(const GoldenModel& golden) {
  std::string name = golden.family + "_" + golden.variant;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tiny,
                         Architecture,
                         ::testing::Range(std::size_t{0}, golden_models().size()),
                         [](const auto& each) { return test_name(golden_models()[each.param]); });
INSTANTIATE_TEST_SUITE_P(Tiny,
                         GgufArchitecture,
                         ::testing::Range(std::size_t{0}, golden_files().size()),
                         [](const auto& each) { return golden_files()[each.param].name; });
INSTANTIATE_TEST_SUITE_P(Tiny,
                         VectorModel,
                         ::testing::Range(std::size_t{0}, vector_models().size()),
                         [](const auto& each) { return test_name(vector_models()[each.param]); });

}  // namespace
}  // namespace inferneo
