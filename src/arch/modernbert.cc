// ModernBERT: an encoder with rotary positions, norms before attention and feed-forward, and
// windows in two of three layers, without a head, or with one that scores classes. The head of a
// masked language model is passed over. Spec: transformers 5, models/modernbert.
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
                                              "decoder.bias"};

// Windows reach half as far as the configuration says to either side.
Status plan_layers(const formats::ModelMeta& meta, DecoderPlan& plan) {
  const std::int64_t step = meta.variant.global_layer_step.value_or(3);
  const std::int64_t window = meta.variant.local_attention.value_or(128) / 2 + 1;
  formats::RopeMeta local = meta.window_rope.value_or(formats::RopeMeta());
  ASSIGN_OR_RETURN(graph::Rope rope, make_rope(local, plan.head_dim, plan.context_tokens_max));
  plan.ropes.push_back(std::move(rope));
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const bool by_rule = i % static_cast<std::size_t>(step) != 0;
    const bool is_local = meta.window_layers.empty() ? by_rule : bool{meta.window_layers[i]};
    plan.layers[i].window = is_local ? window : 0;
    plan.layers[i].rope = is_local ? 1 : 0;
  }
  // What the first layer reads has just been normed.
  plan.layers.front().has_attention_norm = false;
  return ok_status();
}

Status plan_classes(const formats::ModelMeta& meta, DecoderPlan& plan) {
  if (!meta.variant.pooling.empty() && meta.variant.pooling != "cls") {
    return unsupported(str("classifier_pooling is \"",
                           printable(meta.variant.pooling),
                           "\"; only cls is supported"))
        .with_where("classifier_pooling");
  }
  plan.classes.has_dense = plan.classes.has_norm = plan.classes.has_bias = true;
  plan.vector_rows = VectorRows::kFirst;
  return ok_status();
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
  if (plan.ending == Ending::kClasses) {
    RETURN_IF_ERROR(plan_classes(meta, plan));
  } else {
    plan.ignored = kMaskedLmHead;
  }
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"modernbert"};

}  // namespace

extern const ArchSpec kModernbert;
const ArchSpec kModernbert = {"modernbert", kClassNames, kModelTypes, {}, build_modernbert};

}  // namespace inferneo::arch
