// DeepSeek V2 and V3: attention through a latent vector, of which alone the cache holds a copy;
// experts in groups, and one that all tokens go through. Spec: transformers 5, models/deepseek_v2
// and models/deepseek_v3.
#include <array>
#include <cmath>

#include "arch/decoder.h"
#include "arch/experts.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.q_a", "model.layers.*.self_attn.q_a_proj"},
    {"layer.*.q_a_norm", "model.layers.*.self_attn.q_a_layernorm"},
    {"layer.*.q_b", "model.layers.*.self_attn.q_b_proj"},
    {"layer.*.kv_a", "model.layers.*.self_attn.kv_a_proj_with_mqa"},
    {"layer.*.kv_a_norm", "model.layers.*.self_attn.kv_a_layernorm"},
    {"layer.*.kv_b", "model.layers.*.self_attn.kv_b_proj"},
    {"layer.*.router_correction", "model.layers.*.mlp.gate.e_score_correction_bias"},
    {"layer.*.shared.gate", "model.layers.*.mlp.shared_experts.gate_proj"},
    {"layer.*.shared.up", "model.layers.*.mlp.shared_experts.up_proj"},
    {"layer.*.shared.down", "model.layers.*.mlp.shared_experts.down_proj"},
};

Result<std::int64_t> require(const char* key, const std::optional<std::int64_t>& value) {
  if (!value) return invalid_argument(str(key, " is missing")).with_where(key);
  return *value;
}

// Spec: YaRN lets attention grow sharper with the context; this family applies it to scores.
float score_scale(const formats::RopeMeta& rope, std::int64_t head_dim) {
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  const double all_dim = rope.mscale_all_dim.value_or(0);
  const double factor = rope.factor.value_or(1);
  if (rope.type != "yarn" || all_dim == 0 || factor <= 1) return static_cast<float>(scale);
  const double growth = 0.1 * all_dim * std::log(factor) + 1;
  return static_cast<float>(scale * growth * growth);
}

Status plan_latent(const formats::ModelMeta& meta, DecoderPlan& plan) {
  LatentPlan& latent = plan.latent.emplace();
  latent.query_rank = meta.latent.query_rank.value_or(0);
  ASSIGN_OR_RETURN(latent.rank, require("kv_lora_rank", meta.latent.rank));
  ASSIGN_OR_RETURN(latent.nope_dim, require("qk_nope_head_dim", meta.latent.nope_dim));
  ASSIGN_OR_RETURN(latent.rope_dim, require("qk_rope_head_dim", meta.latent.rope_dim));
  ASSIGN_OR_RETURN(latent.value_dim, require("v_head_dim", meta.latent.value_dim));
  ASSIGN_OR_RETURN(graph::Rope rope,
                   make_rope(meta.rope, latent.rope_dim, plan.context_tokens_max));
  rope.adjacent = true;
  plan.ropes = {std::move(rope)};
  for (LayerPlan& layer : plan.layers) {
    layer.attention_scale = score_scale(meta.rope, latent.nope_dim + latent.rope_dim);
  }
  return ok_status();
}

Status plan_groups(const formats::ModelMeta& meta, graph::Routing& routing, std::int64_t experts) {
  routing.group_count = meta.moe.group_count.value_or(1);
  routing.chosen_group_count = meta.moe.chosen_group_count.value_or(1);
  if (experts % routing.group_count != 0 || routing.group_count > graph::kExpertGroupCountMax) {
    return invalid_argument(str("n_group is ",
                                routing.group_count,
                                ", but must divide the number of experts, ",
                                experts,
                                ", and be at most ",
                                graph::kExpertGroupCountMax))
        .with_where("n_group");
  }
  return ok_status();
}

Status plan_second_routing(const formats::ModelMeta& meta, DecoderPlan& plan) {
  graph::Routing& routing = plan.moe->routing;
  routing.scale = static_cast<float>(meta.moe.weight_scale.value_or(1));
  if (meta.moe.method.empty() || meta.moe.method == "greedy") return ok_status();
  if (meta.moe.method != "group_limited_greedy") {
    return unsupported(str("topk_method is \"",
                           printable(meta.moe.method),
                           "\"; the supported methods are greedy and group_limited_greedy"))
        .with_where("topk_method");
  }
  return plan_groups(meta, routing, plan.moe->expert_count);
}

Status plan_third_routing(const formats::ModelMeta& meta, DecoderPlan& plan) {
  graph::Routing& routing = plan.moe->routing;
  routing.scoring = graph::Routing::Scoring::kSigmoid;
  routing.renormalizes = meta.moe.renormalizes.value_or(true);
  routing.scale = static_cast<float>(meta.moe.weight_scale.value_or(2.5));
  routing.sums_two_best = true;
  plan.moe->has_correction = true;
  return plan_groups(meta, routing, plan.moe->expert_count);
}

Result<BuiltModel> build_deepseek(const formats::ModelMeta& meta,
                                  const tensor::WeightMap& weights,
                                  const graph::Arithmetic& arithmetic) {
  const bool is_third = meta.architecture == "DeepseekV3ForCausalLM" ||
                        meta.model_type == "deepseek_v3" || meta.moe.scoring == "sigmoid";
  DecoderDefaults defaults;
  defaults.head_dim = meta.latent.rope_dim.value_or(64);
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  RETURN_IF_ERROR(plan_latent(meta, plan));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.names = kNames;
  RETURN_IF_ERROR(plan_experts(meta, plan));
  RETURN_IF_ERROR(is_third ? plan_third_routing(meta, plan) : plan_second_routing(meta, plan));
  plan.moe->shared_ffn = meta.moe.shared_count.value_or(0) * plan.moe->ffn;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 2> kClassNames = {"DeepseekV2ForCausalLM",
                                                         "DeepseekV3ForCausalLM"};
constexpr std::array<std::string_view, 2> kModelTypes = {"deepseek_v2", "deepseek_v3"};
constexpr std::array<std::string_view, 1> kGgufNames = {"deepseek2"};

}  // namespace

extern const ArchSpec kDeepseek;
const ArchSpec kDeepseek = {"deepseek", kClassNames, kModelTypes, kGgufNames, build_deepseek};

}  // namespace inferneo::arch
