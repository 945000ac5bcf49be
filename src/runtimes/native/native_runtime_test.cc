#include "runtimes/native/native_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "graph/matrices.h"
#include "runtimes/native/random_model.h"
#include "runtimes/native/token_logits.h"

namespace inferneo::runtimes::native {
namespace {

using runtime::Arithmetic;
using testing::HasSubstr;

const std::string kStarter = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";
const std::string kVariants = std::string(INFERNEO_SOURCE_DIR) + "/tests/models/";

std::unique_ptr<device::CpuDevice> make_device(int thread_count = 2, const char* isa = "") {
  return device::CpuDevice::create({thread_count, isa}).value();
}

std::vector<TokenId> random_ids(std::size_t count, std::int32_t vocab_size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<unsigned>(vocab_size));
  return ids;
}

// Sequences that run in shared steps, each with its own blocks, all of its logits kept.
class Batch {
 public:
  Batch(const runtime::Model& model, std::vector<std::vector<TokenId>> prompts)
      : vocab_size_(static_cast<std::size_t>(model.info().vocab_size)),
        prompts_(std::move(prompts)),
        done_(prompts_.size()),
        blocks_(prompts_.size()),
        logits_(prompts_.size()) {
    runtime::RunnerOptions options;
    options.step_token_count_max = 256;
    options.sequence_count_max = static_cast<std::int32_t>(prompts_.size());
    options.logit_row_count_max = 256;
    options.kv_block_count = 0;
    // Blocks are dealt out one each in turn, so that no sequence's blocks lie side by side.
    for (std::size_t position = 0;; position += 16) {
      bool any = false;
      for (std::size_t s = 0; s < prompts_.size(); ++s) {
        if (position >= prompts_[s].size()) continue;
        blocks_[s].push_back(static_cast<kv::BlockId>(options.kv_block_count++));
        any = true;
      }
      if (!any) break;
    }
    runner_ = model.make_runner(options).value();
  }

  // Runs steps until all prompts are done; chunk(sequence) says how many tokens come next.
  void run(const std::function<std::size_t(std::size_t)>& chunk) {
    for (;;) {
      std::vector<TokenId> ids;
      std::vector<runtime::StepSequence> sequences;
      std::vector<std::size_t> who;
      for (std::size_t s = 0; s < prompts_.size(); ++s) {
        const std::size_t count =
            std::min({chunk(s), prompts_[s].size() - done_[s], 256 - ids.size()});
        if (count == 0) continue;
        sequences.push_back({static_cast<std::int32_t>(ids.size()),
                             static_cast<std::int32_t>(count),
                             static_cast<std::int32_t>(done_[s]),
                             blocks_[s]});
        who.push_back(s);
        const auto begin = prompts_[s].begin() + static_cast<std::ptrdiff_t>(done_[s]);
        ids.insert(ids.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
        done_[s] += count;
      }
      if (ids.empty()) return;
      std::vector<std::int32_t> rows(ids.size());
      std::iota(rows.begin(), rows.end(), 0);
      const auto result = runner_->wait(runner_->submit({ids, sequences, rows}));
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        const float* begin =
            result.logits.data() + static_cast<std::size_t>(sequences[i].token_begin) * vocab_size_;
        logits_[who[i]].insert(
            logits_[who[i]].end(),
            begin,
            begin + static_cast<std::size_t>(sequences[i].token_count) * vocab_size_);
      }
    }
  }

  [[nodiscard]] const std::vector<float>& logits(std::size_t s) const { return logits_[s]; }

 private:
  std::size_t vocab_size_;
  std::vector<std::vector<TokenId>> prompts_;
  std::vector<std::size_t> done_;
  std::vector<std::vector<kv::BlockId>> blocks_;
  std::vector<std::vector<float>> logits_;
  std::unique_ptr<runtime::GenerativeRunner> runner_;
};

using Case = std::tuple<std::string, Arithmetic, std::string>;
class Determinism : public testing::TestWithParam<Case> {};

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const auto* table : kernels::supported_tables()) names.emplace_back(table->name);
  return names;
}

