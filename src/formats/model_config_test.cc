#include "formats/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace inferneo::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A complete config with `changes` put first; later duplicates are dropped by the maker.
std::string config_with(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::pair<std::string, std::string>> members = {
      {"architectures", R"(["LlamaForCausalLM"])"},
      {"model_type", R"("llama")"},
      {"vocab_size", "100"},
      {"hidden_size", "64"},
      {"intermediate_size", "128"},
      {"num_hidden_layers", "2"},
      {"num_attention_heads", "4"},
      {"max_position_embeddings", "512"},
  };
  for (const auto& [key, value] : changes) {
    bool found = false;
    for (auto& [name, text] : members) {
      if (name == key) text = value, found = true;
    }
    if (!found) members.emplace_back(key, value);
  }
  std::string text;
  for (const auto& [key, value] : members) {
    if (!value.empty()) text += (text.empty() ? "\"" : ",\"") + key + "\":" + value;
  }
  return "{" + text + "}";
}

TEST(ModelConfig, reads_the_old_spelling) {
  const auto meta =
      parse_model_config(config_with({{"rope_theta", "5e5"},
                                      {"rope_scaling", R"({"type":"linear","factor":2.5})"},
                                      {"torch_dtype", R"("bfloat16")"},
                                      {"eos_token_id", "7"}}),
                         "");
  ASSERT_TRUE(meta) << meta.error().to_string();
  EXPECT_EQ(meta->rope.type, "linear");
  EXPECT_EQ(meta->rope.factor, 2.5);
  EXPECT_EQ(meta->rope.theta, 5e5);
  EXPECT_EQ(meta->kv_head_count, 4);
  EXPECT_FALSE(meta->head_dim);
  EXPECT_THAT(meta->eos_token_ids, ElementsAre(7));
}

TEST(ModelConfig, reads_the_new_spelling) {
  const auto meta = parse_model_config(
      config_with({{"rope_parameters",
                    R"({"rope_type":"yarn","rope_theta":1e6,"factor":4,"truncate":false,
                        "original_max_position_embeddings":128})"},
                   {"dtype", R"("float16")"},
                   {"head_dim", "24"},
                   {"num_key_value_heads", "1"},
                   {"eos_token_id", "[9,7]"}}),
      R"({"eos_token_id":[7,8],"temperature":0.6,"top_k":20,"top_p":0.9,"min_p":0.1,
          "repetition_penalty":1.1,"do_sample":true})");
  ASSERT_TRUE(meta) << meta.error().to_string();
  EXPECT_EQ(meta->rope.type, "yarn");
  EXPECT_EQ(meta->rope.theta, 1e6);
  EXPECT_EQ(meta->rope.original_context_tokens, 128);
  EXPECT_FALSE(meta->rope.truncate);
  EXPECT_EQ(meta->head_dim, 24);
  EXPECT_EQ(meta->kv_head_count, 1);
  EXPECT_THAT(meta->eos_token_ids, ElementsAre(7, 8, 9));
  EXPECT_EQ(meta->generation.temperature, 0.6F);
  EXPECT_EQ(meta->generation.top_k, 20);
  EXPECT_EQ(meta->generation.min_p, 0.1F);
  EXPECT_EQ(meta->generation.do_sample, true);
}

TEST(ModelConfig, null_counts_as_absent) {
  const auto meta = parse_model_config(config_with({{"head_dim", "null"},
                                                    {"num_key_value_heads", "null"},
                                                    {"rope_scaling", "null"},
                                                    {"sliding_window", "null"},
                                                    {"bos_token_id", "null"}}),
                                       "");
  ASSERT_TRUE(meta) << meta.error().to_string();
  EXPECT_EQ(meta->rope.type, "default");
  EXPECT_EQ(meta->sliding_window, 0);
  EXPECT_FALSE(meta->bos_token_id);
}

struct Broken {
  const char* name;
  std::string config;
  StatusCode code;
  std::string message;
  std::string generation;
};

class BrokenConfig : public testing::TestWithParam<Broken> {};

TEST_P(BrokenConfig, is_refused) {
  const auto meta = parse_model_config(GetParam().config, GetParam().generation);
  ASSERT_FALSE(meta);
  EXPECT_EQ(meta.error().code(), GetParam().code) << meta.error().to_string();
  EXPECT_THAT(meta.error().message(), HasSubstr(GetParam().message));
}

