// GPT-BigCode (SantaCoder, StarCoder): GPT-2 with one key/value head and plain matrices. Spec:
// transformers 5, models/gpt_bigcode.
#include <array>

#include "arch/gpt2_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_gpt_bigcode(const formats::ModelMeta& meta,
                                     const tensor::WeightMap& weights,
                                     const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_gpt2(meta, "gelu_pytorch_tanh"));
  plan.qkv = QkvForm::kGrouped;
  if (!plan.is_gguf) plan.kv_heads = meta.variant.multi_query.value_or(true) ? 1 : plan.heads;
  if (!meta.variant.scales_attention.value_or(true)) {
    for (LayerPlan& layer : plan.layers) layer.attention_scale = 1;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPTBigCodeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt_bigcode"};
constexpr std::array<std::string_view, 1> kGgufNames = {"starcoder"};

}  // namespace

extern const ArchSpec kGptBigcode;
const ArchSpec kGptBigcode = {
    "gpt_bigcode", kClassNames, kModelTypes, kGgufNames, build_gpt_bigcode};

}  // namespace inferneo::arch
