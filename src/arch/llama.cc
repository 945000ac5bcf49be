// The Llama family: pre-norm blocks of grouped-query attention with rotary positions and a gated
// feed-forward layer. Mistral is the same network as long as its sliding window is off or no
// shorter than the context. GGUF files of "llama" hold both, with the rows of queries and keys in
// the order of adjacent rotary pairs.
// Spec: transformers 5, models/llama and models/mistral; llama.cpp, gguf-py/gguf/constants.py.
#include <array>
#include <string>
#include <utility>

#include "arch/arch.h"
#include "arch/rope_scaling.h"
#include "arch/weight_reader.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

using formats::ModelMeta;
using graph::ProgramBuilder;
using graph::ValueId;
using tensor::Shape;
using tensor::TensorView;

struct Sizes {
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  graph::AttentionShape attention;
  float norm_eps = 0;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tied = false;
};

bool is_gguf(const ModelMeta& meta) { return !meta.gguf_architecture.empty(); }

bool is_mistral(const ModelMeta& meta) {
  return meta.architecture == "MistralForCausalLM" || meta.model_type == "mistral";
}

Status check_window(const ModelMeta& meta) {
  // Spec: MistralConfig, whose default is a window of 4096 when the file does not say.
  constexpr std::int64_t kMistralWindow = 4096;
  if (!is_mistral(meta) && !is_gguf(meta)) return ok_status();
  const std::int64_t window = meta.sliding_window.value_or(is_mistral(meta) ? kMistralWindow : 0);
  if (window == 0 || window >= meta.context_tokens_max) return ok_status();
  return unsupported(str("sliding_window is ",
                         window,
                         " in a context of ",
                         meta.context_tokens_max,
                         "; sliding windows are not supported"))
      .with_where("sliding_window");
}

Result<Sizes> read_sizes(const ModelMeta& meta) {
  if (meta.activation != "silu" && meta.activation != "swish") {
    return unsupported(str("hidden_act is \"",
                           printable(meta.activation),
                           "\"; only silu is supported for this architecture"))
        .with_where("hidden_act");
  }
  RETURN_IF_ERROR(check_window(meta));
  if (!meta.head_dim && meta.hidden_size % meta.head_count != 0) {
    return invalid_argument(str("hidden_size is ",
                                meta.hidden_size,
                                ", but must be a multiple of num_attention_heads, which is ",
                                meta.head_count,
                                ", when there is no head_dim"))
        .with_where("hidden_size");
  }
  Sizes sizes;
  sizes.hidden = meta.hidden_size;
  sizes.ffn = meta.ffn_size;
  sizes.vocab = meta.vocab_size;
  sizes.attention = {meta.layer_count,
                     meta.head_count,
                     meta.kv_head_count,
                     meta.head_dim.value_or(meta.hidden_size / meta.head_count)};
  sizes.norm_eps = static_cast<float>(meta.norm_eps.value_or(1e-6));
  sizes.attention_bias = meta.attention_bias.value_or(false) && !is_mistral(meta);
  sizes.mlp_bias = meta.mlp_bias.value_or(false) && !is_mistral(meta);
  sizes.tied = meta.tie_embeddings.value_or(false);
  return sizes;
}

constexpr WeightName kGgufWeights[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
    {"model.layers.*.input_layernorm", "blk.*.attn_norm"},
    {"model.layers.*.self_attn.q_proj", "blk.*.attn_q"},
    {"model.layers.*.self_attn.k_proj", "blk.*.attn_k"},
    {"model.layers.*.self_attn.v_proj", "blk.*.attn_v"},
    {"model.layers.*.self_attn.o_proj", "blk.*.attn_output"},
    {"model.layers.*.self_attn.rotary_emb.inv_freq", "blk.*.attn_rot_embd.weight"},
    {"model.layers.*.post_attention_layernorm", "blk.*.ffn_norm"},
    {"model.layers.*.mlp.gate_proj", "blk.*.ffn_gate"},
    {"model.layers.*.mlp.up_proj", "blk.*.ffn_up"},
    {"model.layers.*.mlp.down_proj", "blk.*.ffn_down"},
};

class LlamaBuilder {
 public:
  LlamaBuilder(const Sizes& sizes, WeightReader weights, ProgramBuilder builder)
      : sizes_(sizes), weights_(std::move(weights)), builder_(std::move(builder)) {}

