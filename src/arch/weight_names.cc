#include "arch/weight_names.h"

namespace inferneo::arch {
namespace {

// Spec: transformers 5, models/llama and the models that follow it.
constexpr WeightName kHuggingFace[] = {
    {"embed", "model.embed_tokens"},
    {"final_norm", "model.norm"},
    {"head", "lm_head"},
    {"classes", "score"},
    {"layer.*.attention_norm", "model.layers.*.input_layernorm"},
    {"layer.*.q", "model.layers.*.self_attn.q_proj"},
    {"layer.*.k", "model.layers.*.self_attn.k_proj"},
    {"layer.*.v", "model.layers.*.self_attn.v_proj"},
    {"layer.*.qkv", "model.layers.*.self_attn.qkv_proj"},
    {"layer.*.q_norm", "model.layers.*.self_attn.q_norm"},
    {"layer.*.k_norm", "model.layers.*.self_attn.k_norm"},
    {"layer.*.o", "model.layers.*.self_attn.o_proj"},
    {"layer.*.ffn_norm", "model.layers.*.post_attention_layernorm"},
    {"layer.*.gate", "model.layers.*.mlp.gate_proj"},
    {"layer.*.up", "model.layers.*.mlp.up_proj"},
    {"layer.*.gate_up", "model.layers.*.mlp.gate_up_proj"},
    {"layer.*.down", "model.layers.*.mlp.down_proj"},
    {"layer.*.router", "model.layers.*.mlp.gate"},
    {"layer.*.expert.*.gate", "model.layers.*.mlp.experts.*.gate_proj"},
    {"layer.*.expert.*.up", "model.layers.*.mlp.experts.*.up_proj"},
    {"layer.*.expert.*.down", "model.layers.*.mlp.experts.*.down_proj"},
    {"layer.*.shared.gate", "model.layers.*.mlp.shared_expert.gate_proj"},
    {"layer.*.shared.up", "model.layers.*.mlp.shared_expert.up_proj"},
    {"layer.*.shared.down", "model.layers.*.mlp.shared_expert.down_proj"},
    {"layer.*.shared_gate", "model.layers.*.mlp.shared_expert_gate"},
};

// Spec: llama.cpp, gguf-py/gguf/constants.py, TENSOR_NAMES.
constexpr WeightName kGguf[] = {
    {"embed", "token_embd"},
    {"embed_norm", "token_embd_norm"},
    {"positions", "position_embd"},
    {"token_types", "token_types"},
    {"class_dense", "cls"},
    {"class_norm", "cls.norm"},
    {"classes", "cls.output"},
    {"final_norm", "output_norm"},
    {"head", "output"},
    {"layer.*.attention_norm", "blk.*.attn_norm"},
    {"layer.*.attention_post_norm", "blk.*.post_attention_norm"},
    {"layer.*.q", "blk.*.attn_q"},
    {"layer.*.k", "blk.*.attn_k"},
    {"layer.*.v", "blk.*.attn_v"},
    {"layer.*.qkv", "blk.*.attn_qkv"},
    {"layer.*.q_norm", "blk.*.attn_q_norm"},
    {"layer.*.k_norm", "blk.*.attn_k_norm"},
    {"layer.*.o", "blk.*.attn_output"},
    {"layer.*.sinks", "blk.*.attn_sinks"},
    {"layer.*.ffn_norm", "blk.*.ffn_norm"},
    {"layer.*.ffn_post_norm", "blk.*.post_ffw_norm"},
    {"layer.*.gate", "blk.*.ffn_gate"},
    {"layer.*.up", "blk.*.ffn_up"},
    {"layer.*.gate_up", "blk.*.ffn_up"},
    {"layer.*.down", "blk.*.ffn_down"},
    {"layer.*.router", "blk.*.ffn_gate_inp"},
    {"layer.*.router_correction", "blk.*.exp_probs_b"},
    {"layer.*.experts.gate", "blk.*.ffn_gate_exps"},
    {"layer.*.experts.up", "blk.*.ffn_up_exps"},
    {"layer.*.experts.down", "blk.*.ffn_down_exps"},
    {"layer.*.shared.gate", "blk.*.ffn_gate_shexp"},
    {"layer.*.shared.up", "blk.*.ffn_up_shexp"},
    {"layer.*.shared.down", "blk.*.ffn_down_shexp"},
    {"layer.*.shared_gate", "blk.*.ffn_gate_inp_shexp"},
    {"layer.*.q_a", "blk.*.attn_q_a"},
    {"layer.*.q_a_norm", "blk.*.attn_q_a_norm"},
    {"layer.*.q_b", "blk.*.attn_q_b"},
    {"layer.*.kv_a", "blk.*.attn_kv_a_mqa"},
    {"layer.*.kv_a_norm", "blk.*.attn_kv_a_norm"},
    {"layer.*.kv_b", "blk.*.attn_kv_b"},
    {"layer.*.k_b", "blk.*.attn_k_b"},
    {"layer.*.v_b", "blk.*.attn_v_b"},
};

}  // namespace

std::span<const WeightName> hugging_face_names() { return kHuggingFace; }
std::span<const WeightName> gguf_names() { return kGguf; }

}  // namespace inferneo::arch
