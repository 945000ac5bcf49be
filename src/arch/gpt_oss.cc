// GPT-OSS: experts with biases and clamped gates, attention with sinks, windows in every other
// layer. Spec: transformers 5, models/gpt_oss.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.sinks", "model.layers.*.self_attn.sinks"},
    {"layer.*.router", "model.layers.*.mlp.router"},
    {"layer.*.experts.gate_up", "model.layers.*.mlp.experts.gate_up_proj"},
    {"layer.*.experts.gate_up_bias", "model.layers.*.mlp.experts.gate_up_proj_bias"},
    {"layer.*.experts.down", "model.layers.*.mlp.experts.down_proj"},
    {"layer.*.experts.down_bias", "model.layers.*.mlp.experts.down_proj_bias"},
};
constexpr WeightName kGgufOnly[] = {
    {"layer.*.ffn_norm", "blk.*.post_attention_norm"},
};

Result<BuiltModel> build_gpt_oss(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  defaults.head_dim = 64;
  defaults.rope.theta = 150000;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.activation = graph::Activation::kQuickGelu;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(true);
  plan.has_sinks = true;
  plan_windows(meta, 128, all_but_every(meta, 2), plan);
  RETURN_IF_ERROR(plan_mixtral_experts(meta, plan));
  plan.moe->form = MoePlan::Form::kInterleaved;
  plan.moe->has_router_bias = plan.moe->has_bias = true;
  plan.moe->clamp = 7;
  plan.names = kNames;
  plan.names_in_gguf = kGgufOnly;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GptOssForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt_oss"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gpt-oss"};

}  // namespace

extern const ArchSpec kGptOss;
const ArchSpec kGptOss = {"gpt_oss", kClassNames, kModelTypes, kGgufNames, build_gpt_oss};

}  // namespace inferneo::arch