// Bit for bit: alone in one chunk, in chunks of every kind, among others, with 1 and 2 threads.
TEST_P(Determinism, logits_do_not_depend_on_the_batch) {
  const auto& [path, arithmetic, isa] = GetParam();
  const auto two = make_device(2, isa.c_str());
  const auto one = make_device(1, isa.c_str());
  const auto model = make_runtime(*two)->load(path, {arithmetic}, {}).value();
  const auto model_one = make_runtime(*one)->load(path, {arithmetic}, {}).value();
  std::vector<std::vector<TokenId>> prompts;
  for (const std::size_t size : {75U, 1U, 33U, 16U, 50U}) {
    prompts.push_back(random_ids(size, model->info().vocab_size, static_cast<unsigned>(size)));
  }
  std::vector<std::vector<float>> alone;
  for (const auto& prompt : prompts) {
    Batch batch(*model, {prompt});
    batch.run([](std::size_t) { return 256; });
    alone.push_back(batch.logits(0));
  }
  const auto expect_equal =
      [&](const runtime::Model& tested, const auto& chunk, const std::string& what) {
        Batch batch(tested, prompts);
        batch.run(chunk);
        for (std::size_t s = 0; s < prompts.size(); ++s) {
          EXPECT_EQ(batch.logits(s), alone[s]) << what << ", sequence " << s;
        }
      };
  expect_equal(
      *model, [](std::size_t) { return 256; }, "whole prompts");
  expect_equal(
      *model_one, [](std::size_t) { return 256; }, "whole prompts, one thread");
  expect_equal(
      *model, [](std::size_t) { return 1; }, "one token a step");
  expect_equal(
      *model_one, [](std::size_t) { return 7; }, "sevens, one thread");
  std::mt19937 random(5);
  expect_equal(
      *model, [&](std::size_t) { return random() % 20; }, "random chunks");
  // One sequence decodes while the others are prefilled.
  expect_equal(
      *model, [](std::size_t s) { return s == 0 ? 1U : 48U; }, "mixed");
}

INSTANTIATE_TEST_SUITE_P(Models,
                         Determinism,
                         testing::Combine(testing::Values(kVariants + "gqa-bf16-old",
                                                          kVariants + "wide-head-f16",
                                                          kVariants + "bias-f32",
                                                          kVariants + "yarn-f32"),
                                          testing::Values(Arithmetic::kF32, Arithmetic::kBf16),
                                          testing::ValuesIn(table_names())));
INSTANTIATE_TEST_SUITE_P(Starter,
                         Determinism,
                         testing::Combine(testing::Values(kStarter),
                                          testing::Values(Arithmetic::kF32, Arithmetic::kBf16),
                                          testing::Values("")));

using CacheCase = std::tuple<tensor::DType, std::string>;
class CacheTypes : public testing::TestWithParam<CacheCase> {};

// Contexts beyond a range of attention, whose keys several threads share at decode.
TEST_P(CacheTypes, long_contexts_do_not_depend_on_the_batch) {
  const auto& [kv, isa] = GetParam();
  const std::string path = kVariants + "gqa-bf16-old";
  const auto three = make_device(3, isa.c_str());
  const auto one = make_device(1, isa.c_str());
  const auto model = make_runtime(*three)->load(path, {Arithmetic::kBf16, kv}, {}).value();
  const auto model_one = make_runtime(*one)->load(path, {Arithmetic::kBf16, kv}, {}).value();
  EXPECT_EQ(model->info().kv_dtype, kv);
  const std::size_t range = kernels::kAttentionRange;
  std::vector<std::vector<TokenId>> prompts;
  // The scalar table takes seconds for more.
  const std::size_t longest = isa == "reference" ? range + 20 : 2 * range + 70;
  for (const std::size_t size : {longest, range + 1, std::size_t{40}}) {
    prompts.push_back(random_ids(size, model->info().vocab_size, static_cast<unsigned>(size)));
  }
  std::vector<std::vector<float>> alone;
  for (const auto& prompt : prompts) {
    Batch batch(*model_one, {prompt});
    batch.run([](std::size_t) { return 256; });
    alone.push_back(batch.logits(0));
  }
  const auto expect_equal = [&](const auto& tested, const auto& chunk, const std::string& what) {
    Batch batch(*tested, prompts);
    batch.run(chunk);
    for (std::size_t s = 0; s < prompts.size(); ++s) {
      EXPECT_EQ(batch.logits(s), alone[s]) << what << ", sequence " << s;
    }
  };
  expect_equal(
      model, [](std::size_t) { return 100; }, "hundreds");
  // The last tokens one a step, the first sequence alone at the end.
  std::vector<std::size_t> left = {longest, range + 1, 40};
  expect_equal(
      model,
      [&](std::size_t s) {
        const std::size_t count = left[s] > 45 ? std::min<std::size_t>(left[s] - 45, 80) : 1;
        left[s] -= std::min(left[s], count);
        return count;
      },
      "decode");
}

