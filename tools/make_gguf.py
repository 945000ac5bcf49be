#!/usr/bin/env python3
"""Writes a Llama-shaped Hugging Face model directory as a GGUF file, for tests and experiments.

    python3 tools/make_gguf.py MODEL_DIR OUT.gguf [--type bf16|f16|f32|q8_0|q4_0] [--shards N]

Standard library only. Matrices get the type, vectors are f32. Rows must be whole blocks: multiples of
32 elements. For the other types, `llama-quantize OUT-f32.gguf OUT-q4_k.gguf Q4_K` of llama.cpp takes
an f32 file (K types need multiples of 256, which the starter model has).
Spec: ggml, docs/gguf.md; llama.cpp, convert_hf_to_gguf.py for names and the order of rotary rows.
"""
import argparse
import json
import pathlib
import struct
import sys

ALIGNMENT = 32
GGML_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}
U8, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 5, 6, 7, 8, 9, 10
UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE, NORMAL = 2, 3, 4, 5, 6, 1

NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
         "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, item):
    """One metadata value with its type in front; a list of strings or of numbers is an array."""
    if isinstance(item, list):
        body = b"".join(string(x) if kind == STRING else struct.pack({F32: "<f", U8: "<B"}.get(kind, "<i"), x)
                        for x in item)
        return struct.pack("<IIQ", ARRAY, kind, len(item)) + body
    if kind == STRING:
        return struct.pack("<I", kind) + string(item)
    return struct.pack("<I", kind) + struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?",
                                                  U64: "<Q", 2: "<H"}[kind], item)


