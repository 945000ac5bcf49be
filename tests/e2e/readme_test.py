"""Every example of the README is carried out: requests against a server with the starter model,
commands that name other models with the starter model in their place."""
import json
import os
import re
import shlex
import subprocess
import unittest

from server import ROOT, STARTER, Server

PROGRAM = os.environ["INFERNEO_PROGRAM"]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands():
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip()
            if line and not line.startswith("#"):
                yield shlex.split(line, comments=True)


def shape(value):
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value).__name__


class Readme(unittest.TestCase):
    def test_requests(self):
        with Server() as server:
            answers = []
            for words in commands():
                if words[0] != "curl":
                    continue
                words = [word.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}") for word in words]
                done = subprocess.run([*words, "-sS", "-w", "\n%{http_code}"], capture_output=True,
                                      text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                body, _, status = done.stdout.rpartition("\n")
                self.assertEqual(status, "200", (words, body))
                answers.append(body)
            self.assertGreaterEqual(len(answers), 6)
            shown = json.loads(blocks("json")[0])
            first = json.loads(answers[0])
            self.assertEqual(shape(first), shape(shown))
            self.assertEqual(first["choices"], shown["choices"])

    def test_commands(self):
        seen = set()
        for words in commands():
            if words[0] == "curl":
                continue
            script = ROOT / words[0]
            self.assertTrue(os.access(script, os.X_OK), script)
            seen.add(words[0])
            if words[0] != "./run" or "--build-only" in words:
                continue
            arguments = [re.sub(r"/models/\S+", str(STARTER), word) for word in words[1:]]
            done = subprocess.run([PROGRAM, "serve", *(arguments or [str(STARTER)]), "--check-config"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, (words, done.stderr))
        self.assertEqual(seen, {"./run", "./test"})

    def test_verbs(self):
        overview = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=60).stdout
        rows = re.findall(r"^\| (`.*?`) \|", README[README.index("## The program"):], re.M)
        verbs = [name.split()[0] for row in rows for name in re.findall(r"`([^`]+)`", row)]
        self.assertIn("run-batch", verbs)
        for verb in verbs:
            self.assertIn(verb, overview)
            done = subprocess.run([PROGRAM, verb, "--help"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
