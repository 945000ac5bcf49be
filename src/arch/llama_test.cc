#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "arch/arch.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

using formats::ModelMeta;
using tensor::DType;
using tensor::Shape;
using tensor::WeightMap;
using testing::HasSubstr;

ModelMeta small_meta() {
  ModelMeta meta;
  meta.architecture = "LlamaForCausalLM";
  meta.vocab_size = 20;
  meta.hidden_size = 16;
  meta.ffn_size = 24;
  meta.layer_count = 2;
  meta.head_count = 4;
  meta.kv_head_count = 2;
  meta.context_tokens_max = 64;
  return meta;
}

// Building reads no weight bytes, so the views need none.
WeightMap small_weights(bool bias = false) {
  WeightMap weights;
  const auto add = [&](const std::string& name, const Shape& shape) {
    weights.add(name, {DType::kBf16, shape, nullptr});
  };
  add("model.embed_tokens.weight", {20, 16});
  add("model.norm.weight", {16});
  add("lm_head.weight", {20, 16});
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = str("model.layers.", layer, ".");
    add(prefix + "input_layernorm.weight", {16});
    add(prefix + "post_attention_layernorm.weight", {16});
    for (const auto& [name, out, in] : {std::tuple{"self_attn.q_proj", 16, 16},
                                        {"self_attn.k_proj", 8, 16},
                                        {"self_attn.v_proj", 8, 16},
                                        {"self_attn.o_proj", 16, 16},
                                        {"mlp.gate_proj", 24, 16},
                                        {"mlp.up_proj", 24, 16},
                                        {"mlp.down_proj", 16, 24}}) {
      add(prefix + name + ".weight", {out, in});
      if (bias) add(prefix + name + ".bias", {out});
    }
  }
  return weights;
}

Status build(const ModelMeta& meta, const WeightMap& weights) {
  const auto spec = find_arch(meta);
  if (!spec) return spec.error();
  return (*spec)->build(meta, weights, {}).status();
}

// Keys before its own that a token sees, by layer.
std::vector<std::int32_t> reaches(const graph::Program& program) {
  std::vector<std::int32_t> reaches;
  for (const graph::Op& op : program.ops) {
    const auto* attention = std::get_if<graph::AttentionOp>(&op);
    if (attention != nullptr) reaches.push_back(attention->reach_before);
  }
  return reaches;
}

TEST(Llama, builds_from_complete_weights) {
  EXPECT_TRUE(build(small_meta(), small_weights()).ok());
  ModelMeta with_bias = small_meta();
  with_bias.attention_bias = true;
  with_bias.mlp_bias = true;
  EXPECT_TRUE(build(with_bias, small_weights(true)).ok());
  ModelMeta by_type = small_meta();
  by_type.architecture.clear();
  by_type.model_type = "llama";
  EXPECT_TRUE(build(by_type, small_weights()).ok());
}

TEST(Llama, tied_head_may_be_stored_or_not) {
  ModelMeta meta = small_meta();
  WeightMap weights = small_weights();
  weights.entries().erase("lm_head.weight");
  EXPECT_THAT(build(meta, weights).message(), HasSubstr("\"lm_head.weight\""));
  meta.tie_embeddings = true;
  EXPECT_TRUE(build(meta, weights).ok());
  EXPECT_TRUE(build(meta, small_weights()).ok());
}

TEST(Llama, stored_rotary_frequencies_are_passed_over) {
  WeightMap weights = small_weights();
  weights.add("model.layers.1.self_attn.rotary_emb.inv_freq", {DType::kF32, {2}, nullptr});
  EXPECT_TRUE(build(small_meta(), weights).ok());
}

