#include "formats/gguf_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "formats/meta_limits.h"

namespace inferneo::formats {
namespace {

// Typed access with range checks that name the key and the value.
class Keys {
 public:
  Keys(const GgufMetadata& metadata, std::string prefix)
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  [[nodiscard]] std::string name(std::string_view key) const { return str(prefix_, key); }

  template <typename Value>
  [[nodiscard]] Status wrong(std::string_view key, Value value, std::string_view wanted) const {
    return invalid_argument(str(prefix_, key, " is ", value, ", but must be ", wanted))
        .with_where(name(key));
  }

  Status read(std::string_view key,
              std::int64_t min,
              std::int64_t max,
              std::optional<std::int64_t>& target) const {
    ASSIGN_OR_RETURN(const std::optional<std::int64_t> value, metadata_.integer(name(key)));
    return value ? check(key, *value, min, max, target) : ok_status();
  }

  Status require(std::string_view key,
                 std::int64_t min,
                 std::int64_t max,
                 std::int64_t& target) const {
    std::optional<std::int64_t> value;
    RETURN_IF_ERROR(read(key, min, max, value));
    return assign_required(key, value, target);
  }

  // One number, or a list with the same number for each layer.
  Status read_uniform(std::string_view key,
                      std::int64_t min,
                      std::int64_t max,
                      std::optional<std::int64_t>& target) const {
    const GgufValue* value = metadata_.find(name(key));
    if (value == nullptr || !std::holds_alternative<GgufNumbers>(*value)) {
      return read(key, min, max, target);
    }
    const auto* list = std::get_if<std::vector<std::int64_t>>(&std::get<GgufNumbers>(*value));
    if (list == nullptr || list->empty()) {
      return wrong(key, "a list", "an integer or a list of integers");
    }
    const auto other = std::find_if(
        list->begin(), list->end(), [&](std::int64_t item) { return item != list->front(); });
    if (other != list->end()) {
      return unsupported(str(name(key),
                             " is ",
                             list->front(),
                             " for layer 0 and ",
                             *other,
                             " for layer ",
                             other - list->begin(),
                             "; layers of different shapes are not supported"))
          .with_where(name(key));
    }
    return check(key, list->front(), min, max, target);
  }

  Status require_uniform(std::string_view key,
                         std::int64_t min,
                         std::int64_t max,
                         std::int64_t& target) const {
    std::optional<std::int64_t> value;
    RETURN_IF_ERROR(read_uniform(key, min, max, value));
    return assign_required(key, value, target);
  }

  // Inclusive bounds.
  Status read(std::string_view key, double min, double max, std::optional<double>& target) const {
    ASSIGN_OR_RETURN(const std::optional<double> value, metadata_.number(name(key)));
    if (!value) return ok_status();
    if (!(*value >= min && *value <= max)) {
      return wrong(key, *value, str("a number from ", min, " to ", max));
    }
    target = *value;
    return ok_status();
  }

  Status read(std::string_view key, double min, double max, std::optional<float>& target) const {
    std::optional<double> value;
    RETURN_IF_ERROR(read(key, min, max, value));
    if (value) target = static_cast<float>(*value);
    return ok_status();
  }

  Status read(std::string_view key, std::optional<bool>& target) const {
    ASSIGN_OR_RETURN(const std::optional<bool> value, metadata_.boolean(name(key)));
    if (value) target = *value;
    return ok_status();
  }

  Status read(std::string_view key, std::string& target) const {
    ASSIGN_OR_RETURN(const std::optional<std::string_view> value, metadata_.text(name(key)));
    if (value) target = *value;
    return ok_status();
  }

 private:
  Status check(std::string_view key,
               std::int64_t value,
               std::int64_t min,
               std::int64_t max,
               std::optional<std::int64_t>& target) const {
    if (value < min || value > max) {
      return wrong(key, value, str("an integer from ", min, " to ", max));
    }
    target = value;
    return ok_status();
  }

