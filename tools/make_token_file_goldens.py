#!/usr/bin/env python3
"""Writes tests/text/files: small SentencePiece models of each sort with the ids and texts that
SentencePiece (0.2.2) gives for hostile strings, and a list of ranks for tiktoken
(make_tiktoken_goldens.mjs makes its rows).

    python3 tools/make_token_file_goldens.py [OUT_DIR]
"""
import base64
import io
import json
import pathlib
import sys

import sentencepiece

from make_tokenizer_goldens import corpus, rules_file, strings

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMON = dict(vocab_size=900, minloglevel=2, hard_vocab_limit=False, character_coverage=0.999)
# As T5, ALBERT, Llama 2 and Gemma have them, in turn.
MODELS = {
    "unigram": dict(model_type="unigram", control_symbols=["<ctl>"],
                    user_defined_symbols=["<sep>", "日本", "ab", "abc", "▁▁"]),
    "unigram_bytes": dict(model_type="unigram", byte_fallback=True, remove_extra_whitespaces=False,
                          normalization_rule_name="identity"),
    "suffix": dict(model_type="unigram", treat_whitespace_as_suffix=True,
                   normalization_rule_name="identity"),
    "bpe": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
    "bpe_users": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                      remove_extra_whitespaces=False, add_dummy_prefix=False, split_digits=True,
                      user_defined_symbols=["\n\n", "▁▁", "▁▁▁", "<table>", "[TAG]", "ha", "hah", "日本"]),
    "bpe_unknown": dict(model_type="bpe", user_defined_symbols=["<sep>", "ing"]),
}


def train(options):
    model = io.BytesIO()
    options = {**COMMON, **options}
    if "normalization_rule_name" not in options:
        with rules_file() as source:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(corpus()), model_writer=model,
                normalization_rule_tsv=source, **options)
    else:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()), model_writer=model, **options)
    return model.getvalue()


def rows(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    for text in strings():
        ids = processor.encode(text)
        row = {"text": text, "ids": ids}
        # An unknown token is written differently everywhere.
        if processor.unk_id() not in ids:
            row["decoded"] = processor.decode(ids)
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def write_ranks(path):
    document = json.loads((ROOT / "tests/text/o200k/tokenizer.json").read_text())
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    byte_of = {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
    added = {token["content"] for token in document["added_tokens"]}
    with open(path, "w") as file:
        for name, rank in sorted(document["model"]["vocab"].items(), key=lambda entry: entry[1]):
            if name not in added:
                file.write(base64.b64encode(bytes(byte_of[c] for c in name)).decode() + f" {rank}\n")


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/text/files"
    out.mkdir(parents=True, exist_ok=True)
    for name, options in MODELS.items():
        model = train(options)
        (out / f"{name}.model").write_bytes(model)
        (out / f"{name}.jsonl").write_text("\n".join(rows(model)) + "\n")
    write_ranks(out / "o200k.tiktoken")
    # What make_tiktoken_goldens.mjs reads; not kept.
    (out / "texts.json").write_text(json.dumps(strings(), ensure_ascii=False))


if __name__ == "__main__":
    main()