INSTANTIATE_TEST_SUITE_P(Models,
                         CacheTypes,
                         testing::Combine(testing::Values(tensor::DType::kF32,
                                                          tensor::DType::kF16,
                                                          tensor::DType::kBf16,
                                                          tensor::DType::kI8),
                                          testing::ValuesIn(table_names())));

TEST(NativeRuntime, cache_types_have_their_sizes) {
  const auto device = make_device();
  const auto runtime = make_runtime(*device);
  const auto bytes = [&](tensor::DType kv) {
    return runtime->plan(kStarter, {Arithmetic::kBf16, kv}).value().kv_block_bytes;
  };
  constexpr std::uint64_t kRows = 8U * 2 * 2 * 16;  // of 64 elements
  EXPECT_EQ(bytes(tensor::DType::kF32), kRows * 64 * 4);
  EXPECT_EQ(bytes(tensor::DType::kF16), kRows * 64 * 2);
  EXPECT_EQ(bytes(tensor::DType::kBf16), kRows * 64 * 2);
  EXPECT_EQ(bytes(tensor::DType::kI8), kRows * (64 + 4));
}

TEST(NativeRuntime, knows_the_starter_before_and_after_loading) {
  const auto device = make_device();
  const auto runtime = make_runtime(*device);
  EXPECT_GT(runtime->probe(kStarter), 0);
  EXPECT_EQ(runtime->probe(kStarter + "/config.json"), 0);
  EXPECT_EQ(runtime->probe("/nonexistent"), 0);
  const auto plan = runtime->plan(kStarter, {Arithmetic::kF32}).value();
  std::uint64_t done = 0;
  const auto model = runtime
                         ->load(kStarter,
                                {Arithmetic::kF32},
                                [&](std::uint64_t now, std::uint64_t total) {
                                  EXPECT_LE(now, total);
                                  done = now;
                                })
                         .value();
  const runtime::ModelInfo& info = model->info();
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.path, kStarter);
  EXPECT_EQ(info.vocab_size, 4096);
  EXPECT_EQ(info.context_tokens_max, 2048);
  EXPECT_EQ(info.layer_count, 8);
  EXPECT_EQ(info.parameter_count, 7'344'384U);
  EXPECT_EQ(info.weight_dtype, tensor::DType::kBf16);
  EXPECT_EQ(info.arithmetic, Arithmetic::kF32);
  EXPECT_EQ(info.isa, device->kernels().name);
  EXPECT_THAT(info.eos_token_ids, testing::ElementsAre(4090));
  EXPECT_EQ(info.bos_token_id, 4088);
  EXPECT_TRUE(info.generation.greedy);
  // 17 norms of 256 values become f32; everything else stays in the file.
  EXPECT_EQ(plan.weight_copy_bytes, 17U * 256 * 4);
  EXPECT_EQ(plan.weight_packed_bytes, 0U);
  EXPECT_EQ(plan.weight_bytes, (info.parameter_count - 17U * 256) * 2 + plan.weight_copy_bytes);
  EXPECT_EQ(info.memory.weight_bytes, plan.weight_bytes);
  EXPECT_EQ(done, plan.weight_bytes);
  EXPECT_EQ(plan.kv_block_bytes, 8U * 2 * 2 * 16 * 64 * 4);
  // At least the residual stream and the widest value beside it.
  EXPECT_GE(plan.workspace_bytes_per_token, (256U + 768) * 4);
  EXPECT_LE(plan.workspace_bytes_per_token, (2 * 256U + 3 * 768) * 4);
  // The logits, and the rows that they are computed from.
  EXPECT_GE(plan.workspace_bytes_per_logit_row, (4096U + 256) * 4);
  EXPECT_LE(plan.workspace_bytes_per_logit_row, (4096U + 3 * 256) * 4);
}

