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
  std::string type = "default";  // default, linear, dynamic, llama3, yarn, longrope, ...
  // Empty where the file says nothing: the default is the architecture's.
  std::optional<double> theta;
  std::optional<double> partial_rotary_factor;
  std::optional<std::int64_t> rotary_dim;  // goes before the factor
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
  // longrope: how long sequences may become, where the operator allows less than the model; and
  // what each frequency is divided by in contexts up to the original one, and beyond.
  std::optional<std::int64_t> served_context_tokens;
  std::vector<float> short_factors;
  std::vector<float> long_factors;
  // What each frequency is divided by, as a GGUF file of a llama3 rope gives it. Shape: [pairs] or
  // empty.
  std::vector<float> frequency_divisors;
};

// Mixtures of experts.
struct MoeMeta {
  std::optional<std::int64_t> expert_count;
  std::optional<std::int64_t> chosen_count;  // of a token
  std::optional<std::int64_t> ffn_size;      // of an expert
  std::optional<std::int64_t> shared_ffn_size;
  std::optional<std::int64_t> shared_count;  // experts that every token goes through
  std::optional<bool> renormalizes;          // weights of the chosen add up to 1
  std::optional<double> weight_scale;
  std::optional<std::int64_t> group_count;
  std::optional<std::int64_t> chosen_group_count;
  std::string scoring;  // "softmax", "sigmoid"; may be empty
  std::string method;   // "greedy", "group_limited_greedy", "noaux_tc"; may be empty
  // Layers without experts: the first ones, those that are no multiple of the step, and those that
  // are listed.
  std::optional<std::int64_t> dense_layer_count;
  std::optional<std::int64_t> layer_step;
  std::vector<std::int64_t> dense_layers;
  std::optional<double> activation_limit;
};

// Attention through a latent vector (MLA).
struct LatentMeta {
  std::optional<std::int64_t> query_rank;  // none: queries are not compressed
  std::optional<std::int64_t> rank;
  std::optional<std::int64_t> nope_dim;  // of a head, without position
  std::optional<std::int64_t> rope_dim;  // of a head, with position
  std::optional<std::int64_t> value_dim;
};

// What attention and the sums around it have besides.
struct VariantMeta {
  std::optional<bool> parallel_residual;
  std::optional<bool> qk_norm;
  std::optional<bool> alibi;
  std::optional<double> alibi_bias_max;
  std::optional<bool> multi_query;    // one key/value head
  std::optional<bool> grouped_heads;  // Falcon's later layout
  std::optional<std::int64_t> parallel_norm_count;
  std::optional<bool> norm_before;   // of attention and feed-forward, not after
  std::optional<bool> norm_vectors;  // norms have weights
  std::optional<bool> residual_from_norm;
  std::optional<bool> scales_attention;
  std::optional<bool> scales_by_layer;  // attention by 1 / (layer + 1)
  std::optional<double> qkv_clip;
  std::optional<double> embedding_multiplier;
  std::optional<double> residual_multiplier;
  std::optional<double> attention_multiplier;
  std::optional<double> attention_scale_base;  // the scale is 1 / sqrt of it
  std::optional<double> logit_multiplier;
  std::optional<double> logit_divisor;
  std::optional<double> attention_soft_cap;
  std::optional<double> logit_soft_cap;
  std::optional<std::int64_t> embedding_size;  // where it is projected
  // Encoders.
  std::optional<std::int64_t> token_type_count;
  std::optional<std::int64_t> pad_token_id;
  std::optional<std::int64_t> label_count;
  std::optional<std::int64_t> global_layer_step;
  std::optional<std::int64_t> local_attention;
  std::string position_kind;     // "absolute"; may be empty
  std::string pooling;           // of a classifier: "cls", "mean"; may be empty
  std::string class_activation;  // behind the first linear of a classifier; may be empty
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
  std::string quantization;       // of a checkpoint's matrices: "mxfp4", or empty
  bool has_own_code = false;      // auto_map: names code, which is never run

  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t ffn_size = 0;  // 0 when the file has none
  std::int64_t layer_count = 0;
  std::int64_t head_count = 0;
  std::int64_t kv_head_count = 0;  // head_count when the file has none
  std::optional<std::int64_t> head_dim;
  std::int64_t context_tokens_max = 0;  // 0 when the file has none

  std::string activation;
  // Empty where the file says nothing: the default is the architecture's.
  std::optional<double> norm_eps;
  std::optional<bool> attention_bias;
  std::optional<bool> mlp_bias;
  std::optional<bool> tie_embeddings;
  // 0 when the file says that there is none.
  std::optional<std::int64_t> sliding_window;
  std::optional<bool> uses_window;  // some families have it switched off unless this is true
  // Which layers have it, as a list or by rule: all but every n-th, or all from the n-th on.
  std::vector<bool> window_layers;
  std::optional<std::int64_t> window_pattern;
  std::optional<std::int64_t> first_window_layer;
  RopeMeta rope;
  // Of layers with a window, where it differs.
  std::optional<RopeMeta> window_rope;
  // Which layers rotate queries and keys, as a list or by rule: all but every n-th.
  std::vector<bool> rope_layers;
  std::optional<std::int64_t> no_rope_step;
  VariantMeta variant;
  MoeMeta moe;
  LatentMeta latent;

  std::optional<std::int32_t> bos_token_id;
  std::vector<std::int32_t> eos_token_ids;  // ascending, from both files
  GenerationMeta generation;
  PoolingMeta pooling;
};

}  // namespace inferneo::formats