// The same weights under the names of a GGUF file.
WeightMap small_gguf_weights() {
  WeightMap weights;
  const auto add = [&](const std::string& name, const Shape& shape) {
    weights.add(name, {DType::kBf16, shape, nullptr});
  };
  add("token_embd.weight", {20, 16});
  add("output_norm.weight", {16});
  add("rope_freqs.weight", {2});
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = str("blk.", layer, ".");
    add(prefix + "attn_norm.weight", {16});
    add(prefix + "ffn_norm.weight", {16});
    add(prefix + "attn_q.weight", {16, 16});
    add(prefix + "attn_k.weight", {8, 16});
    add(prefix + "attn_v.weight", {8, 16});
    add(prefix + "attn_output.weight", {16, 16});
    add(prefix + "ffn_gate.weight", {24, 16});
    add(prefix + "ffn_up.weight", {24, 16});
    add(prefix + "ffn_down.weight", {16, 24});
  }
  return weights;
}

ModelMeta small_gguf_meta() {
  ModelMeta meta = small_meta();
  meta.architecture.clear();
  meta.gguf_architecture = "llama";
  meta.tie_embeddings = true;
  return meta;
}

TEST(GgufLlama, builds_with_adjacent_rotary_pairs_and_divided_frequencies) {
  ModelMeta meta = small_gguf_meta();
  meta.rope.frequency_divisors = {1, 4};
  const ArchSpec* spec = find_arch(meta).value();
  const auto built = spec->build(meta, small_gguf_weights(), {});
  ASSERT_TRUE(built.has_value()) << built.status().to_string();
  const graph::Rope& rope = built->program.ropes.front();
  EXPECT_TRUE(rope.adjacent);
  EXPECT_FALSE(spec->build(small_meta(), small_weights(), {})->program.ropes.front().adjacent);
  ASSERT_EQ(rope.inverse_frequencies.size(), 2U);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[0], 1.0F);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.01F / 4);
}

TEST(GgufLlama, speaks_of_weights_by_the_names_in_the_file) {
  WeightMap weights = small_gguf_weights();
  weights.entries().erase("blk.1.ffn_up.weight");
  EXPECT_THAT(build(small_gguf_meta(), weights).message(),
              HasSubstr("\"blk.1.ffn_up.weight\" of shape [24, 16] is missing"));
  weights = small_gguf_weights();
  weights.add("blk.0.attn_sinks.weight", {DType::kF32, {4}, nullptr});
  EXPECT_THAT(build(small_gguf_meta(), weights).message(),
              HasSubstr("\"blk.0.attn_sinks.weight\" of shape [4] has no place"));
  weights = small_gguf_weights();
  weights.entries().at("output_norm.weight").shape = {4};
  EXPECT_THAT(
      build(small_gguf_meta(), weights).message(),
      HasSubstr("\"output_norm.weight\" has the shape [4], but the metadata asks for [16]"));
}

TEST(GgufLlama, is_found_by_its_name_alone) {
  ModelMeta meta = small_gguf_meta();
  meta.gguf_architecture = "lama";
  const Status status = find_arch(meta).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_EQ(status.where(), "general.architecture");
  EXPECT_THAT(status.hint(), HasSubstr("nearest supported name is llama"));
}

TEST(GgufLlama, refuses_divisors_of_another_number_than_pairs) {
  ModelMeta meta = small_gguf_meta();
  meta.rope.frequency_divisors = {1, 2, 3};
  EXPECT_THAT(build(meta, small_gguf_weights()).message(), HasSubstr("have 3 divisors"));
}

TEST(GgufLlama, has_the_window_that_the_file_says) {
  ModelMeta meta = small_gguf_meta();
  meta.sliding_window = 32;
  const auto built = find_arch(meta).value()->build(meta, small_gguf_weights(), {}).value();
  EXPECT_THAT(reaches(built.program), testing::ElementsAre(31, 31));
}

struct Broken {
  const char* name;
  std::function<void(ModelMeta&, WeightMap&)> damage;
  StatusCode code;
  const char* message;
};

class BrokenLlama : public testing::TestWithParam<Broken> {};

