#!/usr/bin/env python3
"""Writes tests/architectures/FAMILY/goldens.json: what transformers computes for tiny models.

Usage: make_architecture_goldens.py TESTS_DIR [FAMILY ...]     (needs torch, transformers 5, safetensors)

FAMILY/variants.json holds configurations as published models spell them: "base" and, by name,
changes of it in "variants". Weights are not stored: each element follows from the name of its tensor
and its place (element() below), in the reference and in the test alike, and is exact in every type.
Goldens list the tensors of a saved model with their shapes, and for each prompt the ids, the logits
of the last position, and 32 greedy tokens, computed in float32 with eager attention and without a
cache; of a model without logits, its hidden states at the first and the last position, or the scores
of its classes, and of a model with two types of tokens a pair of texts too. A prompt whose two best logits come nearer than MARGIN_MIN on its greedy path is replaced by
another, so that every engine with small errors must give the same tokens.
"""
import json
import math
import pathlib
import sys
import tempfile

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (AutoConfig, AutoModel, AutoModelForCausalLM,
                          AutoModelForSequenceClassification)
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Moe
from transformers.utils import logging

# Why: transformers 5.12 reads this attribute for the choice among groups and never sets it.
DeepseekV2Moe.num_experts = property(lambda self: self.config.n_routed_experts)

PROMPT_LENGTHS = (5, 41)
GREEDY_TOKENS = 32
OCTETS = (0, 128)  # marks a tensor of octets: elements times 128, plus 128
MXFP4_POWER_MIN = 121  # of four; products then keep about the size of their inputs
MARGIN_MIN = 2e-3  # of the largest logit
ATTEMPTS_MAX = 400


def name_seed(text):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def elements(seed, count):
    """SplitMix64 as a counter-based generator; the upper byte less 128, in 128ths."""
    with numpy.errstate(over="ignore"):
        z = numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z += numpy.uint64(seed)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return ((z >> numpy.uint64(56)).astype(numpy.int64) - 128).astype(numpy.float32) / 128


def scale_of(name, shape):
    """The exponent of the power of two that elements are multiplied by, and what is added to them."""
    if len(shape) == 1:
        is_norm = name.endswith("weight") or name.endswith("layernorm") and "bias" not in name
        return -2, 1 if is_norm else 0
    # Uniform in [-1, 1): a deviation of 0.58; products then keep about the size of their inputs.
    fan_in = shape[-1]
    if any(part in name for part in ("embed", "wte", "wpe", "word_embeddings")):
        # Small beside what layers add, or a tied model would repeat its input.
        return -2, 0
    return round(math.log2(1.9 / math.sqrt(fan_in))), 0


def make_tensor(seed_name, name, shape):
    exponent, offset = scale_of(name, shape)
    count = math.prod(shape)
    values = elements(name_seed(f"{seed_name}/{name}"), count) * numpy.float32(2.0**exponent)
    return torch.from_numpy(values + numpy.float32(offset)).reshape(shape)


