// The Llama family: pre-norm blocks of grouped-query attention with rotary positions and a gated
// feed-forward layer. GGUF files of "llama" hold Mistral and Mixtral as well, with the rows of
// queries and keys in the order of adjacent rotary pairs.
// Spec: transformers 5, models/llama; llama.cpp, gguf-py/gguf/constants.py.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_llama(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  if (plan.is_gguf) {
    plan.ropes.front().adjacent = true;
    plan_windows(meta, 0, {}, plan);
    if (meta.moe.expert_count.value_or(0) > 0) RETURN_IF_ERROR(plan_mixtral_experts(meta, plan));
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "LlamaForCausalLM", "LlamaModel", "LlamaForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"llama"};
constexpr std::array<std::string_view, 1> kGgufNames = {"llama"};

}  // namespace

extern const ArchSpec kLlama;
const ArchSpec kLlama = {"llama", kClassNames, kModelTypes, kGgufNames, build_llama};

}  // namespace inferneo::arch
