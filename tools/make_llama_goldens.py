#!/usr/bin/env python3
"""Writes tests/models: tiny random models of the Llama family with reference results.

Usage: make_llama_goldens.py OUT_DIR        (needs torch, transformers 5, safetensors)

Each variant is a model directory as transformers saves it (some rewritten to the spellings of
transformers 4) plus golden.safetensors: for prompt NN `NN.ids`, `NN.all_logits` (prompt 00, all
positions), `NN.logits` (last position) and `NN.greedy` (32 tokens, stop tokens do not stop). The
reference loads the saved files and computes in float32 with eager attention. A variant whose two
best logits come nearer than MARGIN_MIN on a greedy path gets another seed, so that every engine
with small errors must give the same tokens.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

PROMPT_LENGTHS = (6, 1, 90)
GREEDY_TOKENS = 32
MARGIN_MIN = 0.01
ORIGINAL_CONTEXT = 32  # of the variants with an extended context; the last prompt is longer


def llama(**changes):
    settings = dict(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    settings.update(changes)
    return LlamaConfig(architectures=["LlamaForCausalLM"], **settings)


def mistral(**changes):
    config = llama(**changes).to_dict()
    for key in ("model_type", "architectures", "attention_bias", "mlp_bias", "pretraining_tp"):
        config.pop(key, None)
    return MistralConfig(architectures=["MistralForCausalLM"], sliding_window=None, **config)


def rope(kind, **parameters):
    return {"rope_type": kind, "rope_theta": 500.0, **parameters}


# name: (config, dtype, rewrite to old spellings, bytes of a shard or None)
VARIANTS = {
    "gqa-bf16-old": (llama(), torch.bfloat16, "type", None),
    "mha-f32-untied": (
        llama(num_key_value_heads=4, tie_word_embeddings=False, eos_token_id=[2, 5]),
        torch.float32, None, None),
    "mqa-f16": (llama(num_key_value_heads=1), torch.float16, None, None),
    "bias-f32": (llama(attention_bias=True, mlp_bias=True), torch.float32, None, None),
    "bias-bf16-untied": (
        llama(attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
        torch.bfloat16, None, None),
    "wide-head-f16": (llama(head_dim=20, num_attention_heads=3, num_key_value_heads=1,
                            hidden_size=48), torch.float16, "rope_type", None),
    "sharded-bf16": (llama(tie_word_embeddings=False), torch.bfloat16, None, "24KB"),
    "linear-f32-old": (llama(rope_parameters=rope("linear", factor=4.0)), torch.float32,
                       "type", None),
    "dynamic-bf16": (llama(rope_parameters=rope("dynamic", factor=2.0)), torch.bfloat16, None,
                     None),
    "llama3-f32": (
        llama(head_dim=32, rope_parameters=rope(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=ORIGINAL_CONTEXT)),
        torch.float32, None, None),
    "llama3-bf16-old": (
        llama(head_dim=32, rope_parameters=rope(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=ORIGINAL_CONTEXT)),
        torch.bfloat16, "rope_type", None),
    "yarn-f32": (
        llama(head_dim=32, rope_parameters=rope(
            "yarn", factor=8.0, original_max_position_embeddings=ORIGINAL_CONTEXT)),
        torch.float32, None, None),
    "yarn-mscale-f32-old": (
        llama(head_dim=32, rope_parameters=rope(
            "yarn", factor=8.0, original_max_position_embeddings=ORIGINAL_CONTEXT,
            mscale=0.9, mscale_all_dim=0.6, beta_fast=8.0, beta_slow=2.0, truncate=False)),
        torch.float32, "type", None),
    "yarn-attention-factor-f16": (
        llama(head_dim=32, rope_parameters=rope(
            "yarn", factor=8.0, original_max_position_embeddings=ORIGINAL_CONTEXT,
            attention_factor=1.3)),
        torch.float16, None, None),
    "mistral-bf16": (mistral(), torch.bfloat16, None, None),
}


def randomize(model, seed):
    """Weights that make activations of order one and answers that depend on the prompt."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter, mean, std):
        parameter.copy_(mean + std * torch.randn(parameter.shape, generator=generator))

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                normal(parameter, 1.0, 0.2)
            elif name.endswith("bias"):
                normal(parameter, 0.0, 0.3)
            elif "embed_tokens" in name:
                normal(parameter, 0.0, 0.7)
            else:
                normal(parameter, 0.0, 1.5 * parameter.shape[1] ** -0.5)


def to_old_spelling(path, type_key):
    config = json.loads(path.read_text())
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    kind = parameters.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {type_key: kind, **parameters}
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.40.0"
    if config["head_dim"] * config["num_attention_heads"] == config["hidden_size"]:
        del config["head_dim"]
    path.write_text(json.dumps(config, indent=2) + "\n")


def reference(directory):
    """The golden tensors and the smallest gap between the best two logits on a greedy path."""
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager").eval()
    tensors, margin = {}, float("inf")
    generator = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for index, length in enumerate(PROMPT_LENGTHS):
            ids = torch.randint(3, model.config.vocab_size, (length,), generator=generator)
            sequence = ids.clone()
            for step in range(GREEDY_TOKENS):
                logits = model(sequence[None], use_cache=False).logits[0]
                if step == 0:
                    tensors[f"{index:02}.ids"] = ids.to(torch.int32)
                    tensors[f"{index:02}.logits"] = logits[-1].clone()
                    if index == 0:
                        tensors["00.all_logits"] = logits.clone()
                best = logits[-1].topk(2)
                margin = min(margin, float(best.values[0] - best.values[1]))
                sequence = torch.cat([sequence, best.indices[:1]])
            tensors[f"{index:02}.greedy"] = sequence[length:].to(torch.int32)
    return tensors, margin


def write_variant(out, name, config, dtype, old_type_key, shard_size):
    directory = out / name
    for seed in range(100):
        directory.mkdir(parents=True, exist_ok=True)
        for file in directory.iterdir():
            file.unlink()
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        randomize(model, seed)
        limit = {"max_shard_size": shard_size} if shard_size else {}
        model.to(dtype).save_pretrained(directory, **limit)
        if old_type_key:
            to_old_spelling(directory / "config.json", old_type_key)
        tensors, margin = reference(directory)
        if margin >= MARGIN_MIN:
            save_file(tensors, directory / "golden.safetensors")
            size = sum(file.stat().st_size for file in directory.iterdir())
            print(f"{name}: seed {seed}, margin {margin:.3f}, {size} bytes")
            return
    sys.exit(f"{name}: no seed has a margin of {MARGIN_MIN}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, variant in VARIANTS.items():
        write_variant(pathlib.Path(sys.argv[1]), name, *variant)


if __name__ == "__main__":
    main()
