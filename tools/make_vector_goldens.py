#!/usr/bin/env python3
"""Writes tests/starter/starter-vectors.jsonl: texts, their token ids, and the pooled hidden states that
transformers computes in float32 for the starter model (last token, mean of all tokens, first token).

Usage: make_vector_goldens.py MODEL_DIRECTORY OUTPUT_FILE     (needs torch and transformers)
"""
import json
import sys

import torch
from transformers import AutoModel, PreTrainedTokenizerFast

TEXTS = [
    "An API lets one program talk to another.",
    "The dog",
    "Once upon a time there was a small dog who liked to run in the park with his friends. " * 6,
    "Überraschung: ein Text mit Umlauten, 数字 and an emoji 🙂.",
]


def pooled(states):
    return {"last": states[-1], "mean": states.mean(0), "cls": states[0]}


def main():
    directory, output = sys.argv[1:]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{directory}/tokenizer.json")
    model = AutoModel.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    with open(output, "w", encoding="utf-8") as file:
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            with torch.no_grad():
                states = model(torch.tensor([ids])).last_hidden_state[0]
            vectors = {name: [float(f"{value:.7g}") for value in vector.tolist()]
                       for name, vector in pooled(states).items()}
            file.write(json.dumps({"text": text, "ids": ids, **vectors}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