def mxfp4_halves(seed_name, name, shape):
    """What an MXFP4 checkpoint holds for a stack of matrices. Shape: [experts][in][out]"""
    experts, width, outputs = shape
    halves = {}
    for part, part_shape in (("blocks", [experts, outputs, width // 32, 16]),
                             ("scales", [experts, outputs, width // 32])):
        full = f"{name}_{part}"
        octets = elements(name_seed(f"{seed_name}/{full}"), math.prod(part_shape)) * 128 + 128
        octets = octets.astype(numpy.uint8)
        if part == "scales":
            octets = MXFP4_POWER_MIN + octets % 4
        halves[full] = torch.from_numpy(octets).reshape(part_shape)
    return halves


def stored_tensors(seed_name, name, shape, is_mxfp4):
    """A tensor of the model as its file has it, and as transformers unpacks it."""
    if not is_mxfp4 or len(shape) != 3:
        tensor = make_tensor(seed_name, name, shape)
        return {name: tensor}, tensor
    halves = mxfp4_halves(seed_name, name, shape)
    blocks, scales = halves.values()
    return halves, convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)


def model_class(config):
    if config["architectures"][0].endswith("ForSequenceClassification"):
        return AutoModelForSequenceClassification
    return AutoModel if config["architectures"][0].endswith("Model") and \
        not config["architectures"][0].endswith("LMHeadModel") else AutoModelForCausalLM


def saved_shapes(model_type, config, folder):
    """Names and shapes as a saved model has them."""
    torch.manual_seed(0)
    model = model_type.from_config(config, attn_implementation="eager")
    model.save_pretrained(folder, safe_serialization=True)
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}


def load(config, seed_name, shapes, folder, is_mxfp4=False):
    save_file({name: stored_tensors(seed_name, name, shape, is_mxfp4)[1]
               for name, shape in shapes.items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    model, report = model_class(config).from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise RuntimeError(f"{seed_name}: {kind} {report[kind]}")
    return model.eval()


def run(model, prompt):
    """Logits of the last position, greedy tokens, and the smallest margin on the way."""
    ids = list(prompt)
    first = None
    margin = math.inf
    for _ in range(GREEDY_TOKENS):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        first = logits if first is None else first
        best = torch.topk(logits, 2)
        margin = min(margin, ((best.values[0] - best.values[1]) / logits.abs().max()).item())
        ids.append(int(best.indices[0]))
        if margin < MARGIN_MIN:
            break
    return first, ids[len(prompt):], margin


def find_vectors(model, seed_name, length, vocab):
    seed = numpy.random.default_rng(name_seed(f"{seed_name}/{length}"))
    prompt = [int(token) for token in seed.integers(3, vocab, length)]
    result = model(input_ids=torch.tensor([prompt]))
    rows = result.logits if "logits" in result else result.last_hidden_state[0, [0, -1]]
    return {"ids": prompt, "rows": [[float(f"{value:.8g}") for value in row] for row in rows.tolist()]}


def find_pair(model, seed_name, length, vocab):
    """As find_vectors, of two texts: the types of the tokens tell the second one apart."""
    seed = numpy.random.default_rng(name_seed(f"{seed_name}/pair/{length}"))
    prompt = [int(token) for token in seed.integers(3, vocab, length)]
    second = length // 3
    types = [int(place >= second) for place in range(length)]
    result = model(input_ids=torch.tensor([prompt]), token_type_ids=torch.tensor([types]))
    rows = result.logits if "logits" in result else result.last_hidden_state[0, [0, -1]]
    return {"ids": prompt, "second_begin": second,
            "rows": [[float(f"{value:.8g}") for value in row] for row in rows.tolist()]}


def find_prompt(model, seed_name, length, vocab):
    for attempt in range(ATTEMPTS_MAX):
        seed = numpy.random.default_rng(name_seed(f"{seed_name}/{length}/{attempt}"))
        prompt = [int(token) for token in seed.integers(3, vocab, length)]
        logits, greedy, margin = run(model, prompt)
        if margin >= MARGIN_MIN:
            return {"ids": prompt, "greedy": greedy, "margin": float(f"{margin:.2g}"),
                    "logits": [float(f"{value:.8g}") for value in logits.tolist()]}
    raise RuntimeError(f"{seed_name}: no prompt keeps its margin")


def make_goldens(seed_name, config):
    # The reference runs on the unpacked weights.
    is_mxfp4 = "quantization_config" in config
    config = {key: value for key, value in config.items() if key != "quantization_config"}
    with tempfile.TemporaryDirectory() as saved, tempfile.TemporaryDirectory() as loaded:
        (pathlib.Path(loaded) / "config.json").write_text(json.dumps(config))
        kind = model_class(config)
        shapes = saved_shapes(kind, AutoConfig.from_pretrained(loaded), pathlib.Path(saved))
        model = load(config, seed_name, shapes, pathlib.Path(loaded), is_mxfp4)
        find = find_prompt if kind is AutoModelForCausalLM else find_vectors
        with torch.no_grad():
            prompts = [find(model, seed_name, length, config["vocab_size"])
                       for length in PROMPT_LENGTHS]
            if config.get("type_vocab_size") == 2:
                prompts.append(find_pair(model, seed_name, PROMPT_LENGTHS[-1], config["vocab_size"]))
        stored = {}
        for name, shape in shapes.items():
            stored.update(stored_tensors(seed_name, name, shape, is_mxfp4)[0])
        weights = [[name, *(OCTETS if tensor.dtype == torch.uint8 else scale_of(name, tensor.shape)),
                    *tensor.shape] for name, tensor in sorted(stored.items())]
        return {"weights": weights, "prompts": prompts}


def format_goldens(goldens):
    """One line a tensor and a prompt."""
    lines = []
    for name, variant in goldens.items():
        parts = [f'  "{key}": [\n' + ",\n".join("   " + json.dumps(item) for item in variant[key]) + "]"
                 for key in ("weights", "prompts")]
        lines.append(f' "{name}": {{\n' + ",\n".join(parts) + "}")
    return "{\n" + ",\n".join(lines) + "}\n"


def main():
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    root = pathlib.Path(sys.argv[1])
    families = sys.argv[2:] or sorted(path.name for path in root.iterdir() if path.is_dir())
    failed = []
    for family in families:
        spec = json.loads((root / family / "variants.json").read_text())
        goldens = {}
        for name, changes in spec["variants"].items():
            try:
                goldens[name] = make_goldens(f"{family}/{name}", {**spec["base"], **changes})
                print(family, name, [prompt.get("margin") for prompt in goldens[name]["prompts"]], flush=True)
            except Exception as error:  # the other variants are still of use
                failed.append(f"{family}/{name}: {error!r}")
                print(failed[-1], flush=True)
        (root / family / "goldens.json").write_text(format_goldens(goldens))
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
