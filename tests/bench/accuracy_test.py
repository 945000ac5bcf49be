"""bench/accuracy end to end on one paragraph without llama.cpp, and the programs it drives."""

import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ["BENCH_BUILD_DIR"]
sys.path.insert(0, os.path.join(ROOT, "bench", "driver"))

from line_process import LineProcess, LineProcessError  # noqa: E402


def accuracy(*arguments):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "accuracy"), "--no-build", "--build", BUILD,
         "--peer", "none", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=250)


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *command):
        process = LineProcess("program", command, self.path("log"))
        self.addCleanup(process.close)
        return process


class CommandTest(InFolder):
    def test_measures_types_without_a_peer(self):
        done = accuracy("--types", "f32,q8_0", "--isa", "none", "--paragraphs", "1", "--json",
                        self.path("result.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(self.path("result.json")) as result:
            document = json.load(result)
        self.assertIsNone(document["peer"])
        self.assertEqual([row["type"] for row in document["rows"]], ["f32", "q8_0"])
        wide, narrow = document["rows"]
        for row in document["rows"]:
            self.assertEqual(row["positions"], document["positions"])
            self.assertNotIn("ratios", row)
            self.assertTrue(1 < row["perplexity"] < 3, row)
            self.assertAlmostEqual(row["perplexity"], row["reference_perplexity"], delta=0.02)
            self.assertGreater(row["same_best"], 0.9)
        # The reference is the file's own numbers: rounding them to 8 bits is no error of ours.
        self.assertNotEqual(wide["reference_perplexity"], narrow["reference_perplexity"])
        self.assertLess(wide["relative_error"], 0.01)
        self.assertTrue(0 < narrow["relative_error"] < 0.05, narrow)

    def test_an_unknown_type_is_named_with_those_there_are(self):
        done = accuracy("--types", "q9_0", "--isa", "none", "--paragraphs", "1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no type 'q9_0'", done.stderr)
        self.assertIn("q4_k", done.stderr)


class DistanceTest(InFolder):
    def floats(self, name, *values):
        with open(self.path(name), "wb") as file:
            file.write(struct.pack(f"<{len(values)}f", *values))
        return self.path(name)

    def test_sums_are_those_of_the_definition(self):
        wanted = self.floats("wanted", 0, 0, 0, 2)
        found = self.floats("found", math.log(3), 0, 0, 2)
        sums = self.start(f"{BUILD}/bench/logit_distance").ask(f"{wanted} {found} 0 1")
        self.assertAlmostEqual(sums["squared_difference"], math.log(3) ** 2, places=6)
        self.assertEqual(sums["squared_reference"], 4)
        divergence = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
        self.assertAlmostEqual(sums["divergences"][0], divergence, places=6)
        self.assertAlmostEqual(sums["divergences"][1], 0, places=9)
        # Only the second token follows another; the reference gives it a half, the found a quarter.
        self.assertEqual(sums["predicted"], 1)
        self.assertAlmostEqual(sums["reference_loss"], math.log(2), places=6)
        self.assertAlmostEqual(sums["loss"], math.log(4), places=6)
        self.assertEqual(sums["same_best"], 2)

    def test_what_is_wrong_with_files_is_said(self):
        two = self.floats("two", 0, 0)
        four = self.floats("four", 0, 0, 0, 0)
        broken = self.floats("broken", 0, math.nan)
        distance = self.start(f"{BUILD}/bench/logit_distance")
        for line, words in ((f"{two} {four} 0", "different numbers"), (f"{two} {two} 2", "no logit"),
                            (f"{two} {two} 0 1 0", "no whole rows"), (two, "a line is"),
                            (f"{two} {broken} 0", "not finite"),
                            (f"{two} {self.path('none')} 0", "cannot be read")):
            with self.assertRaisesRegex(LineProcessError, words):
                distance.ask(line)


class MeasureTest(InFolder):
    def test_logits_are_written_or_the_reason_is_said(self):
        program = self.start(f"{BUILD}/inferneo", "bench", "--measure", "--model",
                             f"{ROOT}/models/starter", "--threads", "1")
        out = self.path("logits")
        self.assertEqual(program.ask(f"logits {out} 5 6 7"), {"positions": 3})
        self.assertEqual(os.path.getsize(out), 3 * 4096 * 4)
        missing = os.path.join(self.folder, "none", "logits")
        for line, words in ((f"logits {out}", "a line is one of"),
                            (f"logits {out} 5 x", "a line is one of"),
                            (f"logits {out} 4096", "outside the vocabulary"),
                            (f"logits {missing} 5", "none")):
            with self.assertRaisesRegex(LineProcessError, words):
                program.ask(line)


if __name__ == "__main__":
    unittest.main()
