#include "formats/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/limits.h"

namespace inferneo::formats {
namespace {

using tensor::DType;
using tensor::WeightMap;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kDivisors[4] = {1, 1, 2, 8};

// What a file of a small Llama says; tests change one thing.
struct Small {
  Small() {
    auto& entries = metadata.entries();
    entries["general.architecture"] = std::string_view("llama");
    const std::pair<const char*, std::int64_t> sizes[] = {{"llama.context_length", 64},
                                                          {"llama.embedding_length", 32},
                                                          {"llama.block_count", 2},
                                                          {"llama.feed_forward_length", 48},
                                                          {"llama.attention.head_count", 4},
                                                          {"llama.attention.head_count_kv", 2},
                                                          {"llama.rope.dimension_count", 8},
                                                          {"tokenizer.ggml.bos_token_id", 1},
                                                          {"tokenizer.ggml.eos_token_id", 2}};
    for (const auto& [key, value] : sizes) entries[key] = value;
    entries["llama.attention.layer_norm_rms_epsilon"] = 1e-5;
    entries["llama.rope.freq_base"] = 5e5;
    weights.add("token_embd.weight", {DType::kQ8_0, {20, 32}, nullptr});
  }
  void set(std::string_view key, GgufValue value) { metadata.entries()[key] = std::move(value); }
  [[nodiscard]] Result<ModelMeta> read() const { return read_gguf_model(metadata, weights); }

