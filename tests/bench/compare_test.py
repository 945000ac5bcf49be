"""bench/compare end to end on a tiny model without llama.cpp: every kind of row is measured, and
what is missing is said."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ["BENCH_BUILD_DIR"]


def compare(*arguments):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "compare"), "--no-build", "--build", BUILD,
         "--patience", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=250)


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_measures_every_kind_of_row_without_a_peer(self):
        empty = self.path("empty")
        os.mkdir(empty)
        done = compare("--smoke", "--peer", empty, "--server-root", empty, "--models",
                       self.path("models"), "--json", self.path("result.json"), "--chart",
                       self.path("chart.svg"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("llama.cpp is not here", done.stderr)
        self.assertIn("llama-server is not here", done.stderr)
        with open(self.path("result.json")) as result:
            document = json.load(result)
        rows = {row["id"]: row for row in document["rows"]}
        self.assertIsNone(document["peer"])
        for identity in ("prefill-64-tiny-bf16", "decode-1-tiny-bf16", "decode-4-tiny-bf16",
                         "host-tiny-bf16", "taken-tiny-bf16", "start-tiny-bf16", "memory-tiny-bf16",
                         "serve-2-tiny-bf16", "serve-2-tiny-bf16-ttft"):
            self.assertGreater(rows[identity]["ours"]["median"], 0, identity)
            self.assertNotIn("theirs", rows[identity])
        self.assertGreater(rows["decode-1-tiny-bf16"]["ceilings"]["read_bytes_per_s"], 0)
        self.assertEqual(rows["decode-1-tiny-bf16"]["shares"]["ours"]["ceiling"], "read")
        xml.dom.minidom.parse(self.path("chart.svg"))

        done = compare("--smoke", "--part", "engine", "--peer", "none", "--models",
                       self.path("models"), "--only", "decode-4*", "--into",
                       self.path("result.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(self.path("result.json")) as result:
            merged = {row["id"]: row for row in json.load(result)["rows"]}
        self.assertEqual(list(merged), list(rows))
        self.assertNotEqual(merged["decode-4-tiny-bf16"], rows["decode-4-tiny-bf16"])
        self.assertEqual(merged["decode-1-tiny-bf16"], rows["decode-1-tiny-bf16"])

        again = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bench", "compare_baselines"),
             self.path("result.json"), self.path("result.json")],
            stdout=subprocess.PIPE, text=True)
        self.assertEqual(again.returncode, 0)
        self.assertIn("1.00", again.stdout)
        self.assertNotIn("only in", again.stdout)

    def test_a_program_that_cannot_load_the_model_is_quoted(self):
        models = self.path("models")
        os.mkdir(models)
        sizes = {"type": "bf16", "vocab": 1024}
        with open(os.path.join(models, "tiny-bf16.gguf"), "wb") as broken:
            broken.write(b"GGUF but not really")
        with open(os.path.join(models, "tiny-bf16.gguf.json"), "w") as out:
            json.dump(sizes, out)
        done = compare("--smoke", "--part", "engine", "--peer", "none", "--models", models)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tiny-bf16.gguf", done.stderr)


if __name__ == "__main__":
    unittest.main()
