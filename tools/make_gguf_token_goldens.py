#!/usr/bin/env python3
"""Writes tests/text/gguf: token ids that others give for vocabularies as GGUF files hold them.

    python3 tools/make_gguf_token_goldens.py [OUT_DIR [NAME...]]

splits.jsonl: Hugging Face `tokenizers` (0.23) with the patterns behind names of tokenizer.ggml.pre and
a vocabulary in which every pair of bytes is a token, so that ids show where text was cut.
sentencepiece.jsonl: `llama-tokenize` of llama.cpp with the vocabulary of tests/text/spm, its tokens
scored by when they merge ("ranked") or all alike ("tied").
bert.jsonl, t5.jsonl: the same with the vocabularies of tests/text/bert and tests/text/files/unigram.model.
Needs llama.cpp's llama-tokenize.
"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import make_gguf
from make_tokenizer_goldens import GPT2, LLAMA3, O200K, QWEN2, proto_fields, strings

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


def llama_rows(entries, architecture, texts):
    """What llama-tokenize makes of texts with a vocabulary."""
    config = json.loads((ROOT / "models/starter/config.json").read_text())
    config["vocab_size"] = len(dict((key, item) for key, _, item in entries)["tokenizer.ggml.tokens"])
    with tempfile.TemporaryDirectory() as folder:
        model, prompt = pathlib.Path(folder, "m.gguf"), pathlib.Path(folder, "t.txt")
        make_gguf.write(model, make_gguf.model_entries(config, "m") + entries, [])
        for text in texts:
            prompt.write_bytes(text.encode())
            answer = subprocess.run(
                ["llama-tokenize", "-m", model, "-f", prompt, "--ids", "--log-disable", "--no-parse-special"],
                check=True, capture_output=True)
            yield {"plain": True, "text": text, "ids": json.loads(answer.stdout)}


def bert_rows():
    """Without the characters in which llama.cpp's normalization differs from BERT's: marks that stand
    alone, and capitals and accents outside of its tables."""
    vocabulary = json.loads((ROOT / "tests/text/bert/tokenizer.json").read_text())["model"]["vocab"]
    names = sorted(vocabulary, key=vocabulary.get)
    kinds = [make_gguf.CONTROL if name.startswith("[") and name.endswith("]") and len(name) > 2
             else make_gguf.NORMAL for name in names]
    tokens = [name if kind == make_gguf.CONTROL else name[2:] if name.startswith("##") else "▁" + name
              for name, kind in zip(names, kinds)]
    entries = [("tokenizer.ggml.model", make_gguf.STRING, "bert"),
               ("tokenizer.ggml.tokens", make_gguf.STRING, tokens),
               ("tokenizer.ggml.token_type", make_gguf.I32, kinds),
               ("tokenizer.ggml.unknown_token_id", make_gguf.U32, 1),
               ("tokenizer.ggml.bos_token_id", make_gguf.U32, 2),
               ("tokenizer.ggml.cls_token_id", make_gguf.U32, 2),
               ("tokenizer.ggml.seperator_token_id", make_gguf.U32, 3)]
    plain = [text for text in sample(900, 8)
             if all(ord(c) < 0x250 and c not in "ıİſ\x80\x9f\xad" and unicodedata.category(c) != "Cc"
                    for c in text)]
    return llama_rows(entries, "bert", plain[:300])


def t5_rows():
    fields = list(proto_fields((ROOT / "tests/text/files/unigram.model").read_bytes()))
    pieces = [dict(proto_fields(value)) for number, value in fields if number == 1]
    rules = dict(proto_fields(dict(fields)[3]))[2]
    entries = [("tokenizer.ggml.model", make_gguf.STRING, "t5"),
               ("tokenizer.ggml.tokens", make_gguf.STRING, [piece[1].decode() for piece in pieces]),
               ("tokenizer.ggml.token_type", make_gguf.I32, [piece.get(3, 1) for piece in pieces]),
               ("tokenizer.ggml.scores", make_gguf.F32,
                [struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0 for piece in pieces]),
               ("tokenizer.ggml.precompiled_charsmap", make_gguf.U8, list(rules)),
               ("tokenizer.ggml.add_space_prefix", make_gguf.BOOL, True),
               ("tokenizer.ggml.remove_extra_whitespaces", make_gguf.BOOL, True),
               ("tokenizer.ggml.unknown_token_id", make_gguf.U32, 0),
               ("tokenizer.ggml.eos_token_id", make_gguf.U32, 2)]
    # Where llama.cpp follows SentencePiece: it treats runs of spaces and users' pieces otherwise.
    plain = [text for text in sample(1400, 9) if text.isascii() and text.isprintable()
             and "  " not in text and "ab" not in text]
    return llama_rows(entries, "t5", plain)


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/text/gguf"
    out.mkdir(parents=True, exist_ok=True)
    makers = {"splits": split_rows, "sentencepiece": sentencepiece_rows, "bert": bert_rows,
              "t5": t5_rows}
    for name in sys.argv[2:] or makers:
        rows = makers[name]()
        (out / f"{name}.jsonl").write_text("".join(
            json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows))


if __name__ == "__main__":
    main()
