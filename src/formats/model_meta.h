// What a model says about itself, in neutral words: hyperparameters, special tokens and sampling
// defaults, whatever file they came from. Values are range-checked by the reader; whether they fit
// together is checked by the architecture.
// Thread: any (plain values).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace inferneo::formats {

// Spec: transformers 5, modeling_rope_utils.py.
struct RopeMeta {
  std::string type = "default";  // default, linear, dynamic, llama3, yarn, ...
  double theta = 10000.0;
  double partial_rotary_factor = 1.0;
  std::optional<double> factor;
  // linear, yarn and llama3: positions that the model was first trained on
  std::optional<std::int64_t> original_context_tokens;
  // llama3
  std::optional<double> low_freq_factor;
  std::optional<double> high_freq_factor;
  // yarn
  std::optional<double> attention_factor;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  std::optional<double> beta_fast;
  std::optional<double> beta_slow;
  bool truncate = true;
  // What each frequency is divided by, as a GGUF file of a llama3 rope gives it. Shape: [pairs] or
  // empty.
  std::vector<float> frequency_divisors;
};

struct GenerationMeta {
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<bool> do_sample;
};

// How the author of an embedding model makes one vector of the hidden states of a text
// (sentence-transformers' 1_Pooling/config.json and modules.json, pooling_type of GGUF).
struct PoolingMeta {
  enum class Kind : std::uint8_t { kUnknown, kLast, kMean, kCls };
  Kind kind = Kind::kUnknown;
  std::optional<bool> normalize;
};

struct ModelMeta {
  std::string architecture;       // class name ("LlamaForCausalLM"), may be empty
  std::string model_type;         // "llama", may be empty
  std::string gguf_architecture;  // general.architecture; empty when it is no GGUF file
  bool has_own_code = false;      // auto_map: names code, which is never run

  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t ffn_size = 0;
  std::int64_t layer_count = 0;
  std::int64_t head_count = 0;
  std::int64_t kv_head_count = 0;  // head_count when the file has none
  std::optional<std::int64_t> head_dim;
  std::int64_t context_tokens_max = 0;

  std::string activation = "silu";
  // Empty where the file says nothing: the default is the architecture's.
  std::optional<double> norm_eps;
  std::optional<bool> attention_bias;
  std::optional<bool> mlp_bias;
  std::optional<bool> tie_embeddings;
  // 0 when the file says that there is none.
  std::optional<std::int64_t> sliding_window;
  RopeMeta rope;

  std::optional<std::int32_t> bos_token_id;
  std::vector<std::int32_t> eos_token_ids;  // ascending, from both files
  GenerationMeta generation;
  PoolingMeta pooling;
};

}  // namespace inferneo::formats
