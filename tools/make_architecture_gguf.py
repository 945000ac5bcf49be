#!/usr/bin/env python3
"""Writes tests/architectures/FAMILY/model.gguf and gguf.json: tiny models as GGUF files.

Usage: make_architecture_gguf.py TESTS_DIR [FAMILY ...]      (needs torch, transformers 5, gguf)

For families whose variants.json has "gguf": the name of the architecture in the gguf module, changes
of "base", and what llama.cpp's converter does to the weights ("steps"); or a list of such, of which all
but one have a "name", which is that of their files. Names of tensors and keys are those of the gguf
module. gguf.json (or NAME.json) holds prompts as goldens.json does, with the logits of transformers.
"""
import json
import pathlib
import re
import sys
import tempfile

import gguf
import numpy
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

import make_architecture_goldens as goldens

ENUMS = {"expert_gating_func": gguf.ExpertGatingFuncType, "rope_scaling_type": gguf.RopeScalingType,
         "pooling_type": gguf.PoolingType, "classifier_pooling_type": gguf.PoolingType}
MATRIX_TYPE = numpy.float16  # holds the elements exactly


def permute(weight, heads):
    """From pairs (i, i + half) to adjacent pairs."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def regroup(weight, kv_heads, group, dim):
    """From (queries, key, value) by key/value head to all queries, all keys, all values."""
    parts = weight.reshape(kv_heads, group + 2, dim, *weight.shape[1:])
    cut = [parts[:, :group], parts[:, group:group + 1], parts[:, group + 1:]]
    return numpy.concatenate([part.reshape(-1, *weight.shape[1:]) for part in cut])


def first(config, *names):
    for name in names:
        if config.get(name) is not None:
            return config[name]
    return None


class Sizes:
    def __init__(self, config):
        self.hidden = first(config, "hidden_size", "n_embd", "d_model")
        self.layers = first(config, "num_hidden_layers", "n_layer", "n_layers")
        self.heads = first(config, "num_attention_heads", "n_head", "n_heads")
        self.kv_heads = first(config, "num_key_value_heads", "num_kv_heads") or self.heads
        if config.get("multi_query") and not config.get("new_decoder_architecture"):
            self.kv_heads = 1
        self.ffn = first(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * self.hidden
        self.context = first(config, "max_position_embeddings", "n_positions", "max_seq_len") or 128
        self.position_offset = config.get("pad_token_id", 0) + 1
        self.head_dim = config.get("head_dim") or self.hidden // self.heads


def split_experts(weights):
    """Gates and ups apart, matrices as [out][in], and the names that the gguf module knows."""
    out = {}
    for name, weight in weights.items():
        if name.endswith("sinks"):
            out[name + ".weight"] = weight
        elif name.endswith("experts.gate_up_proj"):
            rows = weight.swapaxes(1, 2)
            out[name.replace("gate_up_proj", "gate_proj.weight")] = rows[:, ::2]
            out[name.replace("gate_up_proj", "up_proj.weight")] = rows[:, 1::2]
        elif name.endswith("experts.gate_up_proj_bias"):
            out[name.replace("gate_up_proj_bias", "gate_proj.bias")] = weight[:, ::2]
            out[name.replace("gate_up_proj_bias", "up_proj.bias")] = weight[:, 1::2]
        elif name.endswith("experts.down_proj"):
            out[name + ".weight"] = weight.swapaxes(1, 2)
        elif name.endswith("experts.down_proj_bias"):
            out[name.removesuffix("_bias") + ".bias"] = weight
        elif name.endswith("input_linear.weight"):
            half = weight.shape[1] // 2
            base = name.replace("block_sparse_moe.input_linear", "mlp.experts.{}_proj")
            out[base.format("gate")], out[base.format("up")] = weight[:, :half], weight[:, half:]
        else:
            out[name] = weight
    return out


def mxfp4_blocks(blocks, scales):
    """Pairs of octets of a checkpoint as blocks of GGUF: halves of 16 elements, their power first."""
    elements = numpy.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
    halves = elements[..., :16] | elements[..., 16:] << 4
    joined = numpy.concatenate([scales[..., None], halves], axis=-1)
    return joined.reshape(*joined.shape[:-2], -1).astype(numpy.uint8)


def mxfp4_tensors(seed_name, shapes):
    """The matrices of experts as MXFP4, by the names that split_experts gives them."""
    out = {}
    for name, shape in shapes.items():
        if len(shape) != 3:
            continue
        blocks, scales = (part.numpy() for part in
                          goldens.mxfp4_halves(seed_name, name, shape).values())
        if name.endswith("gate_up_proj"):
            for first, part in enumerate(("gate", "up")):
                out[name.replace("gate_up_proj", f"{part}_proj.weight")] = mxfp4_blocks(
                    blocks[:, first::2], scales[:, first::2])
        else:
            out[name + ".weight"] = mxfp4_blocks(blocks, scales)
    return out


def convert(name, weight, sizes, steps):
    if "transpose" in steps and re.search(r"(c_attn|c_proj|c_fc)\.weight$", name):
        weight = weight.T
    if "permute" in steps and re.search(r"(q_proj)\.", name):
        weight = permute(weight, sizes.heads)
    if "permute" in steps and re.search(r"(k_proj)\.", name):
        weight = permute(weight, sizes.kv_heads)
    if "regroup" in steps and "query_key_value" in name:
        weight = regroup(weight, sizes.kv_heads, sizes.heads // sizes.kv_heads, sizes.head_dim)
    if "positions" in steps and name.endswith("position_embeddings.weight"):
        weight = weight[sizes.position_offset:]
    if "add1" in steps and name.endswith("norm.weight"):
        weight = weight + 1
    return weight


def stack_experts(weights):
    """One tensor for the experts of a layer."""
    stacked, groups = {}, {}
    for name, weight in weights.items():
        found = re.match(r"(.*\.experts)\.(\d+)\.(.*)", name)
        if found:
            groups.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = weight
        else:
            stacked[name] = weight
    for name, parts in groups.items():
        stacked[name] = numpy.stack([parts[i] for i in range(len(parts))])
    return stacked


def split_latent(weights, config):
    """kv_b as the transposed keys and the values of each head."""
    out = {}
    for name, weight in weights.items():
        if "kv_b_proj" not in name:
            out[name] = weight
            continue
        nope, value = config["qk_nope_head_dim"], config["v_head_dim"]
        heads = weight.reshape(config["num_attention_heads"], nope + value, -1)
        out[name.replace("kv_b_proj", "k_b_proj")] = heads[:, :nope].swapaxes(1, 2)
        out[name.replace("kv_b_proj", "v_b_proj")] = heads[:, nope:]
    return out


def write_keys(writer, config, sizes, extra, tokens):
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.hidden)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.ffn)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    if "head_dim" in config:
        writer.add_key_length(sizes.head_dim)
        writer.add_value_length(sizes.head_dim)
    eps = first(config, "rms_norm_eps")
    if eps is not None:
        writer.add_layer_norm_rms_eps(eps)
    else:
        writer.add_layer_norm_eps(first(config, "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon",
                                        "norm_eps") or 1e-5)
    if config.get("rope_theta"):
        writer.add_rope_freq_base(config["rope_theta"])
    for method, value in extra.items():
        if method in ENUMS:
            value = ENUMS[method](value)
        getattr(writer, f"add_{method}")(value)
    writer.add_token_list(tokens)


def make(family, folder, spec, options):
    config = {**spec["base"], **options["changes"]}
    file = options.get("name", "model")
    seed_name = f"{family}/gguf" + ("" if file == "model" else f"/{file}")
    is_mxfp4 = "quantization_config" in config
    config = {key: value for key, value in config.items() if key != "quantization_config"}
    with tempfile.TemporaryDirectory() as saved, tempfile.TemporaryDirectory() as loaded:
        (pathlib.Path(loaded) / "config.json").write_text(json.dumps(config))
        kind = goldens.model_class(config)
        shapes = goldens.saved_shapes(kind, AutoConfig.from_pretrained(loaded), pathlib.Path(saved))
        model = goldens.load(config, seed_name, shapes, pathlib.Path(loaded), is_mxfp4)
        find = goldens.find_prompt if kind is AutoModelForCausalLM else goldens.find_vectors
        with torch.no_grad():
            prompts = [find(model, seed_name, length, config["vocab_size"])
                       for length in (23,)]
    sizes = Sizes(config)
    weights = {name: goldens.make_tensor(seed_name, name, shape).numpy()
               for name, shape in shapes.items()}
    weights = {name: convert(name, weight, sizes, options["steps"]) for name, weight in weights.items()}
    weights = stack_experts(weights)
    if "split_experts" in options["steps"]:
        weights = split_experts(weights)
    packed = mxfp4_tensors(seed_name, shapes) if is_mxfp4 else {}
    if "kv_lora_rank" in config:
        weights = split_latent(weights, config)
    arch = gguf.MODEL_ARCH[options["arch"]]
    names = gguf.get_tensor_name_map(arch, sizes.layers)
    writer = gguf.GGUFWriter(folder / f"{file}.gguf", gguf.MODEL_ARCH_NAMES[arch])
    write_keys(writer, config, sizes, options.get("keys", {}),
               [f"t{i}" for i in range(config["vocab_size"])])
    for name, weight in weights.items():
        if name.endswith("pooler.dense.weight") or name.endswith("pooler.dense.bias"):
            continue
        stored = packed.get(name)
        # Converters rename the last linear of classifiers whose others have names of their own.
        if "classes" in options["steps"] and name.startswith("classifier."):
            name = name.replace("classifier.", "classifier.out_proj.")
        # Some names are known without the prefix of a model with a head alone.
        name = name.replace("e_score_correction_bias", "e_score_correction.bias")
        known = [name] + [name.removeprefix(prefix) for prefix in
                          ("transformer.", "bert.", "roberta.", "model.")]
        mapped = next(filter(None, (names.get_name(each, try_suffixes=(".weight", ".bias"))
                                    for each in known)), None)
        if mapped is None:
            raise RuntimeError(f"{family}: no name for {name}")
        if stored is not None:
            writer.add_tensor(mapped, stored, raw_dtype=gguf.GGMLQuantizationType.MXFP4)
            continue
        vector = weight.ndim == 1 or weight.shape[0] == 1
        weight = weight.reshape(-1) if vector else weight
        writer.add_tensor(mapped, numpy.ascontiguousarray(
            weight.astype(numpy.float32 if vector else MATRIX_TYPE)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (folder / ("gguf.json" if file == "model" else f"{file}.json")).write_text(json.dumps({"prompts": prompts}) + "\n")


def main():
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    root = pathlib.Path(sys.argv[1])
    families = sys.argv[2:] or sorted(path.name for path in root.iterdir() if path.is_dir())
    failed = []
    for family in families:
        spec = json.loads((root / family / "variants.json").read_text())
        if "gguf" not in spec:
            continue
        options = spec["gguf"] if isinstance(spec["gguf"], list) else [spec["gguf"]]
        for each in options:
            try:
                make(family, root / family, spec, each)
                print(family, each.get("name", ""), "done", flush=True)
            except Exception as error:  # the other files are still of use
                failed.append(f"{family}: {error!r}")
                print(failed[-1], flush=True)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