TEST_P(BrokenLlama, is_refused) {
  ModelMeta meta = small_meta();
  WeightMap weights = small_weights();
  GetParam().damage(meta, weights);
  const Status status = build(meta, weights);
  EXPECT_EQ(status.code(), GetParam().code) << status.to_string();
  EXPECT_THAT(status.to_string(), HasSubstr(GetParam().message));
}

std::vector<Broken> broken_models() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kInvalid = StatusCode::kInvalidArgument;
  constexpr auto kUnsupported = StatusCode::kUnsupported;
  const auto rope = [](const std::function<void(formats::RopeMeta&)>& change) {
    return [change](ModelMeta& meta, WeightMap&) { change(meta.rope); };
  };
  return {
      {"missing_tensor",
       [](ModelMeta&, WeightMap& weights) {
         weights.entries().erase("model.layers.1.mlp.up_proj.weight");
       },
       kCorrupt,
       "\"model.layers.1.mlp.up_proj.weight\" of shape [24, 16] is missing"},
      {"missing_layer",
       [](ModelMeta& meta, WeightMap&) { meta.layer_count = 3; },
       kCorrupt,
       "\"model.layers.2.input_layernorm.weight\" of shape [16] is missing"},
      {"one_layer_too_many",
       [](ModelMeta& meta, WeightMap&) { meta.layer_count = 1; },
       kCorrupt,
       "\"model.layers.1.input_layernorm.weight\" of shape [16] has no place"},
      {"unexpected_tensor",
       [](ModelMeta&, WeightMap& weights) {
         weights.add("model.extra", {DType::kF32, {3}, nullptr});
       },
       kCorrupt,
       "\"model.extra\" of shape [3] has no place"},
      {"unexpected_bias",
       [](ModelMeta&, WeightMap& weights) { weights = small_weights(true); },
       kCorrupt,
       "proj.bias\" of shape"},
      {"missing_bias",
       [](ModelMeta& meta, WeightMap&) { meta.attention_bias = true; },
       kCorrupt,
       "\"model.layers.0.self_attn.q_proj.bias\" of shape [16] is missing"},
      {"wrong_shape",
       [](ModelMeta& meta, WeightMap&) { meta.kv_head_count = 4; },
       kCorrupt,
       "\"model.layers.0.self_attn.k_proj.weight\" has the shape [8, 16], but config.json asks for "
       "[16, 16]"},
      {"wrong_rank",
       [](ModelMeta&, WeightMap& weights) {
         weights.entries().at("model.norm.weight").shape = Shape({4, 4});
       },
       kCorrupt,
       "\"model.norm.weight\" has the shape [4, 4], but config.json asks for [16]"},
      {"wrong_vocabulary",
       [](ModelMeta& meta, WeightMap&) { meta.vocab_size = 21; },
       kCorrupt,
       "[20, 16], but config.json asks for [21, 16]"},
      {"integer_weights",
       [](ModelMeta&, WeightMap& weights) {
         weights.entries().at("model.layers.0.mlp.up_proj.weight").dtype = DType::kI8;
       },
       kUnsupported,
       "element type i8"},
      {"f64_weights",
       [](ModelMeta&, WeightMap& weights) {
         weights.entries().at("model.norm.weight").dtype = DType::kF64;
       },
       kUnsupported,
       "element type f64"},
      {"unknown_activation",
       [](ModelMeta& meta, WeightMap&) { meta.activation = "sillu"; },
       kUnsupported,
       "nearest supported activation is silu"},
      {"no_ffn",
       [](ModelMeta& meta, WeightMap&) { meta.ffn_size = 0; },
       kInvalid,
       "intermediate_size is missing"},
      {"no_context",
       [](ModelMeta& meta, WeightMap&) { meta.context_tokens_max = 0; },
       kInvalid,
       "max_position_embeddings is missing"},
      {"heads_do_not_divide",
       [](ModelMeta& meta, WeightMap&) { meta.hidden_size = 18; },
       kInvalid,
       "hidden_size is 18, but must be a multiple of num_attention_heads"},
      {"odd_head",
       [](ModelMeta& meta, WeightMap&) { meta.head_dim = 5; },
       kInvalid,
       "head_dim is 5"},
      {"unknown_rope",
       rope([](auto& meta) { meta.type = "longrop"; }),
       kUnsupported,
       "\"longrop\" is not supported; the supported types are default, dynamic, linear, llama3, "
       "longrope, su, yarn [at rope_scaling.rope_type] (the nearest supported type is longrope)"},
      {"longrope_without_factors",
       rope([](auto& meta) { meta.type = "longrope"; }),
       kInvalid,
       "type longrope needs short_factor"},
      {"longrope_of_another_size",
       rope([](auto& meta) {
         meta.type = "longrope";
         meta.short_factors = {1, 2, 3};
       }),
       kInvalid,
       "short_factor has 3 numbers, but must have 2"},
      {"linear_without_factor",
       rope([](auto& meta) { meta.type = "linear"; }),
       kInvalid,
       "type linear needs factor"},
      {"llama3_without_low",
       rope([](auto& meta) {
         meta.type = "llama3";
         meta.factor = 2;
       }),
       kInvalid,
       "needs low_freq_factor"},
      {"llama3_reversed",
       rope([](auto& meta) {
         meta.type = "llama3";
         meta.factor = 2;
         meta.low_freq_factor = 4;
         meta.high_freq_factor = 1;
       }),
       kInvalid,
       "high_freq_factor is 1"},
      {"yarn_theta_one",
       rope([](auto& meta) {
         meta.type = "yarn";
         meta.factor = 2;
         meta.theta = 1;
       }),
       kInvalid,
       "rope_theta is 1"},
      {"partial_rotary",
       rope([](auto& meta) { meta.partial_rotary_factor = 0.25; }),
       kInvalid,
       "rotary embeddings of 1 elements do not fit heads of 4"},
      {"misspelt",
       [](ModelMeta& meta, WeightMap&) { meta.architecture = "LLamaForCausalLM"; },
       kUnsupported,
       "nearest supported name is LlamaForCausalLM"},
      {"own_code",
       [](ModelMeta& meta, WeightMap&) {
         meta.architecture = "SomethingElse";
         meta.has_own_code = true;
       },
       kUnsupported,
       "never run"},
      {"unknown",
       [](ModelMeta& meta, WeightMap&) { meta.architecture = "Whisper"; },
       kUnsupported,
       "LlamaForCausalLM LlamaModel LlamaForSequenceClassification"},
      {"no_name",
       [](ModelMeta& meta, WeightMap&) { meta.architecture.clear(); },
       kInvalid,
       "neither architectures nor model_type"},
  };
}

INSTANTIATE_TEST_SUITE_P(Models,
                         BrokenLlama,
                         testing::ValuesIn(broken_models()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Mistral, has_its_window_by_default_or_as_the_file_says) {
  ModelMeta meta = small_meta();
  meta.architecture = "MistralForCausalLM";
  meta.context_tokens_max = 4097;
  const auto reaches_of = [&] {
    return reaches(find_arch(meta).value()->build(meta, small_weights(), {}).value().program);
  };
  EXPECT_THAT(reaches_of(), testing::ElementsAre(4095, 4095));
  // A window as long as the context is none.
  meta.context_tokens_max = 4096;
  EXPECT_THAT(reaches_of(), testing::Each(graph::kUnlimitedReach));
  meta.sliding_window = 0;
  EXPECT_THAT(reaches_of(), testing::Each(graph::kUnlimitedReach));
  meta.sliding_window = 1;
  EXPECT_THAT(reaches_of(), testing::ElementsAre(0, 0));
}

}  // namespace
}  // namespace inferneo::arch
