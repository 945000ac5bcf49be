#include "graph/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/limits.h"
#include "graph/matrices.h"

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::TensorView;

constexpr std::int64_t kHidden = 256;
constexpr std::int64_t kFfn = 512;
constexpr std::int64_t kVocab = 128;
constexpr std::int32_t kStreams = 100;  // enough for the kernels of many rows

// A model of layers as Llama has them, with random weights of one type.
class TestModel {
 public:
  TestModel(int layers, DType dtype, device::CpuDevice& device) : dtype_(dtype) {
    const AttentionShape shape = {layers, 4, 2, 64};
    Rope rope;
    for (int i = 0; i < 32; ++i) {
      rope.inverse_frequencies.push_back(std::pow(10000.0F, -static_cast<float>(i) / 32));
    }
    ProgramBuilder builder(shape, rope, {.packed = dtype == DType::kBf16, .kv = DType::kF32});
    build(builder, layers);
    program_ = std::move(builder).finish(logits_).value();
    constants_ = std::make_unique<Constants>(program_);
    const MatricesPlan plan = plan_matrices(program_, device.kernels());
    image_ = AnonymousMemory::allocate(plan.image_size + 64, "a test").value();
    auto packer = MatrixPacker::create(program_, plan, device).value();
    for (std::size_t i = 0; i < program_.matrices.size(); ++i) {
      packer.pack(static_cast<MatrixId>(i), image_.data());
    }
    matrices_ = std::make_unique<Matrices>(program_, plan, image_.data());
    executor_ =
        Executor::create(
            program_, *constants_, *matrices_, device, {kStreams, kStreams, kStreams, 2 * kStreams})
            .value();
  }

  // A step of one token for each of `streams` sequences at `position`. Returns the logits.
  std::vector<float> decode(std::int32_t streams, std::int32_t position) {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> rows;
    std::vector<std::uint32_t> blocks;
    std::vector<SequenceSlice> slices;
    for (std::int32_t i = 0; i < streams; ++i) {
      ids.push_back(static_cast<std::int32_t>((7 * i + position) % kVocab));
      rows.push_back(i);
      blocks.push_back(static_cast<std::uint32_t>(i));
    }
    for (std::int32_t i = 0; i < streams; ++i) {
      slices.push_back({i, 1, position, blocks.data() + i});
    }
    const std::span<float> logits = executor_->run({ids, slices, rows});
    return {logits.begin(), logits.end()};
  }

 private:
  void build(ProgramBuilder& builder, int layers) {
    const ValueId sum = builder.embed(weight({kVocab, kHidden}));
    for (int layer = 0; layer < layers; ++layer) {
      const ValueId normed = builder.rms_norm(sum, weight({kHidden}), 1e-5F);
      const auto qkv = builder.linear(
          normed, {{weight({256, kHidden})}, {weight({128, kHidden})}, {weight({128, kHidden})}});
      const ValueId mixed = builder.attention(layer, qkv[0], qkv[1], qkv[2]);
      builder.linear_add(sum, mixed, {weight({kHidden, 256})});
      const ValueId second = builder.rms_norm(sum, weight({kHidden}), 1e-5F);
      const ValueId wide =
          builder.gated_linear(second, {weight({kFfn, kHidden})}, {weight({kFfn, kHidden})});
      builder.linear_add(sum, wide, {weight({kHidden, kFfn})});
    }
    const ValueId last = builder.rms_norm(builder.gather_logit_rows(sum), weight({kHidden}), 1e-5F);
    logits_ = builder.linear(last, {{weight({kVocab, kHidden})}}).front();
  }

  TensorView weight(const Shape& shape) {
    std::normal_distribution<float> normal(0, 0.06F);
    std::vector<float> values(static_cast<std::size_t>(shape.element_count()));
    for (float& value : values) value = normal(random_);
    if (shape.rank() == 1) std::fill(values.begin(), values.end(), 1.0F);
    auto& bytes = weights_.emplace_back(values.size() * tensor::dtype_size(dtype_));
    if (dtype_ == DType::kF32) {
      std::memcpy(bytes.data(), values.data(), bytes.size());
    } else {
      kernels::reference_table().f32_to_bf16(values.data(),
                                             reinterpret_cast<kernels::Bf16*>(bytes.data()),
                                             static_cast<std::int64_t>(values.size()));
    }
    return {dtype_, shape, bytes.data()};
  }

  DType dtype_;
  std::minstd_rand random_{1};
  std::vector<std::vector<std::byte>> weights_;
  ValueId logits_ = kNone;
  Program program_;
  std::unique_ptr<Constants> constants_;
  AnonymousMemory image_;
  std::unique_ptr<Matrices> matrices_;
  std::unique_ptr<Executor> executor_;
};

class ExecutorTest : public testing::TestWithParam<DType> {};

std::uint64_t sections_of_a_step(TestModel& model,
                                 device::CpuDevice& device,
                                 std::int32_t streams) {
  const std::uint64_t before = device.section_count();
  (void)model.decode(streams, 0);
  return device.section_count() - before;
}

// Sections end in barriers: the promise that a layer of a decode step waits at most five times.
TEST_P(ExecutorTest, a_layer_of_a_decode_step_has_at_most_five_sections) {
  const auto device = device::CpuDevice::create({.thread_count = 2, .isa = ""}).value();
  TestModel small(1, GetParam(), *device);
  TestModel large(3, GetParam(), *device);
  for (const std::int32_t streams : {1, 2, 8, 16}) {
    const std::uint64_t more =
        sections_of_a_step(large, *device, streams) - sections_of_a_step(small, *device, streams);
    EXPECT_GE(more, 2 * 2U) << streams;
    EXPECT_LE(more, 2 * 5U) << streams;
  }
}

TEST_P(ExecutorTest, logits_do_not_depend_on_threads_or_on_the_streams_beside) {
  const auto alone = device::CpuDevice::create({.thread_count = 1, .isa = ""}).value();
  TestModel reference(2, GetParam(), *alone);
  std::vector<std::vector<float>> expected;
  for (std::int32_t position = 0; position < 3; ++position) {
    expected.push_back(reference.decode(1, position));
  }
  for (const int threads : {1, 2, 5}) {
    const auto device = device::CpuDevice::create({.thread_count = threads, .isa = ""}).value();
    TestModel model(2, GetParam(), *device);
    for (const std::int32_t streams : {2, 16, 17, 40, kStreams}) {
      for (std::int32_t position = 0; position < 3; ++position) {
        std::vector<float> found = model.decode(streams, position);
        found.resize(kVocab);
        EXPECT_EQ(found, expected[static_cast<std::size_t>(position)])
            << threads << " " << streams << " " << position;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ExecutorTest, testing::Values(DType::kF32, DType::kBf16));

}  // namespace
}  // namespace inferneo::graph
