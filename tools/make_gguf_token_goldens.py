#!/usr/bin/env python3
"""Writes tests/text/gguf: token ids that others give for vocabularies as GGUF files hold them.

    python3 tools/make_gguf_token_goldens.py [OUT_DIR]

splits.jsonl: Hugging Face `tokenizers` (0.23) with the patterns behind names of tokenizer.ggml.pre and
a vocabulary in which every pair of bytes is a token, so that ids show where text was cut.
sentencepiece.jsonl: `llama-tokenize` of llama.cpp with the vocabulary of tests/text/spm, its tokens
scored by when they merge ("ranked") or all alike ("tied").
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import make_gguf
from make_tokenizer_goldens import GPT2, LLAMA3, O200K, QWEN2, strings

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEEPSEEK_HAN = "[一-龥ࠀ-一가-퟿]+"
SENTENCE = r" ?[^(\s|.,!?…。，、।۔،)]+"
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SEED_CODER = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}|"
              r" ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
             r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITS = {
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_HAN, r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "gpt-4o": [O200K], "llama-bpe": [LLAMA3], "poro-chat": [SENTENCE], "seed-coder": [SEED_CODER],
    "smollm": [r"\p{N}", GPT2], "stablelm2": [QWEN2], "tekken": [TEKKEN],
    "viking": [SENTENCE, r"\p{N}"]}


def is_settled(text):
    """False for characters of blocks that grew after Unicode 14, which the engines know differently."""
    return not any(0x13430 <= ord(char) < 0x1F000 for char in text)


def sample(count, seed):
    texts = [text for text in strings()
             if text and "\0" not in text and len(text.encode()) < 120 and is_settled(text)]
    return random.Random(seed).sample(texts, count)


def pair_tokens():
    """The characters that stand for bytes, in the order of the bytes, and all pairs in a fixed disorder."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = [chr(256 + hidden.index(byte)) if byte in hidden else chr(byte) for byte in range(256)]
    order = sorted(range(65536), key=lambda i: i * 2654435761 % 2**32)
    return letters, [(letters[i >> 8], letters[i & 255]) for i in order]


def split_rows():
    letters, pairs = pair_tokens()
    vocabulary = {token: i for i, token in enumerate(letters + [a + b for a, b in pairs])}
    for pre, patterns in SPLITS.items():
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
            + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        for text in sample(60, 5):
            yield {"pre": pre, "text": text, "ids": tokenizer.encode(text).ids}


def sentencepiece_entries(tied):
    document = json.loads((ROOT / "tests/text/spm/tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    size = 1 + max([*vocabulary.values(), *(added["id"] for added in document["added_tokens"])])
    tokens, kinds, scores = [""] * size, [make_gguf.NORMAL] * size, [-1e6] * size
    for token, index in vocabulary.items():
        tokens[index] = token
        if len(token) == 6 and token.startswith("<0x"):
            kinds[index] = make_gguf.BYTE
    for added in document["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = make_gguf.CONTROL if added["special"] else make_gguf.USER_DEFINED
    kinds[0] = make_gguf.UNKNOWN
    for rank, (left, right) in enumerate(document["model"]["merges"]):
        scores[vocabulary[left + right]] = 0.0 if tied else float(-rank)
    return [("tokenizer.ggml.model", make_gguf.STRING, "llama"),
            ("tokenizer.ggml.tokens", make_gguf.STRING, tokens),
            ("tokenizer.ggml.token_type", make_gguf.I32, kinds),
            ("tokenizer.ggml.scores", make_gguf.F32, scores)]


def sentencepiece_rows():
    config = json.loads((ROOT / "models/starter/config.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        model, prompt = pathlib.Path(folder, "m.gguf"), pathlib.Path(folder, "t.txt")
        for name in ("ranked", "tied"):
            entries = sentencepiece_entries(name == "tied")
            config["vocab_size"] = len(entries[1][2])
            make_gguf.write(model, make_gguf.model_entries(config, "m") + entries, [])
            for text in sample(150, 6):
                prompt.write_bytes(text.encode())
                answer = subprocess.run(
                    ["llama-tokenize", "-m", model, "-f", prompt, "--ids", "--log-disable"],
                    check=True, capture_output=True)
                yield {"scores": name, "text": text, "ids": json.loads(answer.stdout)}


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/text/gguf"
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("splits", split_rows()), ("sentencepiece", sentencepiece_rows())):
        (out / f"{name}.jsonl").write_text("".join(
            json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows))


if __name__ == "__main__":
    main()
