#!/usr/bin/env python3
"""Encodes one text with one vocabulary by several tokenizers, on one thread each, and prints MB/s.

    python3 bench/tokenizer/compare.py FOLDER --bench build/release/bench/micro/tokenizer_bench \\
        [--node FOLDER_OF_NODE_MODULES] [--python "python3 with tokenizers"] [--llama llama-tokenize]

FOLDER holds what make_corpus.py and train_128k.py wrote: bench.txt, tokenizer.json, ranks.tiktoken,
vocab.gguf. Cold is the first time that a tokenizer sees the text, warm the best of two more, in
processor time, so that what else the machine does counts little; the peers take turns with our own.
"""
import argparse
import json
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import time

NODE = """
const {createRequire} = require('node:module');
const {readFileSync} = require('node:fs');
const [modules, folder, pattern] = process.argv.slice(1);
const {Tiktoken} = createRequire(modules + '/')('tiktoken');
const ranks = '! 0 ' + readFileSync(folder + '/ranks.tiktoken', 'utf8').trim().split('\\n')
  .map((line) => line.split(' ')[0]).join(' ');
const tokenizer = new Tiktoken(ranks, {}, pattern);
const text = readFileSync(folder + '/bench.txt', 'utf8');
const times = [];
let count = 0;
for (let i = 0; i < 3; ++i) {
  const start = process.cpuUsage();
  count = tokenizer.encode(text, [], []).length;
  const used = process.cpuUsage(start);
  times.push((used.user + used.system) / 1e6);
}
console.log(JSON.stringify({times, count}));
"""


def child(folder):
    """Runs in a process of its own, with the Python that has Hugging Face tokenizers."""
    from tokenizers import Tokenizer
    text = (folder / "bench.txt").read_text()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    times = []
    for _ in range(3):
        start = time.process_time()
        count = len(tokenizer.encode(text).ids)
        times.append(time.process_time() - start)
    print(json.dumps({"times": times, "count": count}))


def ours(bench, folder):
    environment = {**os.environ, "INFERNEO_BENCH_TOKENIZER": str(folder),
                   "INFERNEO_BENCH_TEXT": str(folder / "bench.txt")}
    answer = subprocess.run(
        [bench, "--benchmark_filter=^(encode|encode_cold)$", "--benchmark_format=json",
         "--benchmark_min_time=0.5"], env=environment, check=True, capture_output=True)
    rows = {row["name"]: row for row in json.loads(answer.stdout)["benchmarks"]}
    size = (folder / "bench.txt").stat().st_size / 1e6
    return size / (rows["encode_cold"]["cpu_time"] / 1e9), size / (rows["encode"]["cpu_time"] / 1e9)


def peer(command, size):
    answer = subprocess.run(command, check=True, capture_output=True,
                            env={**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})
    times = json.loads(answer.stdout)["times"]
    return size / times[0], size / min(times[1:])


def llama(program, folder, there, size):
    """llama-tokenize once on the whole text and once on nothing: the difference is the text's."""
    def seconds(text):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*program, "-m", there + "/vocab.gguf", "-f", there + "/" + text, "--ids",
                        "--log-disable"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    (folder / "empty.txt").write_text("a")
    rate = size / (seconds("bench.txt") - seconds("empty.txt"))
    return rate, rate


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bench", default="build/release/bench/micro/tokenizer_bench")
    parser.add_argument("--node")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--python-folder", help="FOLDER as the peers see it")
    parser.add_argument("--llama")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.folder)
    size = (arguments.folder / "bench.txt").stat().st_size / 1e6
    pattern = json.loads((arguments.folder / "tokenizer.json").read_text())[
        "pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    runs = {"inferneo": lambda: ours(arguments.bench, arguments.folder)}
    there = arguments.python_folder or str(arguments.folder)
    runs["tokenizers"] = lambda: peer([*shlex.split(arguments.python), "-c",
                                       pathlib.Path(__file__).read_text(), there, "--child", "hf"], size)
    if arguments.node:
        runs["tiktoken wasm"] = lambda: peer(
            ["node", "-e", NODE, arguments.node, str(arguments.folder), pattern], size)
    if arguments.llama:
        runs["llama.cpp"] = lambda: llama(shlex.split(arguments.llama), arguments.folder, there, size)
    best = {name: (0.0, 0.0) for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            cold, warm = run()
            best[name] = (max(best[name][0], cold), max(best[name][1], warm))
    print(f"{size:.1f} MB of text")
    for name, (cold, warm) in best.items():
        print(f"{name:15} cold {cold:7.1f} MB/s   warm {warm:7.1f} MB/s")


if __name__ == "__main__":
    main()
