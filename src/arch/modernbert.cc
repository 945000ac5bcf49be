// ModernBERT: an encoder with rotary positions, norms before attention and feed-forward, and
// windows in two of three layers, without a head, or with one that scores classes. The head of a
// masked language model is passed over.
// Spec: transformers 5, models/modernbert; llama.cpp, src/models/modern-bert.cpp.
#include <array>

#include "arch/activations.h"
#include "arch/decoder.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "model.embeddings.tok_embeddings"},
    {"embed_norm", "model.embeddings.norm"},
    {"final_norm", "model.final_norm"},
    {"layer.*.attention_norm", "model.layers.*.attn_norm"},
    {"layer.*.qkv", "model.layers.*.attn.Wqkv"},
    {"layer.*.o", "model.layers.*.attn.Wo"},
    {"layer.*.ffn_norm", "model.layers.*.mlp_norm"},
    {"layer.*.gate_up", "model.layers.*.mlp.Wi"},
    {"layer.*.down", "model.layers.*.mlp.Wo"},
    {"class_dense", "head.dense"},
    {"class_norm", "head.norm"},
    {"classes", "classifier"},
};
constexpr std::string_view kMaskedLmHead[] = {"head.dense.weight",
                                              "head.dense.bias",
                                              "head.norm.weight",
                                              "head.norm.bias",
                                              "decoder.weight",
                                              "decoder.bias",
                                              "cls.weight",
                                              "cls.bias",
                                              "cls.norm.weight"};

// Windows reach half as far as the files say to either side.
Status plan_layers(const formats::ModelMeta& meta, DecoderPlan& plan) {
  const std::int64_t step =
      (plan.is_gguf ? meta.window_pattern : meta.variant.global_layer_step).value_or(3);
  const std::optional<std::int64_t> width =
      plan.is_gguf ? meta.sliding_window.value_or(0) : meta.variant.local_attention;
  const std::int64_t window = width.value_or(128) == 0 ? 0 : width.value_or(128) / 2 + 1;
  const formats::RopeMeta local =
      meta.window_rope.value_or(plan.is_gguf ? meta.rope : formats::RopeMeta());
  ASSIGN_OR_RETURN(graph::Rope rope, make_rope(local, plan.head_dim, plan.context_tokens_max));
  plan.ropes.push_back(std::move(rope));
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const bool by_rule = step > 0 && i % static_cast<std::size_t>(step) != 0;
    const bool is_local = meta.window_layers.empty() ? by_rule : bool{meta.window_layers[i]};
    plan.layers[i].window = is_local ? window : 0;
    plan.layers[i].rope = is_local && window > 0 ? 1 : 0;
  }
  // What the first layer reads has just been normed.
  plan.layers.front().has_attention_norm = false;
  return ok_status();
}

Status plan_classes(const formats::ModelMeta& meta,
                    const tensor::WeightMap& weights,
                    DecoderPlan& plan) {
  // GGUF files of today do not say; llama.cpp takes the mean.
  std::string pooling = meta.variant.pooling;
  if (pooling.empty()) pooling = plan.is_gguf ? "mean" : "cls";
  if (pooling != "cls" && pooling != "mean") {
    return unsupported(str("classifier_pooling is \"",
                           printable(pooling),
                           "\"; the supported kinds are cls and mean"))
        .with_where("classifier_pooling");
  }
  ClassPlan& classes = plan.classes;
  const std::string& activation = meta.variant.class_activation;
  ASSIGN_OR_RETURN(classes.activation, find_activation(activation.empty() ? "gelu" : activation));
  classes.reads_mean = pooling == "mean";
  classes.has_dense = classes.has_norm = classes.has_bias = true;
  classes.dense_bias = weights.find(plan.is_gguf ? "cls.bias" : "head.dense.bias") != nullptr;
  plan.vector_rows = VectorRows::kFirst;
  return ok_status();
}

// GGUF files say by their tensors whether they score classes.
void plan_gguf_classes(const tensor::WeightMap& weights, DecoderPlan& plan) {
  const tensor::TensorView* found = weights.find("cls.output.weight");
  if (found == nullptr || found->shape.rank() == 0) return;
  plan.ending = Ending::kClasses;
  plan.classes.count = found->shape.rank() == 1 ? 1 : found->shape[0];
}

Result<BuiltModel> build_modernbert(const formats::ModelMeta& meta,
                                    const tensor::WeightMap& weights,
                                    const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu";
  defaults.norm_eps = 1e-5;
  defaults.rope.theta = 160000;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  RETURN_IF_ERROR(plan_layers(meta, plan));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.is_bidirectional = true;
  plan.has_embedding_norm = true;
  plan.qkv = QkvForm::kConcatenated;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  plan.has_fused_gate = true;
  plan.vector_rows = VectorRows::kAll;
  if (plan.ending == Ending::kLogits) plan.ending = Ending::kHidden;
  if (plan.is_gguf) plan_gguf_classes(weights, plan);
  if (plan.ending == Ending::kClasses) {
    RETURN_IF_ERROR(plan_classes(meta, weights, plan));
  } else {
    plan.ignored = kMaskedLmHead;
  }
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"modernbert"};
constexpr std::array<std::string_view, 1> kGgufNames = {"modern-bert"};

}  // namespace

extern const ArchSpec kModernbert;
const ArchSpec kModernbert = {"modernbert", kClassNames, kModelTypes, kGgufNames, build_modernbert};

}  // namespace inferneo::arch
