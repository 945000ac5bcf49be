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
    std::string method = "of an unnamed method";
    if (quantization->is_object() && quantization->contains("quant_method")) {
      method = printable((*quantization)["quant_method"].dump());
    }
    return unsupported(str("quantization_config: weights quantized by ",
                           method,
                           " are not supported; the supported types are f32, f16 and bf16"))
        .with_where("quantization_config");
  }
  return ok_status();
}

Status read_sizes(const Members& config, ModelMeta& meta) {
  RETURN_IF_ERROR(config.require(
      "vocab_size", 1, static_cast<std::int64_t>(limits::kVocabSizeMax), meta.vocab_size));
  RETURN_IF_ERROR(config.require("hidden_size", 1, kWidthMax, meta.hidden_size));
  RETURN_IF_ERROR(config.require("intermediate_size", 1, kFfnSizeMax, meta.ffn_size));
  RETURN_IF_ERROR(config.require("num_hidden_layers", 1, kLayerCountMax, meta.layer_count));
  RETURN_IF_ERROR(config.require("num_attention_heads", 1, kHeadCountMax, meta.head_count));
  RETURN_IF_ERROR(config.read("head_dim", 1, kHeadDimMax, meta.head_dim));
  std::optional<std::int64_t> kv_head_count;
  RETURN_IF_ERROR(config.read("num_key_value_heads", 1, kHeadCountMax, kv_head_count));
  meta.kv_head_count = kv_head_count.value_or(meta.head_count);
  if (meta.head_count % meta.kv_head_count != 0) {
    return invalid_argument(str("num_attention_heads is ",
                                meta.head_count,
                                ", but must be a multiple of num_key_value_heads, which is ",
                                meta.kv_head_count))
        .with_where("num_key_value_heads");
  }
  return config.require("max_position_embeddings", 1, kContextTokensMax, meta.context_tokens_max);
}

Status read_sliding_window(const Members& config, ModelMeta& meta) {
  std::optional<bool> used;
  RETURN_IF_ERROR(config.read("use_sliding_window", used));
  RETURN_IF_ERROR(config.read("sliding_window", 0, kContextTokensMax, meta.sliding_window));
  const bool explicit_none =
      config.mentions("sliding_window") && config.find("sliding_window") == nullptr;
  if (explicit_none || used == false) meta.sliding_window = 0;
  return ok_status();
}

// Spec: transformers 5, RotaryEmbeddingConfigMixin: a filled rope_scaling (the old spelling) goes
// before rope_parameters; values inside either go before top-level rope_theta.
Status read_rope(const Members& config, ModelMeta& meta) {
  RopeMeta& rope = meta.rope;
  std::optional<double> theta;
  std::optional<double> partial;
  RETURN_IF_ERROR(config.read("rope_theta", 1.0, kThetaMax, theta));
  RETURN_IF_ERROR(config.read("partial_rotary_factor", 0.0, 1.0, partial));

  const char* name = "rope_scaling";
  const json* object = config.find(name);
  if (object == nullptr || object->empty()) {
    name = "rope_parameters";
    object = config.find(name);
  }
  if (object != nullptr) {
    if (!object->is_object()) return config.wrong(name, *object, "an object");
    const Members scaling(*object, str(name, "."));
    if (scaling.find("full_attention") || scaling.find("sliding_attention")) {
      return unsupported(str(name, ": rotary parameters by layer type are not supported"))
          .with_where(name);
    }
    RETURN_IF_ERROR(scaling.read("type", rope.type));
    RETURN_IF_ERROR(scaling.read("rope_type", rope.type));
    RETURN_IF_ERROR(scaling.read("rope_theta", 1.0, kThetaMax, theta));
    RETURN_IF_ERROR(scaling.read("partial_rotary_factor", 0.0, 1.0, partial));
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
    std::optional<bool> truncate;
    RETURN_IF_ERROR(scaling.read("truncate", truncate));
    rope.truncate = truncate.value_or(true);
  }
  RETURN_IF_ERROR(config.read(
      "original_max_position_embeddings", 1, kContextTokensMax, rope.original_context_tokens));
  rope.theta = theta.value_or(rope.theta);
  rope.partial_rotary_factor = partial.value_or(1.0);
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
  RETURN_IF_ERROR(config.read("hidden_act", meta.activation));
  RETURN_IF_ERROR(config.read("rms_norm_eps", 0.0, 1.0, meta.norm_eps));
  RETURN_IF_ERROR(config.read("attention_bias", meta.attention_bias));
  RETURN_IF_ERROR(config.read("mlp_bias", meta.mlp_bias));
  RETURN_IF_ERROR(config.read("tie_word_embeddings", meta.tie_embeddings));
  RETURN_IF_ERROR(read_sliding_window(config, meta));
  RETURN_IF_ERROR(read_rope(config, meta));
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
