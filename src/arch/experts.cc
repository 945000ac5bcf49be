#include "arch/experts.h"

#include <algorithm>

#include "base/str.h"

namespace inferneo::arch {
namespace {

using formats::ModelMeta;
using formats::MoeMeta;

bool has_experts(const MoeMeta& moe, std::int64_t layer) {
  if (layer < moe.dense_layer_count.value_or(0)) return false;
  if ((layer + 1) % moe.layer_step.value_or(1) != 0) return false;
  return std::find(moe.dense_layers.begin(), moe.dense_layers.end(), layer) ==
         moe.dense_layers.end();
}

}  // namespace

Status plan_experts(const ModelMeta& meta, DecoderPlan& plan) {
  const MoeMeta& moe = meta.moe;
  MoePlan& experts = plan.moe.emplace();
  experts.expert_count = moe.expert_count.value_or(0);
  experts.routing.chosen_count = moe.chosen_count.value_or(0);
  if (experts.expert_count < 1) {
    return invalid_argument("num_experts is missing").with_where("num_experts");
  }
  if (experts.routing.chosen_count < 1 || experts.routing.chosen_count > experts.expert_count) {
    return invalid_argument(str("num_experts_per_tok is ",
                                experts.routing.chosen_count,
                                ", but must be from 1 to the number of experts, ",
                                experts.expert_count))
        .with_where("num_experts_per_tok");
  }
  experts.ffn = moe.ffn_size.value_or(plan.ffn);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    plan.layers[i].has_experts = has_experts(moe, static_cast<std::int64_t>(i));
  }
  return ok_status();
}

Status plan_mixtral_experts(const ModelMeta& meta, DecoderPlan& plan) {
  RETURN_IF_ERROR(plan_experts(meta, plan));
  plan.moe->routing.scoring = graph::Routing::Scoring::kSoftmaxOfChosen;
  return ok_status();
}

Status plan_qwen_experts(const ModelMeta& meta, DecoderPlan& plan) {
  RETURN_IF_ERROR(plan_experts(meta, plan));
  plan.moe->routing.renormalizes = meta.moe.renormalizes.value_or(false);
  return ok_status();
}

}  // namespace inferneo::arch
