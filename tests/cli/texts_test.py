"""tokenize, render, inspect, run and chat on the starter model."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from program import STARTER, fixture_lines, inferneo, json_lines


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="inferneo_cli_"))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def with_files(self, *names):
        for name in names:
            shutil.copy(STARTER / name, self.folder / name)
        return self.folder


class Tokenize(Folder):
    def test_ids_of_every_fixture_with_only_a_tokenizer(self):
        cases = fixture_lines("tokenizer_cases.jsonl")
        model = self.with_files("tokenizer.json")
        lines = "".join(json.dumps({"text": case["text"]}) + "\n" for case in cases)
        done = inferneo("tokenize", model, "--jsonl", "--no-special-tokens", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = json_lines(done.stdout)
        self.assertEqual(len(answers), len(cases))
        for case, answer in zip(cases, answers):
            self.assertEqual(answer["ids"], case["ids"], case["text"])

        lines = "".join(json.dumps(case["ids"]) + "\n" for case in cases)
        done = inferneo("tokenize", model, "--jsonl", "--decode", "--skip-special-tokens",
                        stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        for case, answer in zip(cases, json_lines(done.stdout)):
            self.assertEqual(answer["text"], case["skip_special"], case["text"])

    def test_text_as_argument_or_stdin(self):
        by_argument = inferneo("tokenize", STARTER, "Hello there").stdout
        by_stdin = inferneo("tokenize", STARTER, stdin="Hello there").stdout
        self.assertEqual(by_argument, by_stdin)
        back = inferneo("tokenize", STARTER, "--decode", by_argument.strip())
        self.assertEqual(back.stdout, "Hello there\n")

    def test_a_bad_line_is_answered_in_its_place(self):
        lines = '"a"\n{"text": 5}\n\n"b\n["x"]\n"c"\n'
        done = inferneo("tokenize", STARTER, "--jsonl", stdin=lines)
        self.assertEqual(done.returncode, 1)
        answers = json_lines(done.stdout)
        self.assertEqual(["ids" in answer for answer in answers], [True, False, False, False, True])
        self.assertEqual([a["line"] for a in answers if "error" in a], [2, 4, 5])

    def test_ids_out_of_range(self):
        done = inferneo("tokenize", STARTER, "--decode", "1 99999")
        self.assertEqual(done.returncode, 1)
        self.assertIn("99999", done.stderr)
        done = inferneo("tokenize", STARTER, "--decode", "1 two")
        self.assertEqual(done.returncode, 1)
        self.assertIn("'two' is no token id", done.stderr)
        done = inferneo("tokenize", STARTER, "--jsonl", "text")
        self.assertEqual(done.returncode, 2)
        self.assertIn("TEXT", done.stderr)
        done = inferneo("tokenize", STARTER, "--decode", "--jsonl", stdin="[1, -1]\n[1.5]\n[7]\n")
        self.assertEqual(["error" in a for a in json_lines(done.stdout)], [True, True, False])

    def test_no_tokenizer(self):
        done = inferneo("tokenize", self.folder, "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("tokenizer.json", done.stderr)


class Render(Folder):
    def test_only_a_template_is_enough(self):
        (self.folder / "chat_template.jinja").write_text(
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}{{ colour }}")
        lines = (
            '{"messages": [{"role": "user", "content": "Hi"}]}\n'
            '[{"role": "user", "content": "Hi"}]\n'
            '{"messages": [], "add_generation_prompt": false, "colour": "red"}\n')
        done = inferneo("render", self.folder, stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([a["text"] for a in json_lines(done.stdout)],
                         ["<user>Hi<assistant>", "<user>Hi<assistant>", "red"])

    def test_starter_prompts_are_those_of_the_fixtures(self):
        file = self.folder / "messages.json"
        case = fixture_lines("starter-answers.jsonl")[0]
        file.write_text(json.dumps(case["messages"]))
        done = inferneo("render", STARTER, "--messages", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(case["messages"][-1]["content"], done.stdout)

    def test_a_bad_line_is_answered_in_its_place(self):
        done = inferneo("render", STARTER, stdin='[]\n{"mesages": []}\n{\n')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(["error" in a for a in json_lines(done.stdout)], [False, True, True])

    def test_no_template(self):
        done = inferneo("render", self.folder, stdin="[]\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("template", done.stderr)


class Inspect(Folder):
    def test_starter(self):
        found = json.loads(inferneo("inspect", STARTER, "--json").stdout)
        self.assertEqual(found["architecture"], "llama")
        self.assertEqual(found["parameters"], 7344384)
        self.assertEqual(found["shape"]["layers"], 8)
        self.assertEqual(found["shape"]["kv_heads"], 2)
        self.assertEqual(found["tokenizer"]["vocab_size"], 4096)
        self.assertEqual(found["chat_template"], "yes")
        memory = found["memory"]
        self.assertLessEqual(memory["weight_packed_bytes"], memory["weight_copy_bytes"])
        self.assertLessEqual(memory["weight_copy_bytes"], memory["weight_bytes"])
        # Too small for the packed cache.
        self.assertIn(memory["packed_from"], ["nothing", "weights"])
        text = inferneo("inspect", STARTER)
        self.assertEqual(text.returncode, 0)
        self.assertIn("7.3 million", text.stdout)

    def test_arithmetic_can_be_chosen(self):
        found = json.loads(inferneo("inspect", STARTER, "--json", "--dtype", "f32").stdout)
        self.assertEqual(found["arithmetic"], "f32")

    def test_architectures(self):
        names = [a["name"] for a in json.loads(inferneo("inspect", "--architectures", "--json").stdout)]
        self.assertIn("llama", names)

    def test_an_empty_directory_is_no_model(self):
        done = inferneo("inspect", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("config.json", done.stderr)


class Talk(Folder):
    def setUp(self):
        super().setUp()
        self.case = next(c for c in fixture_lines("starter-answers.jsonl")
                         if c["passed"] and len(c["messages"]) == 1)
        self.question = self.case["messages"][0]["content"]

    def test_run_gives_the_greedy_answer_of_the_fixture(self):
        done = inferneo("run", STARTER, self.question, "--temperature", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, self.case["answer"] + "\n")
        self.assertEqual(done.stderr, "")
        by_stdin = inferneo("run", STARTER, "--temperature", "0", stdin=self.question)
        self.assertEqual(by_stdin.stdout, done.stdout)

    def test_verbose_says_how_fast(self):
        done = inferneo("run", STARTER, self.question, "-v", "--max-tokens", "3")
        self.assertRegex(done.stderr, r"3 tokens in [\d.]+ s: first after \d+ ms")

    def test_a_seed_repeats_an_answer(self):
        one, two = (inferneo("run", STARTER, "Tell me a story.", "--temperature", "1.5", "--seed",
                             "7", "--max-tokens", "30").stdout for _ in range(2))
        self.assertEqual(one, two)

    def test_stop_text_ends_the_answer(self):
        first_word = self.case["answer"].split()[0]
        rest = self.case["answer"].split()[1]
        done = inferneo("run", STARTER, self.question, "--temperature", "0", "--stop", rest)
        self.assertEqual(done.stdout.strip(), first_word)

    def test_wrong_sampling_value(self):
        done = inferneo("run", STARTER, "x", "--temperature", "9")
        self.assertEqual(done.returncode, 2)
        self.assertIn("temperature", done.stderr)

    def test_a_prompt_beyond_the_context_is_refused(self):
        done = inferneo("run", STARTER, "--raw", stdin="dog " * 5000)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2048", done.stderr)

    def test_chat_answers_line_by_line_and_knows_its_commands(self):
        lines = f"{self.question}\n/reset\n/help\n/nothing\n{self.question}\n/exit\nnever read\n"
        done = inferneo("chat", STARTER, "--temperature", "0", stdin=lines)
        self.assertEqual(done.stdout.count(self.case["answer"]), 2)
        self.assertIn("/reset", done.stdout)
        self.assertIn("/nothing", done.stderr)
        self.assertEqual(done.returncode, 1)

    def test_chat_needs_a_template(self):
        self.with_files("config.json", "model.safetensors", "tokenizer.json")
        done = inferneo("chat", self.folder, stdin="hi\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("chat template", done.stderr)
        done = inferneo("run", self.folder, "Once", "--raw", "--max-tokens", "2")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
