// The tiny models of tests/architectures: their configurations, their weights, which follow from
// names, and what transformers computed for them (tools/make_architecture_goldens.py); some of them
// as GGUF files (tools/make_architecture_gguf.py).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "device/cpu.h"
#include "request/token.h"
#include "runtime/runtime.h"

namespace inferneo::testing {

inline constexpr std::int32_t kOneSegment = std::numeric_limits<std::int32_t>::max();

struct GoldenPrompt {
  std::vector<TokenId> ids;
  std::vector<TokenId> greedy;
  std::vector<float> logits;  // of the last position
  // Of a model without logits: hidden states of the first and the last position, or the scores of
  // its classes alone.
  std::vector<std::vector<float>> rows;
  std::int32_t second_begin = kOneSegment;  // of a pair of texts
};

struct GoldenWeight {
  std::string name;
  int exponent = 0;  // elements are multiplied by 2 to the power of it
  float offset = 0;  // and get this added
  std::vector<std::int64_t> shape;
};

struct GoldenModel {
  std::string family;
  std::string variant;
  std::string config;                      // the text of a config.json
  std::int64_t served_context_tokens = 0;  // as LoadOptions::context_tokens_max
  std::vector<GoldenWeight> weights;
  std::vector<GoldenPrompt> prompts;
  [[nodiscard]] bool generates() const { return !prompts.front().logits.empty(); }
};

// All variants of all families, sorted.
std::vector<GoldenModel> read_golden_models();

struct GoldenFile {
  std::string name;  // of the family and, where there are several, the file
  std::string family;
  std::string path;
  std::vector<GoldenPrompt> prompts;
  [[nodiscard]] bool generates() const { return !prompts.front().logits.empty(); }
};

// GGUF files, sorted.
std::vector<GoldenFile> read_golden_files();

// Loads the model with weights of `dtype`: f32, f16 or bf16, which hold them exactly but for the
// vectors of norms.
Result<std::shared_ptr<const runtime::Model>> load_golden_model(const GoldenModel& golden,
                                                                tensor::DType dtype,
                                                                runtime::LoadOptions options,
                                                                device::CpuDevice& device);

// Writes config.json and model.safetensors (f32, and octets where the model has them) into a
// directory, without the tensor `left_out`.
Status save_golden_model(const GoldenModel& golden,
                         const std::string& directory,
                         std::string_view left_out = "");

}  // namespace inferneo::testing