  Status assign_required(std::string_view key,
                         std::optional<std::int64_t> value,
                         std::int64_t& target) const {
    if (!value) return invalid_argument(str(name(key), " is missing")).with_where(name(key));
    target = *value;
    return ok_status();
  }

  const GgufMetadata& metadata_;
  std::string prefix_;
};

bool has_weight(const tensor::WeightMap& weights, std::string_view name) {
  return weights.find(name) != nullptr;
}

// Rows of the embedding, which counts where the tokenizer names fewer tokens.
Status read_vocab_size(const Keys& keys,
                       const GgufMetadata& metadata,
                       const tensor::WeightMap& weights,
                       ModelMeta& meta) {
  constexpr auto kMax = static_cast<std::int64_t>(limits::kVocabSizeMax);
  std::optional<std::int64_t> stated;
  RETURN_IF_ERROR(keys.read("vocab_size", 1, kMax, stated));
  ASSIGN_OR_RETURN(const auto* tokens, metadata.texts("tokenizer.ggml.tokens"));
  const auto token_count = static_cast<std::int64_t>(tokens == nullptr ? 0 : tokens->size());
  const tensor::TensorView* table = weights.find("token_embd.weight");
  if (table != nullptr && table->shape.rank() == 2) {
    meta.vocab_size = table->shape[0];
  } else {
    meta.vocab_size = stated.value_or(token_count);
  }
  if (meta.vocab_size < 1 || meta.vocab_size > kMax) {
    return invalid_argument(
               str("the vocabulary has ", meta.vocab_size, " tokens, but must have 1 to ", kMax))
        .with_where("token_embd.weight");
  }
  if (token_count > meta.vocab_size) {
    return corrupt_data(str("tokenizer.ggml.tokens names ",
                            token_count,
                            " tokens, but token_embd.weight has ",
                            meta.vocab_size,
                            " rows"))
        .with_where("tokenizer.ggml.tokens");
  }
  return ok_status();
}

Status read_head_dim(const Keys& keys, ModelMeta& meta) {
  RETURN_IF_ERROR(keys.read("attention.key_length", 1, kHeadDimMax, meta.head_dim));
  std::optional<std::int64_t> value_length;
  RETURN_IF_ERROR(keys.read("attention.value_length", 1, kHeadDimMax, value_length));
  const std::string key = keys.name("attention.value_length");
  if (!meta.head_dim && meta.hidden_size % meta.head_count != 0) {
    return invalid_argument(str(keys.name("embedding_length"),
                                " is ",
                                meta.hidden_size,
                                ", but must be a multiple of ",
                                keys.name("attention.head_count"),
                                ", which is ",
                                meta.head_count,
                                ", when there is no ",
                                keys.name("attention.key_length")))
        .with_where(keys.name("embedding_length"));
  }
  const std::int64_t head_dim = meta.head_dim.value_or(meta.hidden_size / meta.head_count);
  if (value_length.value_or(head_dim) != head_dim && !meta.latent.rank) {
    return unsupported(str(key,
                           " is ",
                           *value_length,
                           ", but keys have ",
                           head_dim,
                           "; heads of two sizes are not supported"))
        .with_where(key);
  }
  meta.latent.value_dim = value_length;
  return ok_status();
}

// Sizes of attention through a latent vector. Converters of today write the heads of the cache as
// key_length, and those of the model under keys of their own.
Status read_latent(const Keys& keys, LatentMeta& latent) {
  RETURN_IF_ERROR(keys.read("attention.kv_lora_rank", 1, kWidthMax, latent.rank));
  if (!latent.rank) return ok_status();
  RETURN_IF_ERROR(keys.read("attention.q_lora_rank", 0, kWidthMax, latent.query_rank));
  if (latent.query_rank == 0) latent.query_rank.reset();
  return keys.read("rope.dimension_count", 1, kHeadDimMax, latent.rope_dim);
}

Status finish_latent(const Keys& keys, ModelMeta& meta) {
  LatentMeta& latent = meta.latent;
  if (!latent.rank) return ok_status();
  std::optional<std::int64_t> key_length = meta.head_dim;
  RETURN_IF_ERROR(keys.read("attention.key_length_mla", 1, kHeadDimMax, key_length));
  RETURN_IF_ERROR(keys.read("attention.value_length_mla", 1, kHeadDimMax, latent.value_dim));
  if (!key_length || !latent.rope_dim || *key_length <= *latent.rope_dim) {
    return invalid_argument(str(keys.name("attention.key_length"),
                                " and ",
                                keys.name("rope.dimension_count"),
                                " must both be there, and the first the larger"))
        .with_where(keys.name("attention.key_length"));
  }
  latent.nope_dim = *key_length - *latent.rope_dim;
  meta.head_dim = latent.rope_dim;
  return ok_status();
}

Status read_norm_eps(const Keys& keys, ModelMeta& meta) {
  RETURN_IF_ERROR(keys.read("attention.layer_norm_rms_epsilon", 0.0, 1.0, meta.norm_eps));
  if (meta.norm_eps) return ok_status();
  RETURN_IF_ERROR(keys.read("attention.layer_norm_epsilon", 0.0, 1.0, meta.norm_eps));
  if (meta.norm_eps) return ok_status();
  const std::string key = keys.name("attention.layer_norm_rms_epsilon");
  return invalid_argument(str(key, " is missing")).with_where(key);
}

Status read_sizes(const Keys& keys, ModelMeta& meta) {
  RETURN_IF_ERROR(keys.require("context_length", 1, kContextTokensMax, meta.context_tokens_max));
  RETURN_IF_ERROR(keys.require("embedding_length", 1, kWidthMax, meta.hidden_size));
  RETURN_IF_ERROR(keys.require("block_count", 1, kLayerCountMax, meta.layer_count));
  RETURN_IF_ERROR(keys.require_uniform("feed_forward_length", 1, kFfnSizeMax, meta.ffn_size));
  RETURN_IF_ERROR(keys.require_uniform("attention.head_count", 1, kHeadCountMax, meta.head_count));
  std::optional<std::int64_t> kv_heads;
  RETURN_IF_ERROR(keys.read_uniform("attention.head_count_kv", 1, kHeadCountMax, kv_heads));
  meta.kv_head_count = kv_heads.value_or(meta.head_count);
  if (meta.head_count % meta.kv_head_count != 0) {
    return keys.wrong(
        "attention.head_count_kv",
        meta.kv_head_count,
        str("a divisor of ", keys.name("attention.head_count"), ", ", meta.head_count));
  }
  RETURN_IF_ERROR(read_latent(keys, meta.latent));
  RETURN_IF_ERROR(read_head_dim(keys, meta));
  RETURN_IF_ERROR(finish_latent(keys, meta));
  RETURN_IF_ERROR(read_norm_eps(keys, meta));
  return keys.read("attention.sliding_window", 0, kContextTokensMax, meta.sliding_window);
}

// Spec: gguf-py/gguf/constants.py, ExpertGatingFuncType.
Status read_gating(const Keys& keys, MoeMeta& moe) {
  std::optional<std::int64_t> kind;
  RETURN_IF_ERROR(keys.read("expert_gating_func", 0, 1000, kind));
  if (!kind || *kind == 0) return ok_status();
  constexpr std::string_view kNames[] = {"softmax", "sigmoid", "softmax_of_chosen"};
  if (*kind > 3) return keys.wrong("expert_gating_func", *kind, "1, 2 or 3");
  moe.scoring = kNames[*kind - 1];
  return ok_status();
}

Status read_experts(const Keys& keys, MoeMeta& moe) {
  constexpr std::int64_t kExpertCountMax = 8192;
  RETURN_IF_ERROR(keys.read("expert_count", 0, kExpertCountMax, moe.expert_count));
  if (moe.expert_count.value_or(0) == 0) return ok_status();
  RETURN_IF_ERROR(keys.read("expert_used_count", 0, kExpertCountMax, moe.chosen_count));
  RETURN_IF_ERROR(keys.read("expert_feed_forward_length", 1, kFfnSizeMax, moe.ffn_size));
  RETURN_IF_ERROR(
      keys.read("expert_shared_feed_forward_length", 0, kFfnSizeMax, moe.shared_ffn_size));
  RETURN_IF_ERROR(keys.read("expert_shared_count", 0, kExpertCountMax, moe.shared_count));
  RETURN_IF_ERROR(keys.read("expert_group_count", 1, kExpertCountMax, moe.group_count));
  RETURN_IF_ERROR(keys.read("expert_group_used_count", 1, kExpertCountMax, moe.chosen_group_count));
  RETURN_IF_ERROR(keys.read("leading_dense_block_count", 0, kLayerCountMax, moe.dense_layer_count));
  RETURN_IF_ERROR(keys.read("expert_weights_scale", -1e6, 1e6, moe.weight_scale));
  RETURN_IF_ERROR(keys.read("expert_weights_norm", moe.renormalizes));
  // Converters write 0 where there is no scale.
  if (moe.weight_scale == 0.0) moe.weight_scale.reset();
  return read_gating(keys, moe);
}

// Which layers have a window: flags of all of them, or a number that the architecture knows the
// meaning of.
Status read_window_layers(const GgufMetadata& metadata, const Keys& keys, ModelMeta& meta) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  const GgufValue* value = metadata.find(keys.name(kKey));
  if (value == nullptr || !std::holds_alternative<GgufNumbers>(*value)) {
    return keys.read(kKey, 0, kLayerCountMax, meta.window_pattern);
  }
  const auto* flags = std::get_if<std::vector<std::int64_t>>(&std::get<GgufNumbers>(*value));
  if (flags == nullptr || std::ssize(*flags) < meta.layer_count) {
    return keys.wrong(
        kKey, "a list", str("a number, or a flag for each of ", meta.layer_count, " layers"));
  }
  for (std::int64_t i = 0; i < meta.layer_count; ++i) {
    meta.window_layers.push_back((*flags)[static_cast<std::size_t>(i)] != 0);
  }
  return ok_status();
}

// Spec: gguf-py/gguf/constants.py, PoolingType.
Status read_class_pooling(const Keys& keys, std::string& pooling) {
  constexpr std::string_view kNames[] = {"", "mean", "cls", "last", ""};
  std::optional<std::int64_t> type;
  RETURN_IF_ERROR(keys.read("classifier.pooling_type", 0, 4, type));
  if (type) pooling = kNames[*type];
  return ok_status();
}

Status read_variant(const Keys& keys, const tensor::WeightMap& weights, VariantMeta& variant) {
  constexpr double kAny = 1e9;
  RETURN_IF_ERROR(keys.read("use_parallel_residual", variant.parallel_residual));
  RETURN_IF_ERROR(keys.read("attn_logit_softcapping", 0.0, kAny, variant.attention_soft_cap));
  RETURN_IF_ERROR(keys.read("final_logit_softcapping", 0.0, kAny, variant.logit_soft_cap));
  RETURN_IF_ERROR(keys.read("logit_scale", -kAny, kAny, variant.logit_multiplier));
  RETURN_IF_ERROR(keys.read("embedding_scale", -kAny, kAny, variant.embedding_multiplier));
  RETURN_IF_ERROR(keys.read("residual_scale", -kAny, kAny, variant.residual_multiplier));
  RETURN_IF_ERROR(keys.read("attention.scale", 0.0, kAny, variant.attention_multiplier));
  RETURN_IF_ERROR(keys.read("attention.clamp_kqv", 0.0, kAny, variant.qkv_clip));
  RETURN_IF_ERROR(keys.read("attention.max_alibi_bias", 0.0, 1000.0, variant.alibi_bias_max));
  RETURN_IF_ERROR(read_class_pooling(keys, variant.pooling));
  RETURN_IF_ERROR(keys.read("classifier.activation", variant.class_activation));
  variant.qk_norm = has_weight(weights, "blk.0.attn_q_norm.weight");
  return ok_status();
}

// Spec: llama.cpp takes attn_factor as a factor on what YaRN computes; transformers, whose words
// RopeMeta uses, takes it in its place.
Status read_yarn(const Keys& keys, RopeMeta& rope) {
  constexpr double kLarge = 1e6;
  RETURN_IF_ERROR(keys.read("rope.scaling.yarn_beta_fast", 0.0, kLarge, rope.beta_fast));
  RETURN_IF_ERROR(keys.read("rope.scaling.yarn_beta_slow", 0.0, kLarge, rope.beta_slow));
  std::optional<double> attention;
  RETURN_IF_ERROR(keys.read("rope.scaling.attn_factor", 0.0, kLarge, attention));
  RETURN_IF_ERROR(keys.read("rope.scaling.yarn_attn_factor", 0.0, kLarge, attention));
  if (attention && rope.factor) {
    rope.attention_factor = *attention * (1 + 0.1 * std::log(*rope.factor));
  }
  std::optional<double> extension;
  RETURN_IF_ERROR(keys.read("rope.scaling.yarn_ext_factor", -1.0, 1.0, extension));
  if (extension.value_or(1.0) != 1.0 && *extension >= 0) {
    return keys.wrong("rope.scaling.yarn_ext_factor", *extension, "1");
  }
  return ok_status();
}

Status read_scaling(const Keys& keys, RopeMeta& rope) {
  std::string type;
  RETURN_IF_ERROR(keys.read("rope.scaling.type", type));
  std::optional<double> factor;
  // Why 0 is legal: it means that there is none.
  RETURN_IF_ERROR(keys.read("rope.scale_linear", 0.0, 1e6, factor));
  RETURN_IF_ERROR(keys.read("rope.scaling.factor", 0.0, 1e6, factor));
  RETURN_IF_ERROR(keys.read(
      "rope.scaling.original_context_length", 1, kContextTokensMax, rope.original_context_tokens));
  if (factor.value_or(0) == 0) factor.reset();
  if (factor && *factor < 1) {
    return keys.wrong("rope.scaling.factor", *factor, "a number from 1 to 1e6, or 0");
  }
  rope.factor = factor;
  if (type.empty()) type = factor ? "linear" : "none";
  if (type == "none" || (type == "linear" && !factor)) return ok_status();
  rope.type = type;
  return type == "yarn" ? read_yarn(keys, rope) : ok_status();
}

// Numbers that frequencies are divided by. Nothing changes without the tensor.
Status read_divisors(const tensor::WeightMap& weights,
                     std::string_view name,
                     std::vector<float>& divisors) {
  const tensor::TensorView* view = weights.find(name);
  if (view == nullptr) return ok_status();
  if (view->dtype != tensor::DType::kF32 || view->shape.rank() != 1 ||
      view->shape[0] > kHeadDimMax) {
    return corrupt_data(str("tensor \"",
                            name,
                            "\" has the element type ",
                            tensor::dtype_name(view->dtype),
                            " and the shape ",
                            view->shape.to_string(),
                            ", but must be a list of f32"))
        .with_where(std::string(name));
  }
  divisors.resize(static_cast<std::size_t>(view->shape[0]));
  std::memcpy(divisors.data(), view->data, view->byte_size());
  for (const float divisor : divisors) {
    // Why these bounds: published divisors lie between 1 and the factor by which a context grew.
    if (!(divisor >= 1e-6F && divisor <= 1e6F)) {
      return corrupt_data(str("tensor \"",
                              name,
                              "\" holds ",
                              divisor,
                              ", but must hold numbers "
                              "from 1e-6 to 1e6"))
          .with_where(std::string(name));
    }
  }
  return ok_status();
}

// Longrope: files say nothing but its factors, and what cosines and sines are multiplied by.
Status read_longrope(const Keys& keys, const tensor::WeightMap& weights, RopeMeta& rope) {
  RETURN_IF_ERROR(read_divisors(weights, "rope_factors_short.weight", rope.short_factors));
  RETURN_IF_ERROR(read_divisors(weights, "rope_factors_long.weight", rope.long_factors));
  if (rope.short_factors.empty() && rope.long_factors.empty()) return ok_status();
  rope.type = "longrope";
  return keys.read("rope.scaling.attn_factor", 0.0, 1e6, rope.attention_factor);
}

Status read_rope(const Keys& keys, const tensor::WeightMap& weights, ModelMeta& meta) {
  RopeMeta& rope = meta.rope;
  RETURN_IF_ERROR(keys.read("rope.freq_base", 1.0, kThetaMax, rope.theta));
  const std::int64_t head_dim = meta.head_dim.value_or(meta.hidden_size / meta.head_count);
  std::optional<std::int64_t> rotary_dim;
  RETURN_IF_ERROR(keys.read("rope.dimension_count", 1, head_dim, rotary_dim));
  rope.partial_rotary_factor =
      static_cast<double>(rotary_dim.value_or(head_dim)) / static_cast<double>(head_dim);
  RETURN_IF_ERROR(read_scaling(keys, rope));
  std::optional<double> window_theta;
  RETURN_IF_ERROR(keys.read("rope.freq_base_swa", 1.0, kThetaMax, window_theta));
  if (window_theta) meta.window_rope.emplace().theta = window_theta;
  RETURN_IF_ERROR(read_longrope(keys, weights, rope));
  return read_divisors(weights, "rope_freqs.weight", rope.frequency_divisors);
}

// Tokens that end an answer wherever they occur, as llama.cpp finds them: files name only one id.
constexpr std::array<std::string_view, 13> kEndNames = {"<|eot_id|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<end_of_turn>",
                                                        "<|endoftext|>",
                                                        "</s>",
                                                        "<|eom_id|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "<|end_of_text|>",
                                                        "<end_of_utterance>",
                                                        "<｜end▁of▁sentence｜>"};

Status add_named_ends(const GgufMetadata& metadata, std::set<std::int32_t>& ends) {
  ASSIGN_OR_RETURN(const auto* tokens, metadata.texts("tokenizer.ggml.tokens"));
  ASSIGN_OR_RETURN(const auto* kinds, metadata.numbers("tokenizer.ggml.token_type"));
  if (tokens == nullptr || kinds == nullptr) return ok_status();
  const auto* list = std::get_if<std::vector<std::int64_t>>(kinds);
  if (list == nullptr) return ok_status();
  constexpr std::int64_t kControl = 3;
  for (std::size_t id = 0; id < std::min(tokens->size(), list->size()); ++id) {
    if ((*list)[id] != kControl) continue;
    if (std::find(kEndNames.begin(), kEndNames.end(), (*tokens)[id]) == kEndNames.end()) continue;
    ends.insert(static_cast<std::int32_t>(id));
  }
  return ok_status();
}

Status read_token_id(const Keys& keys,
                     std::string_view key,
                     std::int64_t vocab_size,
                     std::optional<std::int32_t>& target) {
  // Converters write a missing id as the largest number of 32 bits.
  constexpr std::int64_t kNoId = 0xFFFFFFFF;
  std::optional<std::int64_t> id;
  RETURN_IF_ERROR(keys.read(key, -1, kNoId, id));
  if (!id || *id == -1 || *id == kNoId) return ok_status();
  if (*id >= vocab_size) {
    return keys.wrong(key, *id, str("a token id from 0 to ", vocab_size - 1));
  }
  target = static_cast<std::int32_t>(*id);
  return ok_status();
}

Status read_tokens(const GgufMetadata& metadata, ModelMeta& meta) {
  const Keys keys(metadata, "tokenizer.ggml.");
  RETURN_IF_ERROR(read_token_id(keys, "bos_token_id", meta.vocab_size, meta.bos_token_id));
  std::set<std::int32_t> ends;
  for (const std::string_view key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    std::optional<std::int32_t> id;
    RETURN_IF_ERROR(read_token_id(keys, key, meta.vocab_size, id));
    if (id) ends.insert(*id);
  }
  RETURN_IF_ERROR(add_named_ends(metadata, ends));
  meta.eos_token_ids.assign(ends.begin(), ends.end());
  return ok_status();
}

Status read_generation(const GgufMetadata& metadata, GenerationMeta& generation) {
  const Keys keys(metadata, "general.sampling.");
  RETURN_IF_ERROR(keys.read("temp", 0.0, 100.0, generation.temperature));
  RETURN_IF_ERROR(keys.read("top_p", 0.0, 1.0, generation.top_p));
  RETURN_IF_ERROR(keys.read("min_p", 0.0, 1.0, generation.min_p));
  RETURN_IF_ERROR(keys.read("penalty_repeat", 0.01, 100.0, generation.repetition_penalty));
  std::optional<std::int64_t> top_k;
  RETURN_IF_ERROR(keys.read("top_k", 0, std::numeric_limits<std::int32_t>::max(), top_k));
  if (top_k) generation.top_k = static_cast<std::int32_t>(*top_k);
  return ok_status();
}

// Spec: llama.cpp, enum llama_pooling_type: none, mean, cls, last, rank.
Status read_pooling(const Keys& keys, PoolingMeta& pooling) {
  using Kind = PoolingMeta::Kind;
  constexpr Kind kKinds[] = {Kind::kUnknown, Kind::kMean, Kind::kCls, Kind::kLast, Kind::kCls};
  std::optional<std::int64_t> type;
  RETURN_IF_ERROR(keys.read("pooling_type", 0, 4, type));
  if (type) pooling.kind = kKinds[*type];
  return ok_status();
}

}  // namespace

