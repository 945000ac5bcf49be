#include "graph/matrices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "graph/executor.h"
#include "graph/memory_planner.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::graph {
namespace {

using kernels::kPanelOutputs;
using kernels::MatrixFormat;
using tensor::DType;
using tensor::TensorView;
using Form = MatrixPlan::Form;

// Panels of plain f32 rows, and inputs that are copied: what packing must mean, without its speed.
// The tag tells kinds of inputs apart; each adds its own offset, so that a matrix that reads the
// inputs of another kind gives wrong results.
template <int kTag>
struct PlainInputs {
  static std::size_t size(std::int64_t m, std::int64_t k) noexcept {
    const std::int64_t rows = (m + kernels::kInputRows - 1) / kernels::kInputRows;
    return static_cast<std::size_t>(rows * kernels::kInputRows * ((k + 15) / 16 * 16)) *
           sizeof(float);
  }
  static void pack(const float* x,
                   std::int64_t x_stride,
                   std::int64_t m_begin,
                   std::int64_t m_end,
                   std::int64_t k,
                   void* packed) noexcept {
    EXPECT_EQ(m_begin % kernels::kInputRows, 0);
    for (std::int64_t i = m_begin; i < m_end; ++i) {
      for (std::int64_t j = 0; j < k; ++j) {
        static_cast<float*>(packed)[i * k + j] = x[i * x_stride + j] + kTag;
      }
    }
  }
  static constexpr kernels::InputOps kOps = {size, pack};
};

std::size_t plain_panel_size(std::int64_t k) noexcept {
  return static_cast<std::size_t>(kPanelOutputs * k) * sizeof(float);
}

float plain_element(const kernels::PanelSource& source, std::int64_t row, std::int64_t j) noexcept {
  if (source.halves != nullptr) {
    float value = 0;
    kernels::reference_table().bf16_to_f32(source.halves + row * source.k + j, &value, 1);
    return value;
  }
  const std::int64_t groups = source.k / 32;
  const std::int64_t group = row * groups + j / 32;
  const float product = source.scales[group] * static_cast<float>(source.codes[row * source.k + j]);
  return source.mins != nullptr ? product + source.mins[group] : product;
}

void plain_pack_panel(const kernels::PanelSource& source, std::byte* panel) noexcept {
  auto* out = reinterpret_cast<float*>(panel);
  std::memset(panel, 0, plain_panel_size(source.k));
  for (std::int64_t i = 0; i < source.row_count; ++i) {
    for (std::int64_t j = 0; j < source.k; ++j) out[i * source.k + j] = plain_element(source, i, j);
  }
}

template <int kTag>
void plain_linear(const kernels::PackedLinearArgs& args) noexcept {
  EXPECT_EQ(args.n_begin % (2 * kPanelOutputs), 0);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(args.panels) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(args.inputs) % 64, 0U);
  const auto* x = static_cast<const float*>(args.inputs);
  const auto* w = reinterpret_cast<const float*>(args.panels);
  for (std::int64_t m = 0; m < args.m; ++m) {
    for (std::int64_t n = args.n_begin; n < args.n_end; ++n) {
      float sum = args.bias != nullptr ? args.bias[n] : 0;
      if (args.accumulate) sum += args.y[m * args.y_stride + n];
      for (std::int64_t j = 0; j < args.k; ++j) {
        sum += (x[m * args.k + j] - kTag) * w[n * args.k + j];
      }
      args.y[m * args.y_stride + n] = sum;
    }
  }
}

constexpr kernels::MatrixOps kPlainHalves = {
    "plain halves", &PlainInputs<1>::kOps, plain_panel_size, plain_pack_panel, plain_linear<1>};
constexpr kernels::MatrixOps kPlainCodes = {
    "plain codes", &PlainInputs<2>::kOps, plain_panel_size, plain_pack_panel, plain_linear<2>};

// bf16 and groups of 32; nothing for f16 and groups of 16.
const kernels::MatrixOps* plain_matrix_ops(const MatrixFormat& format) noexcept {
  if (format.kind == MatrixFormat::Kind::kBf16) return &kPlainHalves;
  return format.kind == MatrixFormat::Kind::kCodes && format.group == 32 ? &kPlainCodes : nullptr;
}

