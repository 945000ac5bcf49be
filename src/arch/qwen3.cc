// Qwen3: Llama with norms of the heads of queries and keys. Spec: transformers 5, models/qwen3.
#include <array>

#include "arch/decoder.h"
#include "arch/late_windows.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_qwen3(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.head_dim = 128;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.qk_norm = QkNorm::kHead;
  plan.qk_norm_plan = plan.norm;
  plan_late_windows(meta, plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "Qwen3ForCausalLM", "Qwen3Model", "Qwen3ForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"qwen3"};
constexpr std::array<std::string_view, 1> kGgufNames = {"qwen3"};

}  // namespace

extern const ArchSpec kQwen3;
const ArchSpec kQwen3 = {"qwen3", kClassNames, kModelTypes, kGgufNames, build_qwen3};

}  // namespace inferneo::arch
