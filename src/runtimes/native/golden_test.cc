// Whole models against logits and greedy continuations that transformers and torch computed:
// the starter models, and tiny random variants that cover each feature of the family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/str.h"
#include "formats/safetensors.h"
#include "runtimes/native/native_runtime.h"
#include "runtimes/native/rounded_weights.h"
#include "runtimes/native/token_logits.h"
#include "tensor/weight_map.h"

namespace inferneo::runtimes::native {
namespace {

using runtime::Arithmetic;

const std::string kSource = INFERNEO_SOURCE_DIR;

// The tensors of a golden file by name.
class Golden {
 public:
  explicit Golden(const std::string& path) : file_(MappedFile::open(path).value()) {
    const auto entries = formats::parse_safetensors(file_.bytes(), path).value();
    for (const auto& entry : entries) {
      weights_.add(entry.name, entry.view);
    }
  }
  [[nodiscard]] bool has(const std::string& name) const { return weights_.find(name) != nullptr; }
  template <typename T>
  [[nodiscard]] std::vector<T> get(const std::string& name) const {
    const tensor::TensorView* view = weights_.find(name);
    CHECK(view != nullptr && tensor::dtype_size(view->dtype) == sizeof(T));
    std::vector<T> values(static_cast<std::size_t>(view->shape.element_count()));
    std::memcpy(values.data(), view->data, view->byte_size());
    return values;
  }

 private:
  MappedFile file_;
  tensor::WeightMap weights_;
};

// Largest difference as a share of the largest reference value.
double relative_difference(const std::vector<float>& found, const std::vector<float>& wanted) {
  EXPECT_EQ(found.size(), wanted.size());
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(wanted[i])));
    difference = std::max(difference, std::abs(static_cast<double>(found[i]) - wanted[i]));
    if (!std::isfinite(found[i])) return INFINITY;
  }
  return difference / largest;
}

std::unique_ptr<device::CpuDevice> make_device(int thread_count = 2, const char* isa = "") {
  return device::CpuDevice::create({thread_count, isa}).value();
}

std::shared_ptr<const runtime::Model> load(device::CpuDevice& device,
                                           const std::string& path,
                                           Arithmetic arithmetic,
                                           std::optional<tensor::DType> kv = {}) {
  auto model = make_runtime(device)->load(path, {arithmetic, kv}, {});
  if (!model) ADD_FAILURE() << model.error().to_string();
  return *model;
}

struct Comparison {
  double logits = 0;      // largest relative difference over all prompts
  double difference = 0;  // sums of squares
  double reference = 0;
  int wrong_tokens = 0;  // greedy steps that differ, up to and with the first of each prompt
  int wrong_prompts = 0;
  int prompts = 0;

  // Root mean square of the logits' difference as a share of that of the reference.
  [[nodiscard]] double error() const { return std::sqrt(difference / reference); }

  void add(const std::vector<float>& found, const std::vector<float>& wanted) {
    logits = std::max(logits, relative_difference(found, wanted));
    for (std::size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
      difference += std::pow(double{found[i]} - double{wanted[i]}, 2);
      reference += double{wanted[i]} * double{wanted[i]};
    }
  }
};

// Follows the golden continuation, so that one early difference does not hide the later ones.
Comparison compare(const runtime::Model& model, const Golden& golden) {
  Comparison result;
  for (int index = 0;; ++index) {
    const std::string prefix = str(index < 10 ? "0" : "", index, ".");
    if (!golden.has(prefix + "ids")) break;
    const auto ids = golden.get<TokenId>(prefix + "ids");
    const auto greedy = golden.get<TokenId>(prefix + "greedy");
    auto sequence =
        SequenceRunner::create(model, static_cast<std::int32_t>(ids.size() + greedy.size()))
            .value();
    std::vector<float> all = sequence.append_all_logits(ids).value();
    std::vector<float> last(all.end() - model.info().vocab_size, all.end());
    if (golden.has(prefix + "all_logits")) {
      result.add(all, golden.get<float>(prefix + "all_logits"));
    }
    if (golden.has(prefix + "logits")) result.add(last, golden.get<float>(prefix + "logits"));
    const int before = result.wrong_tokens;
    for (const TokenId token : greedy) {
      const auto best = std::max_element(last.begin(), last.end()) - last.begin();
      if (best != token) ++result.wrong_tokens;
      last = sequence.append(std::span(&token, 1)).value();
    }
    result.wrong_prompts += result.wrong_tokens != before ? 1 : 0;
    ++result.prompts;
  }
  return result;
}