def read_safetensors(path):
    """Name -> (dtype, shape, bytes)."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        out[name] = (entry["dtype"], entry["shape"], data[8 + size + begin:8 + size + end])
    return out


def gguf_name(name):
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, rest = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[rest]}.{suffix}"
    return f"{NAMES[stem]}.{suffix}"


def pair_rows(data, rows, heads):
    """Puts the rows of rotary pairs side by side: i and i + half become 2i and 2i + 1."""
    size = len(data) // rows
    half = rows // heads // 2
    order = [head * 2 * half + part * half + i
             for head in range(heads) for i in range(half) for part in range(2)]
    return b"".join(data[row * size:(row + 1) * size] for row in order)


def to_floats(dtype, data):
    if dtype == "F32":
        return struct.unpack(f"<{len(data) // 4}f", data)
    if dtype == "F16":
        return struct.unpack(f"<{len(data) // 2}e", data)
    wide = bytearray(len(data) * 2)
    wide[2::4], wide[3::4] = data[0::2], data[1::2]
    return struct.unpack(f"<{len(data) // 2}f", bytes(wide))


def to_bf16(floats):
    words = struct.unpack(f"<{len(floats)}I", struct.pack(f"<{len(floats)}f", *floats))
    return struct.pack(f"<{len(words)}H", *((w + 0x7FFF + (w >> 16 & 1)) >> 16 for w in words))


def half(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def to_q8_0(floats):
    out = []
    for at in range(0, len(floats), 32):
        block = floats[at:at + 32]
        scale = max(max(block), -min(block)) / 127
        inverse = 1 / scale if scale else 0.0
        out.append(struct.pack("<e32b", scale, *(round(x * inverse) for x in block)))
    return b"".join(out)


def to_q4_0(floats):
    out = []
    for at in range(0, len(floats), 32):
        block = floats[at:at + 32]
        extreme = max(block, key=abs)
        scale = extreme / -8
        inverse = 1 / scale if scale else 0.0
        codes = [min(15, int(x * inverse + 8.5)) for x in block]
        out.append(struct.pack("<e16B", scale, *(codes[i] | codes[i + 16] << 4 for i in range(16))))
    return b"".join(out)


def encode(dtype, data, kind):
    if (dtype, kind) in (("BF16", "bf16"), ("F32", "f32"), ("F16", "f16")):
        return data
    floats = to_floats(dtype, data)
    if kind == "f32":
        return struct.pack(f"<{len(floats)}f", *floats)
    if kind == "f16":
        return struct.pack(f"<{len(floats)}e", *floats)
    return {"bf16": to_bf16, "q8_0": to_q8_0, "q4_0": to_q4_0}[kind](floats)


def model_entries(config, name):
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    entries = [("general.architecture", STRING, "llama"), ("general.name", STRING, name),
               ("llama.context_length", U32, config["max_position_embeddings"]),
               ("llama.embedding_length", U32, config["hidden_size"]),
               ("llama.block_count", U32, config["num_hidden_layers"]),
               ("llama.feed_forward_length", U32, config["intermediate_size"]),
               ("llama.attention.head_count", U32, heads),
               ("llama.attention.head_count_kv", U32, config.get("num_key_value_heads", heads)),
               ("llama.attention.key_length", U32, head_dim),
               ("llama.attention.value_length", U32, head_dim),
               ("llama.attention.layer_norm_rms_epsilon", F32, config["rms_norm_eps"]),
               ("llama.rope.dimension_count", U32, head_dim),
               ("llama.rope.freq_base", F32, config.get("rope_theta", 10000.0)),
               ("llama.vocab_size", U32, config["vocab_size"])]
    return entries


def tokenizer_entries(directory, config, pre):
    """Of a byte-level BPE tokenizer; `pre` is what GGUF calls its way to split text."""
    document = json.loads((directory / "tokenizer.json").read_text())
    tokens = [f"[PAD{i}]" for i in range(config["vocab_size"])]
    kinds = [UNUSED] * len(tokens)
    for token, index in document["model"]["vocab"].items():
        tokens[index], kinds[index] = token, NORMAL
    for added in document["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in document["model"]["merges"]]
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    entries = [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, pre),
               ("tokenizer.ggml.tokens", STRING, tokens), ("tokenizer.ggml.token_type", I32, kinds),
               ("tokenizer.ggml.merges", STRING, merges),
               ("tokenizer.ggml.bos_token_id", U32, config["bos_token_id"]),
               ("tokenizer.ggml.eos_token_id", U32, config["eos_token_id"]),
               ("tokenizer.ggml.add_bos_token", BOOL, bool(settings.get("add_bos_token")))]
    if "pad_token_id" in config:
        entries.append(("tokenizer.ggml.padding_token_id", U32, config["pad_token_id"]))
    if "chat_template" in settings:
        entries.append(("tokenizer.chat_template", STRING, settings["chat_template"]))
    return entries


def generation_entries(directory):
    path = directory / "generation_config.json"
    generation = json.loads(path.read_text()) if path.exists() else {}
    if generation.get("do_sample") is False:
        return [("general.sampling.temp", F32, 0.0)]
    return [(f"general.sampling.{theirs}", F32, generation[ours]) for ours, theirs in
            (("temperature", "temp"), ("top_p", "top_p")) if ours in generation]


def tensors(directory, config, kind):
    """(name, shape, type, bytes) of each weight."""
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    for name, (dtype, shape, data) in read_safetensors(directory / "model.safetensors").items():
        if ".q_proj." in name or ".k_proj." in name:
            data = pair_rows(data, shape[0], heads if ".q_proj." in name else kv_heads)
        wanted = kind if len(shape) == 2 else "f32"
        yield gguf_name(name), shape, wanted, encode(dtype, data, wanted)


def padding(size):
    return -size % ALIGNMENT


def write(path, entries, weights):
    infos, offset = [], 0
    for name, shape, kind, data in weights:
        infos.append(string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape),
                                                GGML_TYPES[kind], offset))
        offset += len(data) + padding(len(data))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(entries))
    head += b"".join(string(key) + value(kind, item) for key, kind, item in entries)
    head += b"".join(infos)
    with open(path, "wb") as file:
        file.write(head + bytes(padding(len(head))))
        for _, _, _, data in weights:
            file.write(data + bytes(padding(len(data))))


def write_shards(path, entries, weights, count):
    stem = str(path).removesuffix(".gguf")
    size = -(-len(weights) // count)
    for shard in range(count):
        split = [("split.no", 2, shard), ("split.count", 2, count),
                 ("split.tensors.count", I32, len(weights))]
        part = weights[shard * size:(shard + 1) * size]
        write(f"{stem}-{shard + 1:05d}-of-{count:05d}.gguf", split + (entries if shard == 0 else []),
              part)


def convert(directory, out, kind="bf16", shards=1, pre="smollm", name="starter"):
    """What the command line does; `pre` and `name` default to what the starter model needs."""
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    entries = (model_entries(config, name) + tokenizer_entries(directory, config, pre)
               + generation_entries(directory))
    weights = list(tensors(directory, config, kind))
    if shards > 1:
        write_shards(out, entries, weights, shards)
    else:
        write(out, entries, weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--type", choices=GGML_TYPES, default="bf16")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--pre", default="smollm", help="tokenizer.ggml.pre")
    parser.add_argument("--name", help="general.name (default: the directory's)")
    args = parser.parse_args()
    convert(args.directory, args.out, args.type, args.shards, args.pre,
            args.name or args.directory.resolve().name)


if __name__ == "__main__":
    sys.exit(main())
