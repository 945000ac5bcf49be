#include "formats/model_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "formats/meta_limits.h"
#include "formats/pooling_config.h"

namespace inferneo::formats {
namespace {

using nlohmann::json;

Status check_depth(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (depth > limits::kJsonDepthMax) {
      return corrupt_data(str("JSON nested deeper than ", limits::kJsonDepthMax, " at byte ", i));
    }
  }
  return ok_status();
}

Result<json> parse_document(std::string_view text) {
  RETURN_IF_ERROR(check_depth(text));
  // One set of keys for each open object.
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second && duplicate.empty()) duplicate = key;
    }
    return true;
  };
  try {
    json document = json::parse(text.begin(), text.end(), watch);
    if (!duplicate.empty()) {
      return corrupt_data(str("JSON has the key \"", printable(duplicate), "\" twice"));
    }
    if (!document.is_object()) return corrupt_data("JSON is not an object");
    return document;
  } catch (const json::exception& error) {
    return corrupt_data(str("not JSON: ", printable(error.what(), 200)));
  }
}

// Typed access to the members of one object, with range checks that name the key and the value.
// A member that is null counts as absent, as in transformers.
class Members {
 public:
  Members(const json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  [[nodiscard]] const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] bool mentions(const char* key) const { return object_.contains(key); }

  [[nodiscard]] Status wrong(const char* key, const json& value, std::string_view wanted) const {
    const std::string shown = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return invalid_argument(str(prefix_, key, " is ", printable(shown), ", but must be ", wanted))
        .with_where(prefix_ + key);
  }

  Status read(const char* key,
              std::int64_t min,
              std::int64_t max,
              std::optional<std::int64_t>& target) const {
    const json* value = find(key);
    if (value == nullptr) return ok_status();
    std::int64_t number = 0;
    if (!as_integer(*value, number) || number < min || number > max) {
      return wrong(key, *value, str("an integer from ", min, " to ", max));
    }
    target = number;
    return ok_status();
  }

  Status require(const char* key, std::int64_t min, std::int64_t max, std::int64_t& target) const {
    std::optional<std::int64_t> value;
    RETURN_IF_ERROR(read(key, min, max, value));
    if (!value) return invalid_argument(str(prefix_, key, " is missing")).with_where(prefix_ + key);
    target = *value;
    return ok_status();
  }

  // Inclusive bounds.
  Status read(const char* key, double min, double max, std::optional<double>& target) const {
    const json* value = find(key);
    if (value == nullptr) return ok_status();
    const double number = value->is_number() ? value->get<double>() : std::nan("");
    if (!(number >= min && number <= max)) {
      return wrong(key, *value, str("a number from ", min, " to ", max));
    }
    target = number;
    return ok_status();
  }

  Status read(const char* key, double min, double max, std::optional<float>& target) const {
    std::optional<double> number;
    RETURN_IF_ERROR(read(key, min, max, number));
    if (number) target = static_cast<float>(*number);
    return ok_status();
  }

  Status read(const char* key, std::optional<bool>& target) const {
    const json* value = find(key);
    if (value == nullptr) return ok_status();
    if (!value->is_boolean()) return wrong(key, *value, "true or false");
    target = value->get<bool>();
    return ok_status();
  }

  Status read(const char* key, std::string& target) const {
    const json* value = find(key);
    if (value == nullptr) return ok_status();
    if (!value->is_string()) return wrong(key, *value, "a string");
    target = value->get<std::string>();
    return ok_status();
  }

 private:
  static bool as_integer(const json& value, std::int64_t& number) {
    if (value.is_number_unsigned()) {
      const auto wide = value.get<std::uint64_t>();
      number = static_cast<std::int64_t>(
          std::min<std::uint64_t>(wide, std::numeric_limits<std::int64_t>::max()));
      return true;
    }
    if (!value.is_number_integer()) return false;
    number = value.get<std::int64_t>();
    return true;
  }

  const json& object_;
  std::string prefix_;
};

Status read_quantization(const json& quantization, ModelMeta& meta) {
  std::string method = "of an unnamed method";
  if (quantization.is_object() && quantization.contains("quant_method")) {
    if (quantization["quant_method"] == "mxfp4") {
      meta.quantization = "mxfp4";
      return ok_status();
    }
    method = printable(quantization["quant_method"].dump());
  }
  return unsupported(str("quantization_config: weights quantized by ",
                         method,
                         " are not supported; the supported types are f32, f16, bf16 and mxfp4"))
      .with_where("quantization_config");
}