class Starter : public testing::TestWithParam<const char*> {};

// The error of a model's logits, as Comparison has it, as a multiple of the largest relative error
// of rounded operands, from rounding the weights (rounded_weights.h).
double amplification(const std::string& name, const Golden& golden) {
  const std::string path = testing::TempDir() + "/golden_test_" + std::to_string(::getpid());
  write_rounded(kSource + "/models/" + name, path);
  const auto device = make_device();
  const double error = compare(*load(*device, path, Arithmetic::kF32), golden).error();
  std::filesystem::remove_all(path);
  return error / unit_roundoff(kRoundedBits);
}

TEST_P(Starter, f32_equals_reference) {
  const auto device = make_device();
  const auto model = load(*device, kSource + "/models/" + GetParam(), Arithmetic::kF32);
  const Golden golden(kSource + "/tests/starter/" + GetParam() + "-logits.safetensors");
  const Comparison found = compare(*model, golden);
  std::printf(
      "%s f32: logits differ by %.2e, %d tokens\n", GetParam(), found.logits, found.wrong_tokens);
  EXPECT_EQ(found.prompts, 16);
  EXPECT_LT(found.logits, 1e-4);
  EXPECT_EQ(found.wrong_tokens, 0);
}

TEST_P(Starter, bf16_is_near_reference) {
  const auto device = make_device();
  const auto model = load(*device, kSource + "/models/" + GetParam(), Arithmetic::kBf16);
  const Golden golden(kSource + "/tests/starter/" + GetParam() + "-logits.safetensors");
  const Comparison found = compare(*model, golden);
  std::printf("%s bf16: logits are off by %.2e, %d tokens in %d prompts\n",
              GetParam(),
              found.error(),
              found.wrong_tokens,
              found.wrong_prompts);
  EXPECT_EQ(found.prompts, 16);
  // Bound: keys and values, queries, weights of keys and the inputs of matrices are rounded to f16
  // at most; two starters and their drafts had 0.9 to 1.4.
  EXPECT_LT(found.error(), 1.8 * unit_roundoff(11) * amplification(GetParam(), golden));
  EXPECT_EQ(found.wrong_tokens, 0);
}

// What runs unless more is asked for, on the fastest table and every other.
TEST_P(Starter, auto_is_near_reference) {
  const Golden golden(kSource + "/tests/starter/" + GetParam() + "-logits.safetensors");
  const double magnified = amplification(GetParam(), golden);
  for (const kernels::KernelTable* table : kernels::supported_tables()) {
    const auto device = make_device(2, table->name);
    const auto model = load(*device, kSource + "/models/" + GetParam(), Arithmetic::kAuto);
    const Comparison found = compare(*model, golden);
    std::printf("%s auto, %s: logits are off by %.2e, %d tokens in %d prompts\n",
                GetParam(),
                table->name,
                found.error(),
                found.wrong_tokens,
                found.wrong_prompts);
    // Bound: inputs of matrices are rounded to bf16 at most; two starters and their drafts had 0.8.
    EXPECT_LT(found.error(), 1.1 * unit_roundoff(8) * magnified) << table->name;
  }
}