std::vector<Broken> broken_configs() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kInvalid = StatusCode::kInvalidArgument;
  const auto with = [](const std::string& key, const std::string& value) {
    return config_with({{key, value}});
  };
  const std::string good = config_with({});
  return {
      {"empty", "", kCorrupt, "config.json: not JSON", ""},
      {"array", "[]", kCorrupt, "not an object", ""},
      {"cut_short", good.substr(0, 40), kCorrupt, "not JSON", ""},
      {"text_after", good + "x", kCorrupt, "not JSON", ""},
      {"bad_utf8", with("model_type", "\"\xFF\""), kCorrupt, "not JSON", ""},
      {"not_a_number", with("rope_theta", "NaN"), kCorrupt, "not JSON", ""},
      {"duplicate", "{\"vocab_size\":1,\"vocab_size\":2}", kCorrupt, "\"vocab_size\" twice", ""},
      {"duplicate_inside", with("x", R"({"a":1,"a":1})"), kCorrupt, "\"a\" twice", ""},
      {"deep", with("x", std::string(100'000, '[')), kCorrupt, "nested deeper", ""},
      {"no_vocab", with("vocab_size", ""), kInvalid, "vocab_size is missing", ""},
      {"hidden_zero", with("hidden_size", "0"), kInvalid, "hidden_size is 0", ""},
      {"hidden_text", with("hidden_size", "\"64\""), kInvalid, "hidden_size is \"64\"", ""},
      {"hidden_float", with("hidden_size", "64.0"), kInvalid, "an integer from 1", ""},
      {"hidden_huge", with("hidden_size", "1e9"), kInvalid, "hidden_size", ""},
      {"layers_negative", with("num_hidden_layers", "-1"), kInvalid, "num_hidden_layers is -1", ""},
      {"layers_absurd",
       with("num_hidden_layers", "1000000000"),
       kInvalid,
       "num_hidden_layers is 1000000000",
       ""},
      {"layers_above_64_bits",
       with("num_hidden_layers", "18446744073709551616"),
       kInvalid,
       "num_hidden_layers",
       ""},
      {"layers_63_bits",
       with("num_hidden_layers", "9223372036854775808"),
       kInvalid,
       "num_hidden_layers",
       ""},
      {"heads_zero", with("num_attention_heads", "0"), kInvalid, "num_attention_heads is 0", ""},
      {"kv_heads_zero", with("num_key_value_heads", "0"), kInvalid, "num_key_value_heads is 0", ""},
      {"kv_heads_no_divisor",
       with("num_key_value_heads", "3"),
       kInvalid,
       "must be a multiple of num_key_value_heads",
       ""},
      {"kv_heads_more",
       with("num_key_value_heads", "8"),
       kInvalid,
       "must be a multiple of num_key_value_heads",
       ""},
      {"head_dim_zero", with("head_dim", "0"), kInvalid, "head_dim is 0", ""},
      {"context_zero",
       with("max_position_embeddings", "0"),
       kInvalid,
       "max_position_embeddings",
       ""},
      {"vocab_absurd", with("vocab_size", "3000000"), kInvalid, "vocab_size is 3000000", ""},
      {"eps_negative", with("rms_norm_eps", "-1e-5"), kInvalid, "rms_norm_eps", ""},
      {"bias_text", with("attention_bias", "\"no\""), kInvalid, "true or false", ""},
      {"bias_number", with("mlp_bias", "0"), kInvalid, "true or false", ""},
      {"tie_null_text",
       with("tie_word_embeddings", "\"null\""),
       kInvalid,
       "tie_word_embeddings",
       ""},
      {"theta_zero", with("rope_theta", "0"), kInvalid, "rope_theta is 0", ""},
      {"rope_not_object", with("rope_scaling", "\"yarn\""), kInvalid, "an object", ""},
      {"rope_type_number",
       with("rope_scaling", R"({"type":3})"),
       kInvalid,
       "rope_scaling.type",
       ""},
      {"rope_factor_zero",
       with("rope_scaling", R"({"type":"linear","factor":0})"),
       kInvalid,
       "rope_scaling.factor is 0",
       ""},
      {"rope_factor_text",
       with("rope_parameters", R"({"rope_type":"linear","factor":"2"})"),
       kInvalid,
       "rope_parameters.factor",
       ""},
      {"rope_by_layer_type",
       with("rope_parameters", R"({"full_attention":{"factor":0.5}})"),
       kInvalid,
       "rope_parameters.full_attention.factor is 0.5",
       ""},
      {"eos_text", with("eos_token_id", "\"</s>\""), kInvalid, "a token id", ""},
      {"eos_out_of_vocabulary", with("eos_token_id", "100"), kInvalid, "from 0 to 99", ""},
      {"eos_negative", with("eos_token_id", "[1,-1]"), kInvalid, "a token id", ""},
      {"eos_wraps", with("eos_token_id", "18446744073709551615"), kInvalid, "a token id", ""},
      {"bos_list", with("bos_token_id", "[1]"), kInvalid, "bos_token_id", ""},
      {"architectures_text", with("architectures", "\"LlamaForCausalLM\""), kInvalid, "a list", ""},
      {"architectures_empty", with("architectures", "[]"), kInvalid, "a list", ""},
      {"quantized",
       with("quantization_config", R"({"quant_method":"gptq"})"),
       StatusCode::kUnsupported,
       "\"gptq\"",
       ""},
      {"generation_not_json", good, kCorrupt, "generation_config.json: not JSON", "{"},
      {"temperature_negative", good, kInvalid, "temperature is -1", R"({"temperature":-1})"},
      {"top_p_above_one", good, kInvalid, "top_p is 1.5", R"({"top_p":1.5})"},
      {"top_k_negative", good, kInvalid, "top_k is -1", R"({"top_k":-1})"},
      {"do_sample_text", good, kInvalid, "do_sample", R"({"do_sample":"yes"})"},
  };
}

INSTANTIATE_TEST_SUITE_P(Configs,
                         BrokenConfig,
                         testing::ValuesIn(broken_configs()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ModelConfig, broken_parts_are_named_where_they_are) {
  const auto meta = parse_model_config(config_with({{"hidden_size", "0"}}), "");
  ASSERT_FALSE(meta);
  EXPECT_EQ(meta.error().where(), "hidden_size");
}

TEST(ModelConfig, missing_file_is_not_found) {
  EXPECT_EQ(read_model_config("/nonexistent").error().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace inferneo::formats
