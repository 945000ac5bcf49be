#!/usr/bin/env python3
"""Writes tests/architectures/published.json: sizes of published models, and what their weights are called.

Usage: make_published_shapes.py OUT      (needs torch, transformers 5)

Configurations are those that the models are published with, but for their number of layers, which is cut
to the fewest that show every kind. Names and shapes of weights come from transformers, which builds
the models without memory. The test plans each, so that every size, scaling and window of them is known
to fit.
"""
import json
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.utils import logging

YARN_OSS = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": 4096}
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}


def sizes(kind, model_type, hidden, ffn, heads, kv_heads, vocab, context, **more):
    config = {"architectures": [kind], "model_type": model_type, "hidden_size": hidden,
              "intermediate_size": ffn, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
              "vocab_size": vocab, "max_position_embeddings": context, "num_hidden_layers": 2,
              "bos_token_id": 1, "eos_token_id": 2}
    return {**config, **more}


CONFIGS = {
    "Llama-3.2-1B": sizes("LlamaForCausalLM", "llama", 2048, 8192, 32, 8, 128256, 131072, head_dim=64,
                          rope_theta=500000.0, rope_scaling=LLAMA3, tie_word_embeddings=True,
                          rms_norm_eps=1e-5),
    "Mistral-7B-v0.1": sizes("MistralForCausalLM", "mistral", 4096, 14336, 32, 8, 32000, 32768,
                             rope_theta=10000.0, sliding_window=4096, rms_norm_eps=1e-5,
                             tie_word_embeddings=False),
    "Qwen2.5-0.5B": sizes("Qwen2ForCausalLM", "qwen2", 896, 4864, 14, 2, 151936, 32768,
                          rope_theta=1000000.0, sliding_window=32768, use_sliding_window=False,
                          max_window_layers=24, tie_word_embeddings=True),
    "Qwen3-0.6B": sizes("Qwen3ForCausalLM", "qwen3", 1024, 3072, 16, 8, 151936, 40960, head_dim=128,
                        rope_theta=1000000, sliding_window=None, use_sliding_window=False,
                        tie_word_embeddings=True),
    "gemma-2b": sizes("GemmaForCausalLM", "gemma", 2048, 16384, 8, 1, 256000, 8192, head_dim=256,
                      hidden_activation="gelu_pytorch_tanh"),
    "gemma-2-2b": sizes("Gemma2ForCausalLM", "gemma2", 2304, 9216, 8, 4, 256000, 8192, head_dim=256,
                        sliding_window=4096, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
                        query_pre_attn_scalar=256, hidden_activation="gelu_pytorch_tanh"),
    "gemma-3-1b": sizes("Gemma3ForCausalLM", "gemma3_text", 1152, 6912, 4, 1, 262144, 32768,
                        head_dim=256, sliding_window=512, sliding_window_pattern=6,
                        query_pre_attn_scalar=256, rope_theta=1000000, rope_local_base_freq=10000,
                        num_hidden_layers=6, hidden_activation="gelu_pytorch_tanh"),
    "Phi-2": sizes("PhiForCausalLM", "phi", 2560, 10240, 32, 32, 51200, 2048, partial_rotary_factor=0.4,
                   hidden_act="gelu_new"),
    "Phi-3-mini-4k": sizes("Phi3ForCausalLM", "phi3", 3072, 8192, 32, 32, 32064, 4096,
                           original_max_position_embeddings=4096, sliding_window=2047, pad_token_id=0),
    "phi-4": sizes("Phi3ForCausalLM", "phi3", 5120, 17920, 40, 10, 100352, 16384, rope_theta=250000,
                   original_max_position_embeddings=16384, sliding_window=None, pad_token_id=0),
    "gpt-oss-20b": sizes("GptOssForCausalLM", "gpt_oss", 2880, 2880, 64, 8, 201088, 131072, head_dim=64,
                         num_local_experts=32, num_experts_per_tok=4, sliding_window=128,
                         rope_theta=150000, rope_scaling=YARN_OSS, swiglu_limit=7.0,
                         attention_bias=True, tie_word_embeddings=False),
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_head": 12,
             "n_layer": 2, "n_positions": 1024, "vocab_size": 50257},
    "pythia-160m": sizes("GPTNeoXForCausalLM", "gpt_neox", 768, 3072, 12, 12, 50304, 2048,
                         rotary_pct=0.25, use_parallel_residual=True, tie_word_embeddings=False),
    "gpt-j-6b": {"architectures": ["GPTJForCausalLM"], "model_type": "gptj", "n_embd": 4096, "n_head": 16,
                 "n_layer": 2, "n_positions": 2048, "rotary_dim": 64, "vocab_size": 50400},
    "starcoder2-3b": sizes("Starcoder2ForCausalLM", "starcoder2", 3072, 12288, 24, 2, 49152, 16384,
                           sliding_window=4096, rope_theta=999999.4420358813, use_bias=True,
                           hidden_act="gelu_pytorch_tanh"),
    "falcon-7b": {"architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 4544,
                  "num_attention_heads": 71, "num_hidden_layers": 2, "vocab_size": 65024, "bias": False,
                  "multi_query": True, "parallel_attn": True, "alibi": False,
                  "new_decoder_architecture": False},
    "bloom-560m": {"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 1024,
                   "n_head": 16, "n_layer": 2, "vocab_size": 250880, "seq_length": 2048},
    "opt-125m": {"architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 768,
                 "ffn_dim": 3072, "num_attention_heads": 12, "num_hidden_layers": 2, "vocab_size": 50272,
                 "max_position_embeddings": 2048, "word_embed_proj_dim": 768,
                 "do_layer_norm_before": True, "activation_function": "relu"},
    "stablelm-2-1.6b": sizes("StableLmForCausalLM", "stablelm", 2048, 5632, 32, 32, 100352, 4096,
                             partial_rotary_factor=0.25, use_qkv_bias=True),
    "OLMo-2-1B": sizes("Olmo2ForCausalLM", "olmo2", 2048, 8192, 16, 16, 100352, 4096, rope_theta=500000,
                       tie_word_embeddings=False),
    "granite-3.1-2b": sizes("GraniteForCausalLM", "granite", 2048, 8192, 32, 8, 49155, 131072,
                            rope_theta=5000000.0, attention_multiplier=0.015625,
                            embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22,
                            tie_word_embeddings=True),
    "command-r7b": sizes("Cohere2ForCausalLM", "cohere2", 4096, 14336, 32, 8, 256000, 132096,
                         sliding_window=4096, sliding_window_pattern=4, rope_theta=50000,
                         logit_scale=0.25, num_hidden_layers=4),
    "SmolLM3-3B": sizes("SmolLM3ForCausalLM", "smollm3", 2048, 11008, 16, 4, 128256, 65536,
                        rope_theta=5000000.0, no_rope_layers=[1, 1, 1, 0], num_hidden_layers=4,
                        use_sliding_window=False, tie_word_embeddings=True),
    "GLM-4-9B-0414": sizes("Glm4ForCausalLM", "glm4", 4096, 13696, 32, 2, 151552, 32768, head_dim=128,
                           partial_rotary_factor=0.5, rope_theta=10000.0, pad_token_id=0),
    "EXAONE-4.0-1.2B": sizes("Exaone4ForCausalLM", "exaone4", 2048, 4096, 32, 8, 102400, 65536,
                             head_dim=64, sliding_window=None, sliding_window_pattern=None,
                             rope_theta=1000000, tie_word_embeddings=True,
                             layer_types=["full_attention", "full_attention"]),
    "Nemotron-Mini-4B": sizes("NemotronForCausalLM", "nemotron", 3072, 9216, 24, 8, 256000, 4096,
                              head_dim=128, partial_rotary_factor=0.5, hidden_act="relu2"),
    "bert-base": sizes("BertModel", "bert", 768, 3072, 12, 12, 30522, 512, type_vocab_size=2),
    "xlm-roberta-base": sizes("XLMRobertaModel", "xlm-roberta", 768, 3072, 12, 12, 250002, 514,
                              type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5),
    "ModernBERT-base": sizes("ModernBertModel", "modernbert", 768, 1152, 12, 12, 50368, 8192,
                             local_attention=128, global_attn_every_n_layers=3, num_hidden_layers=3,
                             global_rope_theta=160000.0, local_rope_theta=10000.0, pad_token_id=0),
}
# How the experts of gpt-oss are stored.
QUANTIZED = {"gpt-oss-20b": {"quant_method": "mxfp4"}}