// Mean of -log p(token) over the prompts, and over the tokens that follow them.
double mean_loss(const runtime::Model& model, const Golden& golden) {
  const auto vocab = static_cast<std::size_t>(model.info().vocab_size);
  double sum = 0;
  double count = 0;
  for (int index = 0;; ++index) {
    const std::string prefix = str(index < 10 ? "0" : "", index, ".");
    if (!golden.has(prefix + "ids")) return sum / count;
    auto ids = golden.get<TokenId>(prefix + "ids");
    const auto greedy = golden.get<TokenId>(prefix + "greedy");
    ids.insert(ids.end(), greedy.begin(), greedy.end());
    auto sequence = SequenceRunner::create(model, static_cast<std::int32_t>(ids.size())).value();
    const std::vector<float> logits = sequence.append_all_logits(ids).value();
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const float* row = logits.data() + i * vocab;
      double total = 0;
      for (std::size_t v = 0; v < vocab; ++v) total += std::exp(double{row[v]});
      sum += std::log(total) - double{row[static_cast<std::size_t>(ids[i + 1])]};
      ++count;
    }
  }
}

// Bound: in units of what rounding a cache's elements may be off by (8 bits for int8, whose rows
// share a step), two starters and their drafts had 0.4 to 0.8 (f16), 0.5 to 0.7 (bf16) and 1.4 to
// 2.3 (int8); a bit less doubles it. Perplexity was within 0.05 %.
TEST_P(Starter, cache_types_are_near_reference) {
  const auto device = make_device();
  const std::string path = kSource + "/models/" + GetParam();
  const Golden golden(kSource + "/tests/starter/" + GetParam() + "-logits.safetensors");
  const double exact = mean_loss(*load(*device, path, Arithmetic::kF32), golden);
  const std::pair<tensor::DType, double> bounds[] = {{tensor::DType::kF16, 0.9 * unit_roundoff(11)},
                                                     {tensor::DType::kBf16, 0.9 * unit_roundoff(8)},
                                                     {tensor::DType::kI8, 3 * unit_roundoff(8)}};
  const double magnified = amplification(GetParam(), golden);
  for (const auto& [kv, bound] : bounds) {
    const auto model = load(*device, path, Arithmetic::kF32, kv);
    const Comparison found = compare(*model, golden);
    const double change = std::exp(mean_loss(*model, golden) - exact) - 1;
    std::printf(
        "%s with %s keys and values: logits are off by %.2e of %.2e, %d tokens in %d prompts, "
        "perplexity by %.3f %%\n",
        GetParam(),
        std::string(tensor::dtype_name(kv)).c_str(),
        found.error(),
        bound * magnified,
        found.wrong_tokens,
        found.wrong_prompts,
        change * 100);
    EXPECT_LT(found.error(), bound * magnified);
    EXPECT_LT(std::abs(change), 5e-3);
  }
}

std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/tests/models")) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Variants, all_are_here) { EXPECT_GE(variant_names().size(), 15U); }

class Variant : public testing::TestWithParam<std::string> {};

TEST_P(Variant, f32_equals_reference) {
  const auto device = make_device();
  const std::string path = kSource + "/tests/models/" + GetParam();
  const auto model = load(*device, path, Arithmetic::kF32);
  const Comparison found = compare(*model, Golden(path + "/golden.safetensors"));
  std::printf("%s f32: logits differ by %.2e, %d tokens\n",
              GetParam().c_str(),
              found.logits,
              found.wrong_tokens);
  EXPECT_EQ(found.prompts, 3);
  EXPECT_LT(found.logits, 1e-4);
  EXPECT_EQ(found.wrong_tokens, 0);
}

std::string test_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, Variant, testing::ValuesIn(variant_names()), [](const auto& each) {
  return test_name(each.param);
});

INSTANTIATE_TEST_SUITE_P(Models,
                         Starter,
                         testing::Values("starter", "starter-draft"),
                         [](const auto& each) { return test_name(each.param); });

}  // namespace
}  // namespace inferneo::runtimes::native
