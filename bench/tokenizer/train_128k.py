#!/usr/bin/env python3
"""Trains a byte-level BPE tokenizer of 128k tokens with Hugging Face `tokenizers` and writes it in the
forms that the peers read: OUT/tokenizer.json (split as Llama 3 does), OUT/ranks.tiktoken and
OUT/vocab.gguf (a vocabulary without a model).

    python3 bench/tokenizer/train_128k.py OUT        # OUT/train.txt is there already
"""
import base64
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY_SIZE = 128000
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
           r"\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_of_letter():
    """The byte that each character of the byte-level alphabet stands for."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def train(out):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY_SIZE, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train([str(out / "train.txt")], trainer)
    tokenizer.save(str(out / "tokenizer.json"))
    return tokenizer


def write_ranks(out, vocabulary, letters):
    with open(out / "ranks.tiktoken", "w") as file:
        for name, rank in sorted(vocabulary.items(), key=lambda entry: entry[1]):
            token = bytes(letters[char] for char in name)
            file.write(base64.b64encode(token).decode() + f" {rank}\n")


def write_gguf(out, document):
    import gguf
    writer = gguf.GGUFWriter(str(out / "vocab.gguf"), "llama")
    vocabulary = sorted(document["model"]["vocab"], key=document["model"]["vocab"].get)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(vocabulary)
    writer.add_token_types([1] * len(vocabulary))
    writer.add_token_merges([" ".join(pair) for pair in document["model"]["merges"]])
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    out = pathlib.Path(sys.argv[1])
    tokenizer = train(out)
    document = json.loads(tokenizer.to_str())
    write_ranks(out, document["model"]["vocab"], byte_of_letter())
    write_gguf(out, document)
    print("tokens", tokenizer.get_vocab_size())


if __name__ == "__main__":
    main()
