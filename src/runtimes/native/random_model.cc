#include "runtimes/native/random_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "base/str.h"
#include "formats/model_config.h"
#include "runtimes/native/native_model.h"

namespace inferneo::runtimes::native {
namespace {

using kernels::Bf16;
using tensor::DType;
using tensor::Shape;

// 2^16 quantiles of the normal distribution: one table look-up turns 16 random bits into a sample.
constexpr std::int64_t kQuantileCount = 65536;

std::vector<float> normal_quantiles() {
  std::vector<float> quantiles(kQuantileCount);
  // Newton steps on the distribution function, each begun at the neighbour's result.
  double x = 0;
  for (std::int64_t i = kQuantileCount / 2; i < kQuantileCount; ++i) {
    const double tail = 1 - (static_cast<double>(i) + 0.5) / kQuantileCount;
    for (int step = 0; step < 3; ++step) {
      const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
      x += (std::erfc(x / std::numbers::sqrt2) / 2 - tail) / density;
    }
    quantiles[static_cast<std::size_t>(i)] = static_cast<float>(x);
    quantiles[static_cast<std::size_t>(kQuantileCount - 1 - i)] = static_cast<float>(-x);
  }
  return quantiles;
}

// Spec: SplitMix64 (Steele, Lea, Flood 2014), used as a counter-based generator.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t counter) {
  std::uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

struct NamedShape {
  std::string name;
  Shape shape;
};

// Name and shape of a layer's matrices.
using Matrices = std::vector<std::pair<std::string, Shape>>;

Matrices attention_matrices(const RandomModelShape& shape) {
  const std::int64_t hidden = shape.hidden_size;
  if (shape.latent_rank > 0) {
    const std::int64_t rank = shape.latent_rank;
    const std::int64_t nope = shape.nope_dim;
    return {{"q_proj", {shape.head_count * (nope + shape.rope_dim), hidden}},
            {"kv_a_proj_with_mqa", {rank + shape.rope_dim, hidden}},
            {"kv_b_proj", {shape.head_count * 2 * nope, rank}},
            {"o_proj", {hidden, shape.head_count * nope}}};
  }
  const std::int64_t q_width = shape.head_count * shape.head_dim;
  const std::int64_t kv_width = shape.kv_head_count * shape.head_dim;
  return {{"q_proj", {q_width, hidden}},
          {"k_proj", {kv_width, hidden}},
          {"v_proj", {kv_width, hidden}},
          {"o_proj", {hidden, q_width}}};
}

Matrices ffn_matrices(const RandomModelShape& shape) {
  const Shape wide = {shape.ffn_size, shape.hidden_size};
  const Shape back = {shape.hidden_size, shape.ffn_size};
  if (shape.expert_count == 0) {
    return {{"mlp.gate_proj", wide}, {"mlp.up_proj", wide}, {"mlp.down_proj", back}};
  }
  Matrices matrices = {{"block_sparse_moe.gate", {shape.expert_count, shape.hidden_size}}};
  for (std::int64_t i = 0; i < shape.expert_count; ++i) {
    const std::string prefix = str("block_sparse_moe.experts.", i, ".");
    matrices.emplace_back(prefix + "w1", wide);
    matrices.emplace_back(prefix + "w3", wide);
    matrices.emplace_back(prefix + "w2", back);
  }
  return matrices;
}

std::vector<NamedShape> weight_shapes(const RandomModelShape& shape) {
  const std::int64_t hidden = shape.hidden_size;
  std::vector<NamedShape> shapes = {{"model.embed_tokens.weight", {shape.vocab_size, hidden}},
                                    {"model.norm.weight", {hidden}}};
  if (!shape.tied) shapes.push_back({"lm_head.weight", {shape.vocab_size, hidden}});
  for (std::int64_t layer = 0; layer < shape.layer_count; ++layer) {
    const std::string prefix = str("model.layers.", layer, ".");
    shapes.push_back({prefix + "input_layernorm.weight", {hidden}});
    shapes.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    if (shape.latent_rank > 0) {
      shapes.push_back({prefix + "self_attn.kv_a_layernorm.weight", {shape.latent_rank}});
    }
    for (const auto& [name, size] : attention_matrices(shape)) {
      shapes.push_back({str(prefix, "self_attn.", name, ".weight"), size});
    }
    for (const auto& [name, size] : ffn_matrices(shape)) {
      shapes.push_back({str(prefix, name, ".weight"), size});
    }
  }
  return shapes;
}

// What the configuration of the class says besides.
std::string class_config(const RandomModelShape& shape) {
  if (shape.expert_count > 0) {
    return str(R"("architectures":["MixtralForCausalLM"],"num_local_experts":)",
               shape.expert_count,
               R"(,"num_experts_per_tok":)",
               shape.chosen_count);
  }
  if (shape.latent_rank > 0) {
    return str(R"("architectures":["DeepseekV3ForCausalLM"],"n_routed_experts":1,)",
               R"("num_experts_per_tok":1,"n_group":1,"topk_group":1,"first_k_dense_replace":)",
               shape.layer_count,
               R"(,"kv_lora_rank":)",
               shape.latent_rank,
               R"(,"qk_rope_head_dim":)",
               shape.rope_dim,
               R"(,"qk_nope_head_dim":)",
               shape.nope_dim,
               R"(,"v_head_dim":)",
               shape.nope_dim);
  }
  return R"("architectures":["LlamaForCausalLM"])";
}

// Written as a config.json and read by its reader, so that shapes get the same checks.
Result<formats::ModelMeta> make_meta(const RandomModelShape& shape) {
  return formats::parse_model_config(str("{",
                                         class_config(shape),
                                         R"(,"vocab_size":)",
                                         shape.vocab_size,
                                         R"(,"hidden_size":)",
                                         shape.hidden_size,
                                         R"(,"intermediate_size":)",
                                         shape.ffn_size,
                                         R"(,"num_hidden_layers":)",
                                         shape.layer_count,
                                         R"(,"num_attention_heads":)",
                                         shape.head_count,
                                         R"(,"num_key_value_heads":)",
                                         shape.kv_head_count,
                                         R"(,"head_dim":)",
                                         shape.head_dim,
                                         R"(,"max_position_embeddings":)",
                                         shape.context_tokens_max,
                                         R"(,"rms_norm_eps":1e-5,"tie_word_embeddings":)",
                                         shape.tied,
                                         "}"),
                                     "");
}

class WeightFiller {
 public:
  WeightFiller(std::uint64_t seed, device::CpuDevice& device)
      : quantiles_(normal_quantiles()), rounded_(kQuantileCount), seed_(seed), device_(device) {}

