#!/usr/bin/env python3
"""Collects English text from the documentation that a Debian machine has: HTML and Markdown pages,
manual pages and plain text under the given folders. All of it goes to OUT/train.txt, and pieces of
32 KiB from all over it to OUT/bench.txt (--bench-size bytes in all).

    python3 bench/tokenizer/make_corpus.py OUT FOLDER...
"""
import argparse
import gzip
import hashlib
import html
import pathlib
import re

TEXT = {".txt", ".md", ".rst", ".pod"}
MANUAL = re.compile(r"\.[1-8][a-z]*(\.gz)?$")
BLOCK = re.compile(r"<(script|style|pre|nav)\b.*?</\1>", re.S | re.I)
PIECE_SIZE = 32 * 1024
TAG = re.compile(r"<[^>]*>")


def read(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", "ignore").replace("\r\n", "\n").replace("\0", "")


def prose_of_html(text):
    text = html.unescape(TAG.sub("", BLOCK.sub("", text)))
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def prose_of_manual(text):
    """Running text of a manual page: lines of macros keep their words, escapes go."""
    lines = []
    for line in text.split("\n"):
        if line.startswith(('.\\"', "'\\\"", ".de", ".if", ".ie", ".el", ".nr", ".ds", ".TH", "'")):
            continue
        if line.startswith("."):
            line = line.partition(" ")[2].replace('"', "")
        line = re.sub(r"\\f(\[[^\]]*\]|\(..|.)", "", line)
        line = re.sub(r"\\\((.)(.)|\\\*\[[^\]]*\]|\\[&/,|^cp]", "", line)
        lines.append(line.replace("\\-", "-").replace("\\e", "\\"))
    return "\n".join(lines)


def is_english(text):
    """Enough of the commonest words, and few characters beyond ASCII."""
    if len(text) < 2000 or sum(not c.isascii() for c in text) > len(text) // 50:
        return False
    words = re.findall(r"[a-z]+", text[:20000].lower())
    common = sum(word in {"the", "of", "to", "and", "a", "is", "in", "for", "be", "that"} for word in words)
    return len(words) > 200 and common > len(words) / 8


def texts(folders):
    seen = set()
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            name = path.name
            try:
                if name.startswith("gcloud") or path.is_symlink() or not path.is_file() or path.stat().st_size > 4 << 20:
                    continue
                if path.suffix in (".html", ".htm"):
                    text = prose_of_html(read(path))
                elif MANUAL.search(name):
                    text = prose_of_manual(read(path))
                elif path.suffix in TEXT or name.startswith(("README", "NEWS", "copyright")):
                    text = read(path)
                else:
                    continue
            except (OSError, EOFError, gzip.BadGzipFile):
                continue
            digest = hashlib.sha256(text.encode()).digest()
            if digest in seen or not is_english(text):
                continue
            seen.add(digest)
            yield text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--bench-size", type=int, default=8 << 20)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    everything = "\n".join(texts(arguments.folders))
    (arguments.out / "train.txt").write_text(everything)
    pieces = max(1, arguments.bench_size // PIECE_SIZE)
    step = max(PIECE_SIZE, len(everything) // pieces)
    bench = "\n".join(everything[at:at + PIECE_SIZE] for at in range(0, len(everything), step))
    (arguments.out / "bench.txt").write_text(bench)
    print("bench", len(bench), "train", len(everything))


if __name__ == "__main__":
    main()