Status read_names(const Members& config, ModelMeta& meta) {
  RETURN_IF_ERROR(config.read("model_type", meta.model_type));
  if (const json* list = config.find("architectures")) {
    if (!list->is_array() || list->empty() || !list->front().is_string()) {
      return config.wrong("architectures", *list, "a list that begins with a class name");
    }
    meta.architecture = list->front().get<std::string>();
  }
  meta.has_own_code = config.find("auto_map") != nullptr;
  if (const json* quantization = config.find("quantization_config")) {
    return read_quantization(*quantization, meta);
  }
  return ok_status();
}

// A value under any of several spellings, the first that is there.
template <typename Part, typename Value, typename Bound>
struct Row {
  std::initializer_list<const char*> keys;
  std::optional<Value> Part::*target;
  Bound min;
  Bound max;
};
template <typename Part>
using IntegerRow = Row<Part, std::int64_t, std::int64_t>;
template <typename Part>
using NumberRow = Row<Part, double, double>;
template <typename Part>
struct FlagRow {
  std::initializer_list<const char*> keys;
  std::optional<bool> Part::*target;
};

template <typename Keys>
const char* first_key(const Members& members, const Keys& keys) {
  for (const char* key : keys) {
    if (members.find(key) != nullptr) return key;
  }
  return nullptr;
}

template <typename Part, typename Rows>
Status read_rows(const Members& members, const Rows& rows, Part& part) {
  for (const auto& row : rows) {
    const char* key = first_key(members, row.keys);
    if (key == nullptr) continue;
    if constexpr (requires { row.min; }) {
      RETURN_IF_ERROR(members.read(key, row.min, row.max, part.*row.target));
    } else {
      RETURN_IF_ERROR(members.read(key, part.*row.target));
    }
  }
  return ok_status();
}