def shapes_of(config):
    data = dict(config)
    built = AutoConfig.for_model(data.pop("model_type"), **data)
    kind = AutoModel if config["architectures"][0].endswith("Model") and \
        not config["architectures"][0].endswith("LMHeadModel") else AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(built)
    names = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if model.config.get_text_config().tie_word_embeddings:
        names.pop("lm_head.weight", None)
    return names


def with_halves(shapes):
    """Stacks of matrices, [experts][in][out], as an MXFP4 checkpoint holds them."""
    out = {}
    for name, shape in shapes.items():
        if len(shape) == 3:
            experts, width, outputs = shape
            out[name + "_blocks"] = [experts, outputs, width // 32, 16]
            out[name + "_scales"] = [experts, outputs, width // 32]
        else:
            out[name] = shape
    return out


def main():
    logging.set_verbosity_error()
    lines = []
    for name, config in CONFIGS.items():
        try:
            shapes = shapes_of(config)
        except Exception as error:
            sys.exit(f"{name}: {error!r}")
        if name in QUANTIZED:
            shapes = with_halves(shapes)
            config = {**config, "quantization_config": QUANTIZED[name]}
        weights = ",\n  ".join(json.dumps([key, *shape]) for key, shape in sorted(shapes.items()))
        lines.append(f' "{name}": {{"config": {json.dumps(config)},\n "weights": [\n  {weights}]}}')
    with open(sys.argv[1], "w") as out:
        out.write("{\n" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
