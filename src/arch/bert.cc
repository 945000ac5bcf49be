// BERT, RoBERTa and XLM-RoBERTa: encoders with learned positions and norms behind the sums, without
// a head, or with one that scores classes. The head of a masked language model is passed over. GGUF
// files name all of them alike, hold positions from the first one that is used, and say by their
// tensors what there is.
// Spec: transformers 5, models/bert, models/roberta and models/xlm_roberta.
#include <array>

#include "arch/decoder.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "bert.embeddings.word_embeddings"},
    {"positions", "bert.embeddings.position_embeddings"},
    {"token_types", "bert.embeddings.token_type_embeddings"},
    {"embed_norm", "bert.embeddings.LayerNorm"},
    {"layer.*.q", "bert.encoder.layer.*.attention.self.query"},
    {"layer.*.k", "bert.encoder.layer.*.attention.self.key"},
    {"layer.*.v", "bert.encoder.layer.*.attention.self.value"},
    {"layer.*.o", "bert.encoder.layer.*.attention.output.dense"},
    {"layer.*.attention_post_norm", "bert.encoder.layer.*.attention.output.LayerNorm"},
    {"layer.*.up", "bert.encoder.layer.*.intermediate.dense"},
    {"layer.*.down", "bert.encoder.layer.*.output.dense"},
    {"layer.*.ffn_post_norm", "bert.encoder.layer.*.output.LayerNorm"},
    {"class_dense", "bert.pooler.dense"},
    {"classes", "classifier"},
};
constexpr WeightName kRobertaNames[] = {
    {"class_dense", "classifier.dense"},
    {"classes", "classifier.out_proj"},
};
constexpr WeightName kGgufOnly[] = {
    {"layer.*.attention_post_norm", "blk.*.attn_output_norm"},
    {"layer.*.ffn_post_norm", "blk.*.layer_output_norm"},
};
constexpr std::string_view kPrefixes[] = {"roberta."};
// Heads of masked language models, and what follows from the sizes.
constexpr std::string_view kIgnored[] = {"bert.embeddings.position_ids",
                                         "bert.embeddings.token_type_ids",
                                         "cls.predictions.bias",
                                         "cls.predictions.decoder.weight",
                                         "cls.predictions.decoder.bias",
                                         "cls.predictions.transform.dense.weight",
                                         "cls.predictions.transform.dense.bias",
                                         "cls.predictions.transform.LayerNorm.weight",
                                         "cls.predictions.transform.LayerNorm.bias",
                                         "cls.seq_relationship.weight",
                                         "cls.seq_relationship.bias",
                                         "lm_head.bias",
                                         "lm_head.dense.weight",
                                         "lm_head.dense.bias",
                                         "lm_head.layer_norm.weight",
                                         "lm_head.layer_norm.bias",
                                         "lm_head.decoder.weight",
                                         "lm_head.decoder.bias"};
// Read by classifiers of BERT alone.
constexpr std::string_view kPooler[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"};

bool is_roberta(const formats::ModelMeta& meta) {
  return meta.architecture.find("Roberta") != std::string::npos ||
         meta.architecture.find("RoBERTa") != std::string::npos || meta.model_type == "roberta" ||
         meta.model_type == "xlm-roberta";
}

Status plan_positions(const formats::ModelMeta& meta, DecoderPlan& plan) {
  const std::string& kind = meta.variant.position_kind;
  if (!kind.empty() && kind != "absolute") {
    return unsupported(str("position_embedding_type is \"",
                           printable(kind),
                           "\"; only absolute is supported"))
        .with_where("position_embedding_type");
  }
  plan.position_rows = plan.context_tokens_max;
  // Spec: RoBERTa counts from behind the padding token.
  plan.position_offset = is_roberta(meta) ? meta.variant.pad_token_id.value_or(1) + 1 : 0;
  plan.context_tokens_max -= *plan.position_offset;
  if (plan.context_tokens_max > 0) return ok_status();
  return invalid_argument(str("max_position_embeddings is ",
                              plan.position_rows,
                              ", but positions begin at ",
                              *plan.position_offset))
      .with_where("max_position_embeddings");
}

// Rows of a tensor whose only row converters write as a vector; 0 where it is missing.
std::int64_t rows_of(const tensor::WeightMap& weights, std::string_view name) {
  const tensor::TensorView* found = weights.find(name);
  if (found == nullptr || found->shape.rank() == 0) return 0;
  return found->shape.rank() == 1 ? 1 : found->shape[0];
}

void plan_gguf(const tensor::WeightMap& weights, DecoderPlan& plan) {
  plan.token_type_count = rows_of(weights, "token_types.weight");
  const std::int64_t labels = rows_of(weights, "cls.output.weight");
  if (labels == 0) return;
  plan.ending = Ending::kClasses;
  plan.classes.count = labels;
}

Result<BuiltModel> build_bert(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu";
  defaults.norm_eps = 1e-12;
  defaults.has_rope = false;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  RETURN_IF_ERROR(plan_positions(meta, plan));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_bidirectional = true;
  plan.has_embedding_norm = true;
  plan.token_type_count = meta.variant.token_type_count.value_or(2);
  if (plan.is_gguf) plan_gguf(weights, plan);
  plan.has_attention_norm = plan.has_ffn_norm = plan.has_final_norm = false;
  plan.has_attention_post_norm = plan.has_ffn_post_norm = plan.norms_sums = true;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = true;
  plan.is_gated = false;
  if (plan.ending == Ending::kLogits) plan.ending = Ending::kHidden;
  const bool scores = plan.ending == Ending::kClasses;
  plan.vector_rows = scores ? VectorRows::kFirst : VectorRows::kAll;
  if (scores) {
    plan.classes.has_dense = !plan.is_gguf || rows_of(weights, "cls.weight") > 0;
    plan.classes.dense_bias = true;
    plan.classes.is_tanh = plan.classes.has_bias = true;
  }
  std::vector<WeightName> names;
  if (is_roberta(meta)) names.assign(std::begin(kRobertaNames), std::end(kRobertaNames));
  names.insert(names.end(), std::begin(kNames), std::end(kNames));
  plan.names = names;
  plan.names_in_gguf = kGgufOnly;
  plan.prefix = "bert.";
  plan.other_prefixes = kPrefixes;
  std::vector<std::string_view> ignored(std::begin(kIgnored), std::end(kIgnored));
  if (!scores) ignored.insert(ignored.end(), std::begin(kPooler), std::end(kPooler));
  plan.ignored = ignored;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 9> kClassNames = {"BertModel",
                                                         "BertForMaskedLM",
                                                         "BertForSequenceClassification",
                                                         "RobertaModel",
                                                         "RobertaForMaskedLM",
                                                         "RobertaForSequenceClassification",
                                                         "XLMRobertaModel",
                                                         "XLMRobertaForMaskedLM",
                                                         "XLMRobertaForSequenceClassification"};
constexpr std::array<std::string_view, 3> kModelTypes = {"bert", "roberta", "xlm-roberta"};
constexpr std::array<std::string_view, 1> kGgufNames = {"bert"};

}  // namespace

extern const ArchSpec kBert;
const ArchSpec kBert = {"bert", kClassNames, kModelTypes, kGgufNames, build_bert};

}  // namespace inferneo::arch