kernels::KernelTable plain_table() {
  kernels::KernelTable table = kernels::reference_table();
  table.matrix_ops = plain_matrix_ops;
  return table;
}

// Rows of bf16 as they lie in the file.
std::size_t row_panel_size(std::int64_t k) noexcept {
  return static_cast<std::size_t>(kPanelOutputs * k) * sizeof(std::uint16_t);
}

void row_linear(const kernels::PackedLinearArgs& args) noexcept {
  const std::int64_t count = args.n_end * args.k;
  const auto image =
      AnonymousMemory::allocate(static_cast<std::size_t>(count) * sizeof(float), "rows").value();
  kernels::reference_table().bf16_to_f32(reinterpret_cast<const std::uint16_t*>(args.panels),
                                         reinterpret_cast<float*>(image.data()),
                                         count);
  kernels::PackedLinearArgs plain = args;
  plain.panels = image.data();
  plain_linear<3>(plain);
}

constexpr kernels::MatrixOps kRows = {
    "rows", &PlainInputs<3>::kOps, row_panel_size, nullptr, row_linear};

kernels::KernelTable row_table() {
  kernels::KernelTable table = kernels::reference_table();
  table.matrix_ops = [](const MatrixFormat& format) noexcept {
    return format.kind == MatrixFormat::Kind::kBf16 ? &kRows : nullptr;
  };
  return table;
}

// A matrix of random elements in memory of its own, as a file would hold it; `shift` bytes off
// alignment.
struct TestMatrix {
  TestMatrix(DType dtype, std::int64_t rows, std::int64_t k, unsigned seed, std::size_t shift = 0)
      : dtype_(dtype), shape_({rows, k}), shift_(shift) {
    bytes_.resize(TensorView{dtype, shape_, nullptr}.byte_size() + shift);
    std::mt19937 random(seed);
    if (tensor::is_quantized(dtype)) {
      fill_blocks(random);
    } else {
      fill_floats(random);
    }
  }

  [[nodiscard]] TensorView view() const { return {dtype_, shape_, bytes_.data() + shift_}; }

  [[nodiscard]] std::vector<float> floats() const {
    const TensorView view = this->view();
    const std::int64_t k = view.shape[1];
    std::vector<float> out(static_cast<std::size_t>(view.shape.element_count()));
    const std::size_t stride = view.byte_size() / static_cast<std::size_t>(view.shape[0]);
    for (std::int64_t row = 0; row < view.shape[0]; ++row) {
      tensor::dequantize_row(
          view.dtype, view.data + static_cast<std::size_t>(row) * stride, k, out.data() + row * k);
    }
    return out;
  }

 private:
  void fill_floats(std::mt19937& random) {
    const auto count = static_cast<std::size_t>(shape_.element_count());
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random);
    std::vector<std::uint16_t> halves(count);
    const kernels::KernelTable& table = kernels::reference_table();
    const void* source = halves.data();
    if (dtype_ == DType::kF32) {
      source = values.data();
    } else if (dtype_ == DType::kF16) {
      table.f32_to_f16(values.data(), halves.data(), static_cast<std::int64_t>(count));
    } else {
      table.f32_to_bf16(values.data(), halves.data(), static_cast<std::int64_t>(count));
    }
    std::memcpy(bytes_.data() + shift_, source, bytes_.size() - shift_);
  }

  // Any bytes are a block; the scales of these types, at either end, are made ordinary numbers.
  void fill_blocks(std::mt19937& random) {
    for (std::byte& byte : bytes_) byte = static_cast<std::byte>(random());
    const std::size_t size = tensor::dtype_block_size(dtype_);
    constexpr std::uint16_t kScale = 0x2211;  // about 0.012 in f16
    for (std::size_t at = shift_; at < bytes_.size(); at += size) {
      std::memcpy(&bytes_[dtype_ == DType::kQ6_K ? at + size - 2 : at], &kScale, 2);
      if (dtype_ == DType::kQ4_K) std::memcpy(&bytes_[at + 2], &kScale, 2);
    }
  }

  DType dtype_;
  tensor::Shape shape_;
  std::size_t shift_;
  std::vector<std::byte> bytes_;
};

constexpr std::int64_t kWidth = 256;
constexpr std::int64_t kVocab = 50;

