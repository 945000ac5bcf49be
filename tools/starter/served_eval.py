"""Serve a model with Inferneo, send it the evaluation prompts greedily, and print its gates.

Everything that is judged came over HTTP: answers from /v1/chat/completions; losses and the draft's
agreement from the prompt_logprobs of /v1/completions. The formats of the loss gates are served as
copies of the model whose matrices went through them. Needs the Python standard library only.
"""
import argparse
import array
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

from gates import LOSS_GATES, answer_gates, draft_gate, judge, loss_gates, write_report
from textgen import mixture, rendering
from tokenizer import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANSWER_TOKENS_MAX = 400
LOSS_DOCUMENTS = 200
FORMAT_BITS = {"int8_row": (8, None), "int4_group32": (4, 32)}   # as quantize.FORMATS


class Served:
    """`with Served(program, {name: folder}) as server:` a server on a free port of its own."""

    def __init__(self, program, models):
        self.command = [program, "serve", "--port", "0", "--shutdown-notice-ms", "0", "--catalog", "off",
                        "--log-level", "warning"] + [f"{name}={folder}" for name, folder in models.items()]

    def __enter__(self):
        self.files = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(self.command + ["--files-dir", self.files.name], stdout=subprocess.PIPE,
                                        text=True)
        for line in self.process.stdout:
            if "http://" in line:
                self.port = int(line.split("http://", 1)[1].split("/")[0].split()[0].rsplit(":", 1)[1])
                return self
        raise SystemExit(f"the server ended with {self.process.wait()}: {' '.join(self.command)}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self.files.cleanup()

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        if reply.status != 200:
            raise SystemExit(f"{path} answered {reply.status}: {text.decode()}")
        return json.loads(text)

    def each(self, function, items):
        """Return function(item) of all items, some at the same time."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return list(pool.map(function, items))


def answers(server, model, prompts):
    """Return the greedy answer to each prompt."""
    def answer(prompt):
        body = {"model": model, "messages": prompt["messages"], "temperature": 0, "max_tokens": ANSWER_TOKENS_MAX}
        return server.post("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    return server.each(answer, prompts)


def token_scores(server, model, ids):
    """Return (log probability, rank) of each token after the first."""
    body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}
    scores = server.post("/v1/completions", body)["choices"][0]["prompt_logprobs"]
    return [(at[str(token)]["logprob"], at[str(token)]["rank"]) for token, at in zip(ids[1:], scores[1:])]


def same_as_draft(server, model, tokenizer, results):
    """Return for each answer whether the model's greedy tokens are the answer's."""
    def same(result):
        messages = [(m["role"], m["content"]) for m in result["messages"]]
        prompt = tokenizer.encode(rendering.render(messages, add_generation_prompt=True))
        ids = prompt + tokenizer.encode(result["answer"] + rendering.TURN_END)
        return [rank == 1 for _, rank in token_scores(server, model, ids)[len(prompt) - 1:]]
    return server.each(same, results)


def held_out(tokenizer, documents):
    """Return [(ids, whether the assistant wrote each)] of conversations from a seed of their own."""
    rows = []
    for index in range(documents):
        _, messages = mixture.sample(mixture.document_rng("held-out", index))
        ids, written = [], []
        for role, text in messages:
            flags = (False, role in ("assistant", "text"), False)
            for part, flag in zip(rendering.turn_parts(role, text), flags):
                piece = tokenizer.encode(part)
                ids += piece
                written += [flag] * len(piece)
        rows.append((ids, written))
    return rows


def assistant_loss(server, model, rows):
    """Return nats per assistant token."""
    scored = server.each(lambda row: token_scores(server, model, row[0]), rows)
    losses = [-score for scores, (_, written) in zip(scored, rows)
              for (score, _), flag in zip(scores, written[1:]) if flag]
    return sum(losses) / len(losses)


def round_trip(values, columns, bits, group):
    """Quantize rows of floats symmetrically and back, as quantize.round_trip."""
    top, out, group = 2 ** (bits - 1) - 1, array.array("f"), group or columns
    for begin in range(0, len(values), group):
        part = values[begin:begin + group]
        scale = array.array("f", [max(map(abs, part)) / top])[0] or 1.0
        out.extend(round(value / scale) * scale for value in part)
    return out


def quantized_folder(folder, name, target):
    """Write a copy of a model folder whose matrices went through a format, as float32."""
    shutil.copytree(folder, target)
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    tensors, parts, at = {}, [], 0
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        words = array.array("I", (word << 16 for word in array.array("H", body[begin:end])))
        values = array.array("f", words.tobytes())
        if len(entry["shape"]) == 2:
            values = round_trip(values, entry["shape"][1], *FORMAT_BITS[name])
        parts.append(values.tobytes())
        tensors[tensor] = {"dtype": "F32", "shape": entry["shape"], "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(target, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/inferneo"), help="the server")
    parser.add_argument("--model", default=str(ROOT / "models/starter"), help="model folder")
    parser.add_argument("--draft", help="folder of the draft model")
    parser.add_argument("--prompts", default=str(ROOT / "tests/starter/eval_prompts.jsonl"))
    parser.add_argument("--out", help="JSON report to write")
    parser.add_argument("--answers", help="JSON lines of all answers to write")
    parser.add_argument("--no-losses", action="store_true", help="leave out the losses of the weight formats")
    args = parser.parse_args()
    tokenizer = Tokenizer.load(os.path.join(args.model, "tokenizer.json"))
    with open(args.prompts, encoding="utf-8") as file:
        prompts = [json.loads(line) for line in file]
    with tempfile.TemporaryDirectory() as work:
        models = {"target": args.model}
        if args.draft:
            models["draft"] = args.draft
        formats = [] if args.no_losses else list(LOSS_GATES)
        for name in formats:
            models[name] = quantized_folder(args.model, name, os.path.join(work, name))
        with Served(args.program, models) as server:
            results = judge(prompts, answers(server, "target", prompts))
            kinds, gates = answer_gates(results)
            rows = held_out(tokenizer, LOSS_DOCUMENTS)
            losses = {"bf16": assistant_loss(server, "target", rows)}
            losses.update((name, assistant_loss(server, name, rows)) for name in formats)
            gates.update(loss_gates(losses))
            if args.draft:
                gates.update(draft_gate(same_as_draft(server, "draft", tokenizer, results)))
    report = {"model": os.path.basename(os.path.normpath(args.model)), "kinds": kinds, "gates": gates,
              "assistant_loss": losses}
    write_report(report, results, args.out, args.answers)
    sys.exit(0 if all(gate["passed"] for gate in gates.values()) else 1)


if __name__ == "__main__":
    main()