TEST(NativeRuntime, auto_arithmetic_follows_the_weights) {
  const auto device = make_device();
  const auto runtime = make_runtime(*device);
  const auto arithmetic = [&](const char* variant) {
    return runtime->load(kVariants + variant, {}, {}).value()->info().arithmetic;
  };
  EXPECT_EQ(arithmetic("gqa-bf16-old"), Arithmetic::kBf16);
  const bool packs_f16 = graph::find_matrix_ops(device->kernels(), tensor::DType::kF16) != nullptr;
  EXPECT_EQ(arithmetic("mqa-f16"), packs_f16 ? Arithmetic::kBf16 : Arithmetic::kF32);
  EXPECT_EQ(arithmetic("bias-f32"), Arithmetic::kF32);
}

TEST(NativeRuntime, starter_loads_in_milliseconds) {
  const auto device = make_device();
  const auto runtime = make_runtime(*device);
  double best = 1;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto model = runtime->load(kStarter, {}, {});
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(model);
    best = std::min(best, elapsed.count());
  }
  std::printf("starter loads in %.2f ms\n", best * 1e3);
  EXPECT_LT(best, 0.05);
}

TEST(NativeRuntime, impossible_caches_are_refused_with_numbers) {
  const auto device = make_device();
  const auto model = make_runtime(*device)->load(kStarter, {}, {}).value();
  for (const std::int32_t blocks : {0, -1, 2'000'000'000}) {
    const auto runner = model->make_runner({blocks, 16, 1, 1});
    ASSERT_FALSE(runner);
    EXPECT_EQ(runner.error().code(), StatusCode::kResourceExhausted);
    EXPECT_THAT(runner.error().message(), HasSubstr(str(blocks, " blocks")));
  }
  EXPECT_EQ(model->make_runner({1, 0, 1, 1}).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(model->make_runner({1, 2'000'000'000, 1, 1}).error().code(),
            StatusCode::kResourceExhausted);
}

TEST(SequenceRunner, refuses_what_does_not_fit) {
  const auto device = make_device();
  const auto model = make_runtime(*device)->load(kStarter, {}, {}).value();
  EXPECT_EQ(SequenceRunner::create(*model, 2049).error().code(), StatusCode::kInvalidArgument);
  auto sequence = SequenceRunner::create(*model, 3).value();
  const std::vector<TokenId> outside = {1, 4096};
  EXPECT_THAT(sequence.append(outside).error().message(), HasSubstr("token 1 is 4096"));
  const std::vector<TokenId> four = {1, 2, 3, 4};
  EXPECT_THAT(sequence.append(four).error().message(), HasSubstr("limit of 3"));
  EXPECT_TRUE(sequence.append(std::span(four).first(3)));
}

TEST(RandomModel, is_the_same_for_any_thread_count) {
  RandomModelShape shape;
  shape.hidden_size = 64;
  shape.layer_count = 2;
  shape.head_count = 4;
  shape.kv_head_count = 2;
  shape.head_dim = 16;
  shape.ffn_size = 96;
  shape.vocab_size = 200;
  const auto logits = [&](int threads, std::uint64_t seed) {
    const auto device = make_device(threads);
    const auto model = make_random_model(shape, seed, {Arithmetic::kF32}, *device).value();
    auto sequence = SequenceRunner::create(*model, 8).value();
    return sequence.append_all_logits(random_ids(8, 200, 1)).value();
  };
  const auto first = logits(1, 7);
  EXPECT_EQ(first, logits(2, 7));
  EXPECT_NE(first, logits(2, 8));
  double squares = 0;
  for (const float value : first) squares += static_cast<double>(value) * value;
  // Normal weights of variance 1 / inputs after a norm: logits of variance about 1.
  EXPECT_NEAR(squares / static_cast<double>(first.size()), 1.0, 0.3);
  shape.kv_head_count = 3;
  const auto device = make_device();
  EXPECT_EQ(make_random_model(shape, 7, {}, *device).error().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace inferneo::runtimes::native