// Sizes as the families spell them, the name of most first.
struct Sizes {
  std::optional<std::int64_t> hidden, ffn, layers, heads, kv_heads, context;
};
const IntegerRow<Sizes> kSizeRows[] = {
    {{"hidden_size", "n_embd", "d_model"}, &Sizes::hidden, 1, kWidthMax},
    {{"intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner"}, &Sizes::ffn, 1, kFfnSizeMax},
    {{"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, &Sizes::layers, 1, kLayerCountMax},
    {{"num_attention_heads", "n_head", "n_heads"}, &Sizes::heads, 1, kHeadCountMax},
    {{"num_key_value_heads", "num_kv_heads"}, &Sizes::kv_heads, 1, kHeadCountMax},
    {{"max_position_embeddings", "n_positions", "max_seq_len", "seq_length"},
     &Sizes::context,
     1,
     kContextTokensMax},
};

Status require_size(const char* key,
                    const std::optional<std::int64_t>& value,
                    std::int64_t& target) {
  if (!value) return invalid_argument(str(key, " is missing")).with_where(key);
  target = *value;
  return ok_status();
}

Status read_sizes(const Members& config, ModelMeta& meta) {
  RETURN_IF_ERROR(config.require(
      "vocab_size", 1, static_cast<std::int64_t>(limits::kVocabSizeMax), meta.vocab_size));
  Sizes sizes;
  RETURN_IF_ERROR(read_rows(config, kSizeRows, sizes));
  RETURN_IF_ERROR(require_size("hidden_size", sizes.hidden, meta.hidden_size));
  RETURN_IF_ERROR(require_size("num_hidden_layers", sizes.layers, meta.layer_count));
  RETURN_IF_ERROR(require_size("num_attention_heads", sizes.heads, meta.head_count));
  RETURN_IF_ERROR(config.read("head_dim", 1, kHeadDimMax, meta.head_dim));
  meta.ffn_size = sizes.ffn.value_or(0);
  meta.context_tokens_max = sizes.context.value_or(0);
  meta.kv_head_count = sizes.kv_heads.value_or(meta.head_count);
  if (meta.head_count % meta.kv_head_count != 0) {
    return invalid_argument(str("num_attention_heads is ",
                                meta.head_count,
                                ", but must be a multiple of num_key_value_heads, which is ",
                                meta.kv_head_count))
        .with_where("num_key_value_heads");
  }
  return ok_status();
}

// The kinds of layers, of which windows are one.
Status read_layer_types(const Members& config, ModelMeta& meta) {
  const json* list = config.find("layer_types");
  if (list == nullptr) return ok_status();
  const auto count = static_cast<std::size_t>(meta.layer_count);
  if (!list->is_array() || list->size() != count) {
    return config.wrong("layer_types", *list, str("a list of ", count, " kinds of layers"));
  }
  for (const json& type : *list) {
    if (type != "full_attention" && type != "sliding_attention") {
      return unsupported(str("layer_types: layers of kind ",
                             printable(type.dump(-1, ' ', false, json::error_handler_t::replace)),
                             " are not supported; the supported kinds are full_attention and "
                             "sliding_attention"))
          .with_where("layer_types");
    }
    meta.window_layers.push_back(type == "sliding_attention");
  }
  return ok_status();
}

bool is_none(const Members& members, const char* key) {
  return members.mentions(key) && members.find(key) == nullptr;
}

Status read_windows(const Members& config, ModelMeta& meta) {
  RETURN_IF_ERROR(config.read("use_sliding_window", meta.uses_window));
  RETURN_IF_ERROR(config.read("sliding_window", 0, kContextTokensMax, meta.sliding_window));
  if (is_none(config, "sliding_window") || meta.uses_window == false) meta.sliding_window = 0;
  if (const json* pattern = config.find("sliding_window_pattern");
      pattern != nullptr && pattern->is_string()) {
    // "LLLG": windows but for the last layer of each round.
    const auto text = pattern->get<std::string>();
    const bool is_known = !text.empty() && text.find_first_not_of("L") == text.size() - 1;
    if (!is_known) return config.wrong("sliding_window_pattern", *pattern, "an integer or LLLG");
    meta.window_pattern = static_cast<std::int64_t>(text.size());
  } else {
    RETURN_IF_ERROR(config.read("sliding_window_pattern", 0, kLayerCountMax, meta.window_pattern));
  }
  RETURN_IF_ERROR(config.read("max_window_layers", 0, kLayerCountMax, meta.first_window_layer));
  return read_layer_types(config, meta);
}

Status read_rope_layers(const Members& config, ModelMeta& meta) {
  RETURN_IF_ERROR(config.read("no_rope_layer_interval", 1, kLayerCountMax, meta.no_rope_step));
  const json* list = config.find("no_rope_layers");
  if (list == nullptr) return ok_status();
  const auto count = static_cast<std::size_t>(meta.layer_count);
  const auto is_flag = [](const json& item) { return item == 0 || item == 1; };
  if (!list->is_array() || list->size() != count ||
      !std::all_of(list->begin(), list->end(), is_flag)) {
    return config.wrong("no_rope_layers", *list, str("a list of ", count, " numbers 0 or 1"));
  }
  for (const json& item : *list) meta.rope_layers.push_back(item == 1);
  return ok_status();
}

Status read_factors(const Members& scaling, const char* key, std::vector<float>& target) {
  const json* list = scaling.find(key);
  if (list == nullptr) return ok_status();
  const bool is_list = list->is_array() && list->size() <= static_cast<std::size_t>(kHeadDimMax);
  if (!is_list) return scaling.wrong(key, *list, "a list of numbers");
  target.clear();
  for (const json& item : *list) {
    const double number = item.is_number() ? item.get<double>() : 0;
    if (!(number >= 1e-6 && number <= 1e6)) {
      return scaling.wrong(key, item, "a list of numbers from 1e-6 to 1e6");
    }
    target.push_back(static_cast<float>(number));
  }
  return ok_status();
}

Status read_scaling(const Members& scaling, RopeMeta& rope) {
  RETURN_IF_ERROR(scaling.read("type", rope.type));
  RETURN_IF_ERROR(scaling.read("rope_type", rope.type));
  RETURN_IF_ERROR(scaling.read("rope_theta", 1.0, kThetaMax, rope.theta));
  RETURN_IF_ERROR(scaling.read("partial_rotary_factor", 0.0, 1.0, rope.partial_rotary_factor));
  // Why above zero: every one of these is a divisor.
  constexpr double kSmall = 1e-6;
  constexpr double kLarge = 1e6;
  RETURN_IF_ERROR(scaling.read("factor", 1.0, kLarge, rope.factor));
  RETURN_IF_ERROR(scaling.read(
      "original_max_position_embeddings", 1, kContextTokensMax, rope.original_context_tokens));
  RETURN_IF_ERROR(scaling.read("low_freq_factor", kSmall, kLarge, rope.low_freq_factor));
  RETURN_IF_ERROR(scaling.read("high_freq_factor", kSmall, kLarge, rope.high_freq_factor));
  RETURN_IF_ERROR(scaling.read("attention_factor", 0.0, kLarge, rope.attention_factor));
  RETURN_IF_ERROR(scaling.read("mscale", 0.0, kLarge, rope.mscale));
  RETURN_IF_ERROR(scaling.read("mscale_all_dim", 0.0, kLarge, rope.mscale_all_dim));
  RETURN_IF_ERROR(scaling.read("beta_fast", 0.0, kLarge, rope.beta_fast));
  RETURN_IF_ERROR(scaling.read("beta_slow", 0.0, kLarge, rope.beta_slow));
  RETURN_IF_ERROR(read_factors(scaling, "short_factor", rope.short_factors));
  RETURN_IF_ERROR(read_factors(scaling, "long_factor", rope.long_factors));
  std::optional<bool> truncate;
  RETURN_IF_ERROR(scaling.read("truncate", truncate));
  rope.truncate = truncate.value_or(true);
  return ok_status();
}

// One object for all layers, or one for each kind of layer.
Status read_rope_object(const Members& config,
                        const char* name,
                        const json& object,
                        ModelMeta& meta) {
  if (!object.is_object()) return config.wrong(name, object, "an object");
  const Members scaling(object, str(name, "."));
  const json* full = scaling.find("full_attention");
  const json* window = scaling.find("sliding_attention");
  if (full == nullptr && window == nullptr) return read_scaling(scaling, meta.rope);
  const auto read_kind = [&](const char* kind, const json* value, RopeMeta& rope) {
    if (value == nullptr) return ok_status();
    if (!value->is_object()) return scaling.wrong(kind, *value, "an object");
    return read_scaling(Members(*value, str(name, ".", kind, ".")), rope);
  };
  RETURN_IF_ERROR(read_kind("full_attention", full, meta.rope));
  if (window == nullptr) return ok_status();
  meta.window_rope.emplace();
  return read_kind("sliding_attention", window, *meta.window_rope);
}

// Spec: transformers 5, RotaryEmbeddingConfigMixin: a filled rope_scaling (the old spelling) goes
// before rope_parameters; values inside either go before those at the top level.
Status read_rope(const Members& config, ModelMeta& meta) {
  RopeMeta& rope = meta.rope;
  for (const char* key : {"rotary_emb_base", "global_rope_theta", "rope_theta"}) {
    RETURN_IF_ERROR(config.read(key, 1.0, kThetaMax, rope.theta));
  }
  for (const char* key : {"rotary_pct", "rope_pct", "partial_rotary_factor"}) {
    RETURN_IF_ERROR(config.read(key, 0.0, 1.0, rope.partial_rotary_factor));
  }
  RETURN_IF_ERROR(config.read("rotary_dim", 1, kHeadDimMax, rope.rotary_dim));
  for (const char* key : {"local_rope_theta", "rope_local_base_freq"}) {
    std::optional<double> theta;
    RETURN_IF_ERROR(config.read(key, 1.0, kThetaMax, theta));
    if (theta) meta.window_rope.emplace().theta = theta;
  }
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const json* object = config.find(name);
    if (object == nullptr || object->empty()) continue;
    RETURN_IF_ERROR(read_rope_object(config, name, *object, meta));
    break;
  }
  return config.read(
      "original_max_position_embeddings", 1, kContextTokensMax, rope.original_context_tokens);
}

constexpr double kAnyNumber = 1e9;

const FlagRow<ModelMeta> kBiasRows[] = {
    {{"attention_bias", "qkv_bias", "use_qkv_bias", "use_bias", "enable_bias", "bias"},
     &ModelMeta::attention_bias},
    {{"mlp_bias", "use_bias", "enable_bias", "bias"}, &ModelMeta::mlp_bias},
    {{"tie_word_embeddings"}, &ModelMeta::tie_embeddings},
};
const FlagRow<VariantMeta> kVariantFlags[] = {
    {{"use_parallel_residual", "parallel_attn"}, &VariantMeta::parallel_residual},
    {{"use_qk_norm", "qk_layernorm", "qk_ln"}, &VariantMeta::qk_norm},
    {{"alibi"}, &VariantMeta::alibi},
    {{"multi_query"}, &VariantMeta::multi_query},
    {{"new_decoder_architecture"}, &VariantMeta::grouped_heads},
    {{"do_layer_norm_before"}, &VariantMeta::norm_before},
    {{"layer_norm_elementwise_affine"}, &VariantMeta::norm_vectors},
    {{"apply_residual_connection_post_layernorm"}, &VariantMeta::residual_from_norm},
    {{"scale_attn_weights"}, &VariantMeta::scales_attention},
    {{"scale_attn_by_inverse_layer_idx"}, &VariantMeta::scales_by_layer},
};
const NumberRow<VariantMeta> kVariantNumbers[] = {
    {{"clip_qkv"}, &VariantMeta::qkv_clip, 0, kAnyNumber},
    {{"alibi_bias_max"}, &VariantMeta::alibi_bias_max, 0, 1000},
    {{"embedding_multiplier"}, &VariantMeta::embedding_multiplier, -kAnyNumber, kAnyNumber},
    {{"residual_multiplier"}, &VariantMeta::residual_multiplier, -kAnyNumber, kAnyNumber},
    {{"attention_multiplier", "softmax_scale"},
     &VariantMeta::attention_multiplier,
     1e-9,
     kAnyNumber},
    {{"query_pre_attn_scalar"}, &VariantMeta::attention_scale_base, 1e-9, kAnyNumber},
    {{"logit_scale"}, &VariantMeta::logit_multiplier, -kAnyNumber, kAnyNumber},
    {{"logits_scaling"}, &VariantMeta::logit_divisor, 1e-9, kAnyNumber},
    {{"attn_logit_softcapping"}, &VariantMeta::attention_soft_cap, 1e-3, kAnyNumber},
    {{"final_logit_softcapping"}, &VariantMeta::logit_soft_cap, 1e-3, kAnyNumber},
};
const IntegerRow<VariantMeta> kVariantIntegers[] = {
    {{"num_ln_in_parallel_attn"}, &VariantMeta::parallel_norm_count, 1, 2},
    {{"word_embed_proj_dim"}, &VariantMeta::embedding_size, 1, kWidthMax},
    {{"type_vocab_size"}, &VariantMeta::token_type_count, 0, kWidthMax},
    {{"pad_token_id"}, &VariantMeta::pad_token_id, -1, kContextTokensMax},
    {{"num_labels"}, &VariantMeta::label_count, 1, kWidthMax},
    {{"global_attn_every_n_layers"}, &VariantMeta::global_layer_step, 1, kLayerCountMax},
    {{"local_attention"}, &VariantMeta::local_attention, 1, kContextTokensMax},
};

Status read_variant(const Members& config, ModelMeta& meta) {
  VariantMeta& variant = meta.variant;
  RETURN_IF_ERROR(read_rows(config, kVariantFlags, variant));
  RETURN_IF_ERROR(read_rows(config, kVariantNumbers, variant));
  RETURN_IF_ERROR(read_rows(config, kVariantIntegers, variant));
  // Why: families have caps unless the file says that there is none.
  if (is_none(config, "attn_logit_softcapping")) variant.attention_soft_cap = 0;
  if (is_none(config, "final_logit_softcapping")) variant.logit_soft_cap = 0;
  RETURN_IF_ERROR(config.read("position_embedding_type", variant.position_kind));
  RETURN_IF_ERROR(config.read("classifier_pooling", variant.pooling));
  RETURN_IF_ERROR(config.read("classifier_activation", variant.class_activation));
  if (const json* labels = config.find("id2label"); labels != nullptr && labels->is_object()) {
    variant.label_count = static_cast<std::int64_t>(labels->size());
  }
  const json* attention = config.find("attn_config");
  if (attention == nullptr) return ok_status();
  if (!attention->is_object()) return config.wrong("attn_config", *attention, "an object");
  const Members members(*attention, "attn_config.");
  RETURN_IF_ERROR(read_rows(members, kVariantFlags, variant));
  return read_rows(members, kVariantNumbers, variant);
}

constexpr std::int64_t kExpertCountMax = 8192;
const IntegerRow<MoeMeta> kMoeIntegers[] = {
    {{"num_local_experts", "num_experts", "n_routed_experts"},
     &MoeMeta::expert_count,
     0,
     kExpertCountMax},
    {{"num_experts_per_tok"}, &MoeMeta::chosen_count, 0, kExpertCountMax},
    {{"moe_intermediate_size"}, &MoeMeta::ffn_size, 1, kFfnSizeMax},
    {{"shared_expert_intermediate_size"}, &MoeMeta::shared_ffn_size, 0, kFfnSizeMax},
    {{"n_shared_experts"}, &MoeMeta::shared_count, 0, kExpertCountMax},
    {{"n_group"}, &MoeMeta::group_count, 1, kExpertCountMax},
    {{"topk_group"}, &MoeMeta::chosen_group_count, 1, kExpertCountMax},
    {{"first_k_dense_replace"}, &MoeMeta::dense_layer_count, 0, kLayerCountMax},
    {{"decoder_sparse_step", "moe_layer_freq"}, &MoeMeta::layer_step, 1, kLayerCountMax},
};
const NumberRow<MoeMeta> kMoeNumbers[] = {
    {{"routed_scaling_factor"}, &MoeMeta::weight_scale, -kAnyNumber, kAnyNumber},
    {{"swiglu_limit"}, &MoeMeta::activation_limit, 1e-3, kAnyNumber},
};
const FlagRow<MoeMeta> kMoeFlags[] = {{{"norm_topk_prob"}, &MoeMeta::renormalizes}};

Status read_moe(const Members& config, ModelMeta& meta) {
  MoeMeta& moe = meta.moe;
  RETURN_IF_ERROR(read_rows(config, kMoeIntegers, moe));
  RETURN_IF_ERROR(read_rows(config, kMoeNumbers, moe));
  RETURN_IF_ERROR(read_rows(config, kMoeFlags, moe));
  RETURN_IF_ERROR(config.read("scoring_func", moe.scoring));
  RETURN_IF_ERROR(config.read("topk_method", moe.method));
  const json* list = config.find("mlp_only_layers");
  if (list == nullptr) return ok_status();
  const auto is_layer = [&](const json& item) {
    return item.is_number_integer() && item >= 0 && item < meta.layer_count;
  };
  if (!list->is_array() || !std::all_of(list->begin(), list->end(), is_layer)) {
    return config.wrong("mlp_only_layers", *list, "a list of numbers of layers");
  }
  for (const json& item : *list) moe.dense_layers.push_back(item.get<std::int64_t>());
  return ok_status();
}

const IntegerRow<LatentMeta> kLatentRows[] = {
    {{"q_lora_rank"}, &LatentMeta::query_rank, 1, kWidthMax},
    {{"kv_lora_rank"}, &LatentMeta::rank, 1, kWidthMax},
    {{"qk_nope_head_dim"}, &LatentMeta::nope_dim, 1, kHeadDimMax},
    {{"qk_rope_head_dim"}, &LatentMeta::rope_dim, 1, kHeadDimMax},
    {{"v_head_dim"}, &LatentMeta::value_dim, 1, kHeadDimMax},
};

// The activation, as the families spell it.
Status read_activation(const Members& config, ModelMeta& meta) {
  // Why the second goes first: Gemma's files hold both, and that one counts.
  for (const char* key : {"hidden_activation", "hidden_act", "activation_function", "activation"}) {
    if (config.find(key) != nullptr) return config.read(key, meta.activation);
  }
  return ok_status();
}

Status read_norm_eps(const Members& config, ModelMeta& meta) {
  for (const char* key : {"rms_norm_eps",
                          "layer_norm_eps",
                          "layer_norm_epsilon",
                          "layernorm_epsilon",
                          "norm_epsilon",
                          "norm_eps"}) {
    if (config.find(key) != nullptr) return config.read(key, 0.0, 1.0, meta.norm_eps);
  }
  return ok_status();
}

Status add_token_ids(const Members& members,
                     const char* key,
                     const ModelMeta& meta,
                     std::set<std::int32_t>& ids) {
  const json* value = members.find(key);
  if (value == nullptr) return ok_status();
  const std::string wanted =
      str("a token id from 0 to ", meta.vocab_size - 1, " or a list of such");
  const json list = value->is_array() ? *value : json::array({*value});
  if (list.size() > kEosCountMax) {
    return members.wrong(key, *value, str("a list of at most ", kEosCountMax, " token ids"));
  }
  for (const json& id : list) {
    if (!id.is_number_integer() || id < 0 || id >= meta.vocab_size) {
      return members.wrong(key, *value, wanted);
    }
    ids.insert(id.get<std::int32_t>());
  }
  return ok_status();
}

Status read_tokens(const Members& config, ModelMeta& meta, std::set<std::int32_t>& eos) {
  std::optional<std::int64_t> bos;
  RETURN_IF_ERROR(config.read("bos_token_id", 0, meta.vocab_size - 1, bos));
  if (bos) meta.bos_token_id = static_cast<std::int32_t>(*bos);
  return add_token_ids(config, "eos_token_id", meta, eos);
}

Status read_generation(const Members& members, ModelMeta& meta, std::set<std::int32_t>& eos) {
  RETURN_IF_ERROR(read_tokens(members, meta, eos));
  GenerationMeta& generation = meta.generation;
  RETURN_IF_ERROR(members.read("temperature", 0.0, 100.0, generation.temperature));
  RETURN_IF_ERROR(members.read("top_p", 0.0, 1.0, generation.top_p));
  RETURN_IF_ERROR(members.read("min_p", 0.0, 1.0, generation.min_p));
  RETURN_IF_ERROR(members.read("repetition_penalty", 0.01, 100.0, generation.repetition_penalty));
  RETURN_IF_ERROR(members.read("do_sample", generation.do_sample));
  std::optional<std::int64_t> top_k;
  RETURN_IF_ERROR(members.read("top_k", 0, std::numeric_limits<std::int32_t>::max(), top_k));
  if (top_k) generation.top_k = static_cast<std::int32_t>(*top_k);
  return ok_status();
}

Status read_config(const json& document, ModelMeta& meta, std::set<std::int32_t>& eos) {
  const Members config(document, "");
  RETURN_IF_ERROR(read_names(config, meta));
  RETURN_IF_ERROR(read_sizes(config, meta));
  RETURN_IF_ERROR(read_activation(config, meta));
  RETURN_IF_ERROR(read_norm_eps(config, meta));
  RETURN_IF_ERROR(read_rows(config, kBiasRows, meta));
  RETURN_IF_ERROR(read_windows(config, meta));
  RETURN_IF_ERROR(read_rope(config, meta));
  RETURN_IF_ERROR(read_rope_layers(config, meta));
  RETURN_IF_ERROR(read_variant(config, meta));
  RETURN_IF_ERROR(read_moe(config, meta));
  RETURN_IF_ERROR(read_rows(config, kLatentRows, meta.latent));
  return read_tokens(config, meta, eos);
}

constexpr std::string_view kConfigName = "config.json";
constexpr std::string_view kGenerationName = "generation_config.json";

}  // namespace