ProgramBuilder make_builder(bool packed) {
  return ProgramBuilder({1, 4, 2, 8}, {{1.0F, 0.1F, 0.01F, 0.001F}, 1}, {packed, DType::kF32});
}

// Logits of one step over `tokens` as a single sequence.
std::vector<float> run(const Program& program,
                       const kernels::KernelTable& table,
                       const std::vector<std::int32_t>& tokens,
                       int thread_count) {
  const auto device = device::CpuDevice::create({thread_count, ""}).value();
  const MatricesPlan plan = plan_matrices(program, table);
  const auto image = AnonymousMemory::allocate(plan.image_size, "image").value();
  auto packer = MatrixPacker::create(program, plan, *device).value();
  for (std::size_t i = 0; i < program.matrices.size(); ++i) {
    packer.pack(static_cast<MatrixId>(i), image.data());
  }
  const Constants constants(program);
  const Matrices matrices(program, plan, image.data());
  const auto executor =
      Executor::create(program, constants, matrices, *device, {64, 1, 64, 8}).value();
  const std::vector<std::uint32_t> blocks = {0, 1, 2, 3};
  const SequenceSlice slice = {0, static_cast<std::int32_t>(tokens.size()), 0, blocks.data()};
  std::vector<std::int32_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  const auto logits = executor->run({tokens, std::span(&slice, 1), rows});
  return {logits.begin(), logits.end()};
}

std::vector<float> multiply(const std::vector<float>& x,
                            const std::vector<float>& w,
                            std::int64_t k) {
  const auto width = static_cast<std::size_t>(k);
  const std::size_t n = w.size() / width;
  std::vector<float> y(x.size() / width * n);
  for (std::size_t m = 0; m < x.size() / width; ++m) {
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < width; ++j) {
        sum += static_cast<double>(x[m * width + j]) * w[i * width + j];
      }
      y[m * n + i] = static_cast<float>(sum);
    }
  }
  return y;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], wanted[i], 2e-4 * (1 + std::abs(wanted[i]))) << i;
  }
}

std::vector<float> embedded(const TestMatrix& table, const std::vector<std::int32_t>& tokens) {
  const std::vector<float> all = table.floats();
  std::vector<float> rows;
  for (const std::int32_t token : tokens) {
    const auto begin = all.begin() + token * kWidth;
    rows.insert(rows.end(), begin, begin + kWidth);
  }
  return rows;
}

const std::vector<std::int32_t> kTokens = {3, 49, 0, 7, 7, 12, 30, 31, 32, 33, 1,
                                           2, 4,  5, 6, 8, 9,  10, 11, 13, 14, 15};

// One operation of all types at once, each with rows that fill no panel and no grain.
TEST(Matrices, parts_of_different_types_share_an_operation) {
  const TestMatrix embedding(DType::kF32, kVocab, kWidth, 1);
  const std::vector<TestMatrix> weights = {TestMatrix(DType::kBf16, 40, kWidth, 2),
                                           TestMatrix(DType::kBf16, 17, kWidth, 3, 1),
                                           TestMatrix(DType::kF16, 70, kWidth, 4),
                                           TestMatrix(DType::kF32, 33, kWidth, 5),
                                           TestMatrix(DType::kQ4_0, 50, kWidth, 6, 1),
                                           TestMatrix(DType::kQ4_K, 31, kWidth, 7),
                                           TestMatrix(DType::kQ6_K, 45, kWidth, 8)};
  for (const bool packed : {true, false}) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      ProgramBuilder builder = make_builder(packed);
      const ValueId in = builder.gather_logit_rows(builder.embed(embedding.view()));
      const auto outs = builder.linear(in,
                                       {{weights[0].view()},
                                        {weights[1].view()},
                                        {weights[2].view()},
                                        {weights[3].view()},
                                        {weights[4].view()},
                                        {weights[5].view()},
                                        {weights[6].view()}});
      const Program program = std::move(builder).finish(outs[i]).value();
      const auto wanted = multiply(embedded(embedding, kTokens), weights[i].floats(), kWidth);
      const auto found = run(program, plain_table(), kTokens, 2);
      expect_near(found, wanted);
      EXPECT_EQ(found, run(program, plain_table(), kTokens, 1)) << i;
    }
  }
}