Result<std::string> gguf_architecture(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "general.architecture";
  ASSIGN_OR_RETURN(const std::optional<std::string_view> name, metadata.text(kKey));
  if (!name || name->empty()) {
    return corrupt_data(str(kKey, " is missing")).with_where(std::string(kKey));
  }
  return std::string(*name);
}

Result<ModelMeta> read_gguf_model(const GgufMetadata& metadata, const tensor::WeightMap& weights) {
  ModelMeta meta;
  ASSIGN_OR_RETURN(meta.gguf_architecture, gguf_architecture(metadata));
  const Keys keys(metadata, str(meta.gguf_architecture, "."));
  RETURN_IF_ERROR(read_vocab_size(keys, metadata, weights, meta));
  RETURN_IF_ERROR(read_sizes(keys, meta));
  RETURN_IF_ERROR(keys.read("hidden_activation", meta.activation));
  RETURN_IF_ERROR(read_window_layers(metadata, keys, meta));
  RETURN_IF_ERROR(read_rope(keys, weights, meta));
  RETURN_IF_ERROR(read_experts(keys, meta.moe));
  RETURN_IF_ERROR(read_variant(keys, weights, meta.variant));
  meta.attention_bias = has_weight(weights, "blk.0.attn_q.bias");
  meta.mlp_bias = has_weight(weights, "blk.0.ffn_gate.bias");
  meta.tie_embeddings = !has_weight(weights, "output.weight");
  RETURN_IF_ERROR(read_tokens(metadata, meta));
  RETURN_IF_ERROR(read_generation(metadata, meta.generation));
  RETURN_IF_ERROR(read_pooling(keys, meta.pooling));
  return meta;
}

}  // namespace inferneo::formats