Result<ModelMeta> parse_model_config(std::string_view config_text,
                                     std::string_view generation_text) {
  ModelMeta meta;
  std::set<std::int32_t> eos;
  auto config = parse_document(config_text);
  if (!config) return std::move(config).error().with_context(kConfigName);
  if (Status status = read_config(*config, meta, eos); !status.ok()) {
    return std::move(status).with_context(kConfigName);
  }
  if (!generation_text.empty()) {
    auto generation = parse_document(generation_text);
    if (!generation) return std::move(generation).error().with_context(kGenerationName);
    if (Status status = read_generation(Members(*generation, ""), meta, eos); !status.ok()) {
      return std::move(status).with_context(kGenerationName);
    }
  }
  meta.eos_token_ids.assign(eos.begin(), eos.end());
  return meta;
}

Result<ModelMeta> read_model_config(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string config,
                   read_file(str(directory, "/", kConfigName), limits::kConfigFileSizeMax));
  auto generation = read_file(str(directory, "/", kGenerationName), limits::kConfigFileSizeMax);
  if (!generation && generation.error().code() != StatusCode::kNotFound) {
    return std::move(generation).error();
  }
  ASSIGN_OR_RETURN(ModelMeta meta,
                   parse_model_config(config, generation ? *generation : std::string()));
  ASSIGN_OR_RETURN(meta.pooling, read_pooling_config(directory));
  return meta;
}

}  // namespace inferneo::formats