TEST(Matrices, gate_and_up_may_differ_in_type) {
  const TestMatrix embedding(DType::kQ4_0, kVocab, kWidth, 1);
  const TestMatrix gate(DType::kQ4_0, 96, kWidth, 2);
  const TestMatrix up(DType::kBf16, 96, kWidth, 3);
  ProgramBuilder builder = make_builder(true);
  const ValueId in = builder.gather_logit_rows(builder.embed(embedding.view()));
  const ValueId out = builder.gated_linear(in, {gate.view()}, {up.view()});
  const Program program = std::move(builder).finish(out).value();
  const std::vector<float> x = embedded(embedding, kTokens);
  const std::vector<float> gates = multiply(x, gate.floats(), kWidth);
  std::vector<float> wanted = multiply(x, up.floats(), kWidth);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    wanted[i] *= gates[i] / (1 + std::exp(-gates[i]));
  }
  expect_near(run(program, plain_table(), kTokens, 2), wanted);
}

Program program_of(const std::vector<TestMatrix>& weights, bool packed) {
  static const TestMatrix embedding(DType::kF32, kVocab, kWidth, 1);
  ProgramBuilder builder = make_builder(packed);
  const ValueId in = builder.gather_logit_rows(builder.embed(embedding.view()));
  ValueId last = kNone;
  for (const TestMatrix& weight : weights) last = builder.linear(in, {{weight.view()}}).front();
  return std::move(builder).finish(last).value();
}

TEST(Matrices, the_plan_says_form_and_size_of_each) {
  std::vector<TestMatrix> weights;
  weights.emplace_back(DType::kBf16, 17, kWidth, 2);
  weights.emplace_back(DType::kF16, 17, kWidth, 2);
  weights.emplace_back(DType::kF32, 17, kWidth, 2);
  weights.emplace_back(DType::kQ4_0, 17, kWidth, 2);
  weights.emplace_back(DType::kQ6_K, 17, kWidth, 2);
  const auto forms = [](const MatricesPlan& plan) {
    std::vector<Form> list;
    for (const MatrixPlan& matrix : plan.matrices) list.push_back(matrix.form);
    return list;
  };
  const std::uint64_t panels = 2 * plain_panel_size(kWidth);
  const std::uint64_t converted = 17 * kWidth * sizeof(float);

  const MatricesPlan packed = plan_matrices(program_of(weights, true), plain_table());
  EXPECT_THAT(forms(packed),
              testing::ElementsAre(
                  Form::kPacked, Form::kInPlace, Form::kInPlace, Form::kPacked, Form::kConverted));
  EXPECT_EQ(packed.packed_size, 2 * panels);
  EXPECT_EQ(packed.image_size, 2 * panels + converted);

  const MatricesPlan exact = plan_matrices(program_of(weights, false), plain_table());
  EXPECT_THAT(
      forms(exact),
      testing::ElementsAre(
          Form::kInPlace, Form::kInPlace, Form::kInPlace, Form::kConverted, Form::kConverted));
  EXPECT_EQ(exact.packed_size, 0U);
  EXPECT_EQ(exact.image_size, 2 * converted);

  std::uint64_t end = 0;
  for (const MatrixPlan& matrix : packed.matrices) {
    if (matrix.form == Form::kInPlace) continue;
    EXPECT_EQ(matrix.offset % 64, 0U);
    EXPECT_GE(matrix.offset, end);
    end = matrix.offset + matrix.size;
  }
  EXPECT_EQ(end, packed.image_size);
}

TEST(Matrices, rows_that_kernels_read_as_they_lie_stay_in_place) {
  const TestMatrix embedding(DType::kF32, kVocab, kWidth, 1);
  const TestMatrix rows(DType::kBf16, 45, kWidth, 2);
  const TestMatrix square(DType::kBf16, kWidth, kWidth, 3);
  const MatrixSource columns = {square.view(), 1, kWidth};
  ProgramBuilder builder = make_builder(true);
  const ValueId in = builder.gather_logit_rows(builder.embed(embedding.view()));
  builder.linear(in, {{columns, std::nullopt}});
  const ValueId out = builder.linear(in, {{rows.view()}}).front();
  const Program program = std::move(builder).finish(out).value();

  const MatricesPlan plan = plan_matrices(program, row_table());
  EXPECT_EQ(plan.matrices[0].form, Form::kConverted);
  EXPECT_EQ(plan.matrices[0].ops, nullptr);
  EXPECT_EQ(plan.matrices[1].form, Form::kInPlace);
  EXPECT_EQ(plan.matrices[1].ops, &kRows);
  EXPECT_EQ(plan.image_size, plan.matrices[0].size);
  EXPECT_EQ(plan.packed_size, 0U);
  const Matrices matrices(program, plan, nullptr);
  EXPECT_EQ(matrices[1].data, rows.view().data);
  expect_near(run(program, row_table(), kTokens, 2),
              multiply(embedded(embedding, kTokens), rows.floats(), kWidth));
}