  void fill(const NamedShape& weight, std::uint64_t stream, Bf16* out) {
    const bool is_matrix = weight.shape.rank() == 2;
    prepare_table(is_matrix ? 1 / std::sqrt(static_cast<double>(weight.shape[1])) : 0.0,
                  is_matrix ? 0.0 : 1.0);
    const std::uint64_t seed = random_bits(seed_, stream);
    const std::int64_t count = weight.shape.element_count();
    // Four elements from each draw.
    auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
      for (std::int64_t draw = begin; draw < end; ++draw) {
        std::uint64_t bits = random_bits(seed, static_cast<std::uint64_t>(draw));
        for (std::int64_t i = 4 * draw; i < std::min(4 * draw + 4, count); ++i, bits >>= 16) {
          out[i] = rounded_[bits & 0xFFFF];
        }
      }
    };
    device_.parallel_for((count + 3) / 4, 1 << 14, body);
  }

 private:
  void prepare_table(double scale, double mean) {
    std::vector<float> scaled(quantiles_.size());
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      scaled[i] = static_cast<float>(mean + scale * static_cast<double>(quantiles_[i]));
    }
    kernels::reference_table().f32_to_bf16(scaled.data(), rounded_.data(), kQuantileCount);
  }

  std::vector<float> quantiles_;
  std::vector<Bf16> rounded_;
  std::uint64_t seed_;
  device::CpuDevice& device_;
};

}  // namespace

Result<std::shared_ptr<const runtime::Model>> make_random_model(const RandomModelShape& shape,
                                                                std::uint64_t seed,
                                                                const runtime::LoadOptions& options,
                                                                device::CpuDevice& device) {
  ASSIGN_OR_RETURN(const formats::ModelMeta meta, make_meta(shape));
  const std::vector<NamedShape> shapes = weight_shapes(shape);
  std::size_t count = 0;
  for (const NamedShape& weight : shapes) {
    count += static_cast<std::size_t>(weight.shape.element_count());
  }
  WeightStore store;
  ASSIGN_OR_RETURN(AnonymousMemory memory,
                   AnonymousMemory::allocate(count * sizeof(Bf16), "random weights"));
  WeightFiller filler(seed, device);
  auto* at = reinterpret_cast<Bf16*>(memory.data());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    filler.fill(shapes[i], i, at);
    store.weights.add(shapes[i].name,
                      {DType::kBf16, shapes[i].shape, reinterpret_cast<const std::byte*>(at)});
    at += shapes[i].shape.element_count();
  }
  store.memory.push_back(std::move(memory));
  return make_model(meta, std::move(store), "random weights", options, device);
}

}  // namespace inferneo::runtimes::native
