"""Models in GGUF files, made here from the starter model, answer like the starter model itself."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from server import ROOT, STARTER, Server

sys.path.insert(0, str(ROOT / "tools"))
import make_gguf  # noqa: E402

PROGRAM = os.environ["INFERNEO_PROGRAM"]
FIXTURES = ROOT / "tests" / "starter"
PROMPTS = [json.loads(line) for line in (FIXTURES / "starter-logits.jsonl").read_text().splitlines()][:6]


def inferneo(*arguments, stdin=""):
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, text=True,
                          capture_output=True, timeout=120)


def complete(server, model, fixture):
    body = {"model": model, "prompt": fixture["ids"], "max_tokens": 40, "temperature": 0,
            "ignore_eos": True, "skip_special_tokens": False}
    reply = server.request("POST", "/v1/completions", body)
    assert reply.status == 200, reply.body
    return reply.json()["choices"][0]["text"]


class Gguf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="inferneo-gguf-"))
        for kind in ("bf16", "f32", "q8_0"):
            make_gguf.convert(STARTER, cls.folder / f"{kind}.gguf", kind, name=f"Starter {kind}")
        make_gguf.convert(STARTER, cls.folder / "parts.gguf", "bf16", shards=3)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def path(self, name):
        return str(self.folder / name)

    def test_served_files_answer_like_the_directory(self):
        # bf16 in its directory, in one file, in shards, and as the same numbers in f32.
        models = (str(STARTER), self.path("bf16.gguf"),
                  "parts=" + self.path("parts-00001-of-00003.gguf"), "wide=" + self.path("f32.gguf"))
        with Server("--dtype", "f32", models=models) as server:
            for fixture in PROMPTS:
                wanted = complete(server, "starter", fixture)
                for model in ("Starter-bf16", "parts", "wide"):
                    self.assertEqual(complete(server, model, fixture), wanted, model)

    def test_quantised_file_follows_the_original_for_most_tokens(self):
        with Server(models=(str(STARTER), "q8=" + self.path("q8_0.gguf"))) as server:
            same = 0
            for fixture in PROMPTS:
                wanted, found = (complete(server, model, fixture) for model in ("starter", "q8"))
                common = os.path.commonprefix([wanted, found])
                same += len(common) / len(wanted)
        # Greedy text parts for good at the first near-tie, so only the common beginning counts.
        self.assertGreater(same / len(PROMPTS), 0.5)

    def test_chat_uses_the_template_inside(self):
        question = {"messages": [{"role": "user", "content": "Tell me a story about a dog."}],
                    "temperature": 0, "max_tokens": 60}
        with Server("--dtype", "f32", models=(str(STARTER), "g=" + self.path("bf16.gguf"))) as server:
            answers = [server.request("POST", "/v1/chat/completions", {**question, "model": model})
                       for model in ("starter", "g")]
        texts = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
        self.assertEqual(texts[0], texts[1])
        self.assertGreater(len(texts[0]), 40)

    def test_tokens_and_templates_equal_those_of_the_directory(self):
        cases = [json.loads(line)["text"]
                 for line in (FIXTURES / "tokenizer_cases.jsonl").read_text().splitlines()]
        lines = "\n".join(json.dumps(text) for text in cases) + "\n"
        rows = [inferneo("tokenize", model, "--jsonl", stdin=lines).stdout
                for model in (STARTER, self.path("bf16.gguf"))]
        self.assertEqual(rows[0], rows[1])
        self.assertEqual(len(rows[0].splitlines()), len(cases))
        chat = json.dumps([{"role": "user", "content": "Hi"}]) + "\n"
        texts = [inferneo("render", model, stdin=chat).stdout
                 for model in (STARTER, self.path("parts-00002-of-00003.gguf"))]
        self.assertEqual(texts[0], texts[1])
        self.assertIn("<|im_start|>", texts[0])

    def test_run_and_inspect_take_a_file(self):
        answer = inferneo("run", self.path("bf16.gguf"), "Tell me a story.", "--max-tokens", "20")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(answer.stdout, inferneo("run", STARTER, "Tell me a story.",
                                                 "--max-tokens", "20").stdout)
        facts = json.loads(inferneo("inspect", self.path("q8_0.gguf"), "--json").stdout)
        self.assertEqual((facts["format"], facts["name"], facts["weight_dtype"]),
                         ("gguf", "Starter-q8_0", "q8_0"))
        self.assertEqual(facts["tokenizer"]["vocab_size"], 4096)
        self.assertEqual(facts["chat_template"], "yes")

    def test_a_directory_of_one_file_is_enough(self):
        alone = self.folder / "alone"
        alone.mkdir()
        shutil.copy(self.path("bf16.gguf"), alone / "model.gguf")
        self.assertEqual(inferneo("tokenize", alone, "Hello").returncode, 0)
        several = inferneo("tokenize", self.folder, "Hello")
        self.assertEqual(several.returncode, 1)
        self.assertIn("holds 4 GGUF files: bf16.gguf, f32.gguf, parts-00001-of-00003.gguf",
                      several.stderr)

    def refusal(self, name, change):
        """What `run` says of the bf16 file after a change of its bytes."""
        data = pathlib.Path(self.path("bf16.gguf")).read_bytes()
        path = self.folder / "bad" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(change(data))
        answer = inferneo("run", path, "Hi")
        self.assertEqual(answer.returncode, 1, answer.stdout)
        return answer.stderr

    def test_bad_files_are_refused_with_a_reason(self):
        self.assertIn("architecture glama is not supported; supported: ",
                      self.refusal("arch.gguf", lambda d: d.replace(b"llama", b"glama", 1)))
        self.assertIn("tokenizer.ggml.pre is 'smallm', which is not supported",
                      self.refusal("pre.gguf", lambda d: d.replace(b"smollm", b"smallm")))
        self.assertIn("llama.block_count is missing",
                      self.refusal("key.gguf", lambda d: d.replace(b"block_count", b"block_caunt")))
        self.assertIn("\"blk.7.ffn_up.weight\"", self.refusal("weight.gguf", lambda d: d.replace(
            b"blk.7.ffn_up.", b"blk.9.ffn_up.")))
        broken = self.refusal("template.gguf", lambda d: d.replace(b"{%- if tools %}", b"{%- iff tool %}"))
        self.assertIn("tokenizer.chat_template", broken)
        self.assertIn("line 1", broken)
        self.refusal("short.gguf", lambda d: d[:len(d) // 2])

    def test_a_missing_shard_is_named(self):
        lonely = self.folder / "lonely"
        lonely.mkdir()
        shutil.copy(self.path("parts-00001-of-00003.gguf"), lonely)
        answer = inferneo("run", lonely / "parts-00001-of-00003.gguf", "Hi")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("parts-00002-of-00003.gguf", answer.stderr)


if __name__ == "__main__":
    unittest.main()
