// Random models in the shapes of well-known Llamas, written as GGUF: what speed is measured on.
// Speed does not depend on the values; their spread is that of a fresh network, so that norms and
// softmax behave.
// Thread: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace inferneo::bench {

struct LlamaShape {
  std::string_view name;
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  bool tied = false;
  float rope_base = 10000;
};

// Failures: invalid_argument naming the shapes there are.
Result<LlamaShape> llama_shape(std::string_view name);

// Which type each tensor gets: "bf16", "f16", "q8_0", "q4_0", "q4_k_m", named and mixed as
// llama-quantize does.
class TypeMix {
 public:
  // Failures: invalid_argument naming the types there are.
  static Result<TypeMix> create(std::string_view name);

  // Spec: llama.cpp, llama-quant.cpp: the head, and half of the value and down projections of
  // q4_k_m, get q6_K; rows that are no multiple of 256 fall back to q5_0 and q8_0.
  [[nodiscard]] tensor::DType layer_matrix(std::string_view tensor,
                                           std::int64_t layer,
                                           std::int64_t layers,
                                           std::int64_t row) const;
  [[nodiscard]] tensor::DType embedding(std::int64_t row) const;
  [[nodiscard]] tensor::DType head(std::int64_t row) const;
  // general.file_type of GGUF.
  [[nodiscard]] std::uint32_t file_type() const { return file_type_; }

 private:
  TypeMix() = default;
  tensor::DType base_ = tensor::DType::kF32;
  tensor::DType better_ = tensor::DType::kF32;
  tensor::DType head_ = tensor::DType::kF32;
  std::uint32_t file_type_ = 0;
};

// What a benchmark needs to know to give a speed as a share of what the machine can do.
struct ModelSizes {
  std::int64_t file_bytes = 0;        // of the tensors
  std::int64_t step_bytes = 0;        // matrices that one decode step reads
  std::int64_t layer_parameters = 0;  // of the linear layers
  std::int64_t head_parameters = 0;
  std::int64_t attention_width = 0;     // heads * head size * layers
  std::int64_t kv_bytes_per_token = 0;  // with 16-bit keys and values
};

// Failures: internal (the system refused to write).
Result<ModelSizes> write_random_llama(const std::string& path,
                                      const LlamaShape& shape,
                                      const TypeMix& mix,
                                      std::uint64_t seed);

}  // namespace inferneo::bench