  GgufMetadata metadata;
  WeightMap weights;
};

TEST(GgufModel, layers_with_a_window_are_a_number_or_a_flag_each) {
  Small small;
  small.set("llama.attention.sliding_window_pattern", std::int64_t{3});
  EXPECT_EQ(small.read().value().window_pattern, 3);
  small.set("llama.attention.sliding_window_pattern", GgufNumbers(std::vector<std::int64_t>{0, 1}));
  EXPECT_THAT(small.read().value().window_layers, ElementsAre(false, true));
  small.set("llama.attention.sliding_window_pattern", GgufNumbers(std::vector<std::int64_t>{1}));
  const Status status = small.read().status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              HasSubstr("llama.attention.sliding_window_pattern is a list, but must be a number, "
                        "or a flag for each of 2 layers"));
}

TEST(GgufModel, reads_what_a_file_says) {
  Small small;
  const ModelMeta meta = small.read().value();
  EXPECT_EQ(meta.gguf_architecture, "llama");
  EXPECT_EQ(meta.vocab_size, 20);
  EXPECT_EQ(meta.hidden_size, 32);
  EXPECT_EQ(meta.ffn_size, 48);
  EXPECT_EQ(meta.layer_count, 2);
  EXPECT_EQ(meta.head_count, 4);
  EXPECT_EQ(meta.kv_head_count, 2);
  EXPECT_EQ(meta.context_tokens_max, 64);
  EXPECT_EQ(meta.norm_eps, 1e-5);
  EXPECT_EQ(meta.tie_embeddings, true);
  EXPECT_EQ(meta.attention_bias, false);
  EXPECT_EQ(meta.rope.type, "default");
  EXPECT_EQ(meta.rope.theta, 5e5);
  EXPECT_EQ(meta.rope.partial_rotary_factor, 1.0);
  EXPECT_EQ(meta.bos_token_id, 1);
  EXPECT_THAT(meta.eos_token_ids, ElementsAre(2));
}

TEST(GgufModel, weights_say_what_the_model_has) {
  Small small;
  small.weights.add("output.weight", {DType::kF16, {20, 32}, nullptr});
  small.weights.add("blk.0.attn_q.bias", {DType::kF32, {32}, nullptr});
  small.weights.add("rope_freqs.weight",
                    {DType::kF32, {4}, reinterpret_cast<const std::byte*>(kDivisors)});
  const ModelMeta meta = small.read().value();
  EXPECT_EQ(meta.tie_embeddings, false);
  EXPECT_EQ(meta.attention_bias, true);
  EXPECT_THAT(meta.rope.frequency_divisors, ElementsAre(1, 1, 2, 8));
}

TEST(GgufModel, a_number_may_be_given_for_each_layer) {
  Small small;
  small.set("llama.attention.head_count_kv", GgufNumbers(std::vector<std::int64_t>{2, 2}));
  small.set("llama.feed_forward_length", GgufNumbers(std::vector<std::int64_t>{48, 48}));
  EXPECT_EQ(small.read().value().kv_head_count, 2);
}

TEST(GgufModel, reads_how_a_context_was_extended) {
  Small small;
  small.set("llama.rope.scaling.factor", 4.0);
  EXPECT_EQ(small.read().value().rope.type, "linear");
  small.set("llama.rope.scaling.type", std::string_view("yarn"));
  small.set("llama.rope.scaling.original_context_length", std::int64_t{16});
  const RopeMeta rope = small.read().value().rope;
  EXPECT_EQ(rope.type, "yarn");
  EXPECT_EQ(rope.factor, 4.0);
  EXPECT_EQ(rope.original_context_tokens, 16);
  EXPECT_FALSE(rope.attention_factor.has_value());
  small.set("llama.rope.scaling.type", std::string_view("none"));
  EXPECT_EQ(small.read().value().rope.type, "default");
}

TEST(GgufModel, control_tokens_that_end_an_answer_are_found_by_name) {
  Small small;
  small.set("tokenizer.ggml.tokens",
            std::vector<std::string_view>{"<|eot_id|>", "a", "b", "</s>", "<|im_end|>"});
  small.set("tokenizer.ggml.token_type", GgufNumbers(std::vector<std::int64_t>{3, 1, 1, 1, 3}));
  EXPECT_THAT(small.read().value().eos_token_ids, ElementsAre(0, 2, 4));
  small.set("tokenizer.ggml.eot_token_id", std::int64_t{7});
  EXPECT_THAT(small.read().value().eos_token_ids, ElementsAre(0, 2, 4, 7));
}

TEST(GgufModel, an_id_of_all_ones_means_that_there_is_none) {
  Small small;
  small.set("tokenizer.ggml.bos_token_id", std::int64_t{0xFFFFFFFF});
  small.set("tokenizer.ggml.eos_token_id", std::int64_t{-1});
  const ModelMeta meta = small.read().value();
  EXPECT_FALSE(meta.bos_token_id.has_value());
  EXPECT_TRUE(meta.eos_token_ids.empty());
}

TEST(GgufModel, reads_sampling_defaults) {
  Small small;
  small.set("general.sampling.temp", 0.5);
  small.set("general.sampling.top_k", std::int64_t{40});
  const GenerationMeta generation = small.read().value().generation;
  EXPECT_EQ(generation.temperature, 0.5F);
  EXPECT_EQ(generation.top_k, 40);
  EXPECT_FALSE(generation.top_p.has_value());
}

struct Damage {
  const char* name;
  std::function<void(Small&)> change;
  StatusCode code;
  const char* message;  // a part of it
};

class DamagedGgufModel : public testing::TestWithParam<Damage> {};

TEST_P(DamagedGgufModel, is_refused_with_the_key) {
  Small small;
  GetParam().change(small);
  const auto meta = small.read();
  ASSERT_FALSE(meta.has_value());
  EXPECT_EQ(meta.error().code(), GetParam().code) << meta.error().to_string();
  EXPECT_THAT(meta.error().to_string(), HasSubstr(GetParam().message));
}

std::vector<Damage> damages() {
  constexpr auto kInvalid = StatusCode::kInvalidArgument;
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kUnsupported = StatusCode::kUnsupported;
  const auto with = [](std::string_view key, GgufValue value) {
    return [key, value](Small& small) { small.set(key, value); };
  };
  const auto without = [](std::string_view key) {
    return [key](Small& small) { small.metadata.entries().erase(key); };
  };
  const auto numbers = [](std::vector<std::int64_t> list) { return GgufNumbers(std::move(list)); };
  const auto integer = [](std::int64_t value) { return GgufValue(value); };
  return {
      {"no_architecture",
       without("general.architecture"),
       kCorrupt,
       "general.architecture is missing"},
      {"no_context", without("llama.context_length"), kInvalid, "llama.context_length is missing"},
      {"no_epsilon",
       without("llama.attention.layer_norm_rms_epsilon"),
       kInvalid,
       "llama.attention.layer_norm_rms_epsilon is missing"},
      {"no_layers",
       with("llama.block_count", integer(0)),
       kInvalid,
       "llama.block_count is 0, but must be an integer from 1 to 4096"},
      {"huge_context",
       with("llama.context_length", integer(std::numeric_limits<std::int64_t>::max())),
       kInvalid,
       "llama.context_length is 9223372036854775807"},
      {"width_as_text",
       with("llama.embedding_length", std::string_view("wide")),
       kCorrupt,
       "llama.embedding_length"},
      {"heads_that_do_not_divide",
       with("llama.attention.head_count_kv", integer(3)),
       kInvalid,
       "llama.attention.head_count_kv is 3, but must be a divisor of llama.attention.head_count"},
      {"heads_that_do_not_fill_the_width",
       with("llama.embedding_length", integer(34)),
       kInvalid,
       "llama.embedding_length is 34, but must be a multiple of llama.attention.head_count"},
      {"layers_of_different_shapes",
       with("llama.feed_forward_length", numbers({48, 64})),
       kUnsupported,
       "llama.feed_forward_length is 48 for layer 0 and 64 for layer 1"},
      {"empty_list", with("llama.attention.head_count", numbers({})), kInvalid, "a list"},
      {"values_of_another_size",
       with("llama.attention.value_length", integer(16)),
       kUnsupported,
       "llama.attention.value_length is 16, but keys have 8"},
      {"too_many_experts",
       with("llama.expert_count", integer(1 << 20)),
       kInvalid,
       "llama.expert_count is 1048576"},
      {"latent_without_its_heads",
       with("llama.attention.kv_lora_rank", integer(8)),
       kInvalid,
       "llama.attention.key_length and llama.rope.dimension_count"},
      {"more_rotary_dimensions_than_a_head_has",
       with("llama.rope.dimension_count", integer(16)),
       kInvalid,
       "llama.rope.dimension_count is 16, but must be an integer from 1 to 8"},
      {"infinite_base",
       with("llama.rope.freq_base", std::numeric_limits<double>::infinity()),
       kInvalid,
       "llama.rope.freq_base is inf"},
      {"scaling_below_one",
       with("llama.rope.scaling.factor", 0.5),
       kInvalid,
       "llama.rope.scaling.factor is 0.5"},
      {"eos_outside",
       with("tokenizer.ggml.eos_token_id", integer(20)),
       kInvalid,
       "tokenizer.ggml.eos_token_id is 20, but must be a token id from 0 to 19"},
      {"more_tokens_than_rows",
       with("tokenizer.ggml.tokens", std::vector<std::string_view>(21, "a")),
       kCorrupt,
       "tokenizer.ggml.tokens names 21 tokens, but token_embd.weight has 20 rows"},
      {"temperature_out_of_range",
       with("general.sampling.temp", -1.0),
       kInvalid,
       "general.sampling.temp is -1"},
      {"divisors_of_another_type",
       [](Small& small) {
         small.weights.add("rope_freqs.weight", {DType::kF16, {4}, nullptr});
       },
       kCorrupt,
       "\"rope_freqs.weight\" has the element type f16"},
      {"divisor_of_zero",
       [](Small& small) {
         static constexpr float kZero[1] = {0};
         small.weights.add("rope_freqs.weight",
                           {DType::kF32, {1}, reinterpret_cast<const std::byte*>(kZero)});
       },
       kCorrupt,
       "\"rope_freqs.weight\" holds 0"},
  };
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         DamagedGgufModel,
                         testing::ValuesIn(damages()),
                         [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace
}  // namespace inferneo::formats