  Result<graph::Program> build() && {
    const TensorView& table =
        weights_.take("model.embed_tokens.weight", {sizes_.vocab, sizes_.hidden});
    const TensorView& norm = weights_.take("model.norm.weight", {sizes_.hidden});
    // A tied model may store its head as well; what is stored counts, as in transformers.
    const bool own_head = !sizes_.tied || weights_.has("lm_head.weight");
    const TensorView& head =
        own_head ? weights_.take("lm_head.weight", {sizes_.vocab, sizes_.hidden}) : table;
    weights_.ignore("rope_freqs.weight");  // part of the configuration by now
    if (!weights_.status().ok()) return weights_.status();

    ValueId sum = builder_.embed(table);
    for (std::int64_t i = 0; i < sizes_.attention.layers; ++i) {
      RETURN_IF_ERROR(add_layer(static_cast<std::int32_t>(i), sum));
    }
    RETURN_IF_ERROR(weights_.finish());
    const ValueId last = builder_.rms_norm(sum, norm, sizes_.norm_eps);
    const ValueId logits = builder_.linear(last, {{head}}).front();
    return std::move(builder_).finish(logits);
  }

 private:
  // sum is the residual stream. Shape: [tokens][hidden]; after the last layer [logit rows][hidden],
  // because nothing reads the other rows once their keys and values are stored.
  Status add_layer(std::int32_t layer, ValueId& sum) {
    const std::string prefix = str("model.layers.", layer, ".");
    const std::int64_t q_width = sizes_.attention.heads * sizes_.attention.head_dim;
    const std::int64_t kv_width = sizes_.attention.kv_heads * sizes_.attention.head_dim;
    const bool bias = sizes_.attention_bias;
    const TensorView& attention_norm =
        weights_.take(prefix + "input_layernorm.weight", {sizes_.hidden});
    const auto query = matrix(prefix + "self_attn.q_proj", q_width, sizes_.hidden, bias);
    const auto key = matrix(prefix + "self_attn.k_proj", kv_width, sizes_.hidden, bias);
    const auto value = matrix(prefix + "self_attn.v_proj", kv_width, sizes_.hidden, bias);
    const auto output = matrix(prefix + "self_attn.o_proj", sizes_.hidden, q_width, bias);
    const TensorView& ffn_norm =
        weights_.take(prefix + "post_attention_layernorm.weight", {sizes_.hidden});
    const auto gate = matrix(prefix + "mlp.gate_proj", sizes_.ffn, sizes_.hidden, sizes_.mlp_bias);
    const auto up = matrix(prefix + "mlp.up_proj", sizes_.ffn, sizes_.hidden, sizes_.mlp_bias);
    const auto down = matrix(prefix + "mlp.down_proj", sizes_.hidden, sizes_.ffn, sizes_.mlp_bias);
    // Old files store the rotary frequencies, which follow from config.json.
    weights_.ignore(prefix + "self_attn.rotary_emb.inv_freq");
    if (!weights_.status().ok()) return weights_.status();

    const ValueId attended = builder_.rms_norm(sum, attention_norm, sizes_.norm_eps);
    const auto qkv = builder_.linear(attended, {query, key, value});
    ValueId mixed = builder_.attention(layer, qkv[0], qkv[1], qkv[2]);
    if (layer + 1 == sizes_.attention.layers) {
      mixed = builder_.gather_logit_rows(mixed);
      sum = builder_.gather_logit_rows(sum);
    }
    builder_.linear_add(sum, mixed, output);
    const ValueId normed = builder_.rms_norm(sum, ffn_norm, sizes_.norm_eps);
    builder_.linear_add(sum, builder_.gated_linear(normed, gate, up), down);
    return ok_status();
  }

  ProgramBuilder::Weight matrix(const std::string& name,
                                std::int64_t out,
                                std::int64_t in,
                                bool bias) {
    const TensorView& weight = weights_.take(name + ".weight", {out, in});
    return {weight, bias ? &weights_.take(name + ".bias", {out}) : nullptr};
  }

  Sizes sizes_;
  WeightReader weights_;
  ProgramBuilder builder_;
};

Result<BuiltModel> build_llama(const ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(const Sizes sizes, read_sizes(meta));
  ASSIGN_OR_RETURN(graph::Rope rope,
                   make_rope(meta.rope, sizes.attention.head_dim, meta.context_tokens_max));
  rope.adjacent = is_gguf(meta);
  WeightReader reader(weights, is_gguf(meta) ? kGgufWeights : std::span<const WeightName>());
  ProgramBuilder builder(sizes.attention, std::move(rope), arithmetic);
  ASSIGN_OR_RETURN(graph::Program program,
                   LlamaBuilder(sizes, std::move(reader), std::move(builder)).build());
  return BuiltModel{std::move(program), meta.context_tokens_max};
}

constexpr std::array<std::string_view, 2> kClassNames = {"LlamaForCausalLM", "MistralForCausalLM"};
constexpr std::array<std::string_view, 2> kModelTypes = {"llama", "mistral"};
constexpr std::array<std::string_view, 1> kGgufNames = {"llama"};

}  // namespace

extern const ArchSpec kLlama;
const ArchSpec kLlama = {"llama", kClassNames, kModelTypes, kGgufNames, build_llama};

}  // namespace inferneo::arch