TEST(Matrices, inputs_of_the_head_and_of_routers_are_never_rounded) {
  const TestMatrix embedding(DType::kF32, kVocab, kWidth, 1);
  const TestMatrix inner(DType::kBf16, kWidth, kWidth, 2);
  const TestMatrix router(DType::kBf16, 8, kWidth, 3);
  const TestMatrix head(DType::kBf16, 64, kWidth, 4);
  const auto rounded = [&](bool rounds_inputs) {
    ProgramBuilder builder(
        {1, 4, 2, 8}, {{1.0F, 0.1F, 0.01F, 0.001F}, 1}, {true, DType::kF32, false, rounds_inputs});
    const ValueId in = builder.embed(embedding.view());
    const ValueId out = builder.linear(in, {{inner.view()}}).front();
    const ValueId scores = builder.linear(out, {{router.view()}}).front();
    Routing routing;
    routing.chosen_count = 2;
    builder.route(scores, routing, nullptr);
    const ValueId rows = builder.gather_logit_rows(out);
    const ValueId logits = builder.linear(rows, {{head.view()}}).front();
    const Program program = std::move(builder).finish(logits).value();
    std::vector<bool> list;
    for (const MatrixPlan& matrix : plan_matrices(program, plain_table()).matrices) {
      list.push_back(matrix.format.rounds_inputs);
    }
    return list;
  };
  EXPECT_THAT(rounded(true), testing::ElementsAre(true, false, false));
  EXPECT_THAT(rounded(false), testing::ElementsAre(false, false, false));
}

TEST(Matrices, inputs_are_packed_once_for_each_kind) {
  const TestMatrix embedding(DType::kF32, kVocab, kWidth, 1);
  const TestMatrix codes(DType::kQ4_0, 64, kWidth, 2);
  const TestMatrix halves(DType::kBf16, 64, kWidth, 3);
  const TestMatrix floats(DType::kF32, 64, kWidth, 4);
  ProgramBuilder builder = make_builder(true);
  const ValueId in = builder.gather_logit_rows(builder.embed(embedding.view()));
  builder.linear(in, {{codes.view()}, {halves.view()}, {codes.view()}, {floats.view()}});
  builder.linear(in, {{floats.view()}});
  const auto last = builder.linear(in, {{halves.view()}});
  const Program program = std::move(builder).finish(last.front()).value();
  const auto inputs = packed_inputs(program, plan_matrices(program, plain_table()));
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(inputs[0].op, 2);
  EXPECT_EQ(inputs[0].ops, &PlainInputs<2>::kOps);
  EXPECT_EQ(inputs[1].op, 2);
  EXPECT_EQ(inputs[1].ops, &PlainInputs<1>::kOps);
  EXPECT_EQ(inputs[2].op, 4);
  EXPECT_EQ(inputs[2].ops, &PlainInputs<1>::kOps);

  const MemoryLayout layout = plan_memory(program, inputs, 0, 20);
  ASSERT_EQ(layout.input_offsets.size(), 3U);
  const std::uint64_t size = PlainInputs<1>::size(20, kWidth);
  // Both kinds of the first operation are alive beside each other and its values.
  const std::uint64_t first = layout.input_offsets[0];
  const std::uint64_t second = layout.input_offsets[1];
  EXPECT_TRUE(first + size <= second || second + size <= first);
  for (const std::uint64_t offset : layout.input_offsets) {
    EXPECT_EQ(offset % 64, 0U);
    EXPECT_LE(offset + size, layout.size);
  }
}

}  // namespace
}  // namespace inferneo::graph
