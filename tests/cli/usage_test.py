"""Help, wrong verbs, flags, keys and values, precedence, generated references, doctor."""
import json
import pathlib
import tempfile
import unittest

from program import ROOT, STARTER, inferneo

VERBS = ["serve", "run", "chat", "tokenize", "render", "inspect", "bench", "doctor", "version"]


class Help(unittest.TestCase):
    def test_every_verb_is_listed_and_explains_itself(self):
        top = inferneo("--help")
        self.assertEqual(top.returncode, 0)
        for verb in VERBS:
            self.assertIn(f"  {verb} ", top.stdout)
            own = inferneo(verb, "--help")
            self.assertEqual(own.returncode, 0, own.stderr)
            self.assertIn("Usage: inferneo " + verb, own.stdout)
            if verb != "version":
                self.assertIn("Examples:", own.stdout)

    def test_flags_show_default_and_unit(self):
        text = " ".join(inferneo("serve", "--help").stdout.split())
        self.assertIn("--kv-cache-mib", text)
        self.assertIn("(default 0 MiB)", text)
        self.assertIn("(default 8000)", text)
        self.assertIn("(default 30 s)", text)

    def test_no_verb_is_a_usage_error_with_help(self):
        done = inferneo()
        self.assertEqual(done.returncode, 2)
        self.assertIn("Examples:", done.stderr)

    def test_version(self):
        self.assertRegex(inferneo("version").stdout, r"^inferneo \d+\.\d+\.\d+\n")
        for flag in ("--version", "-V"):
            done = inferneo(flag)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^inferneo \d+\.\d+\.\d+\n$")

    def test_help_is_a_verb_too(self):
        self.assertEqual(inferneo("help").stdout, inferneo("--help").stdout)
        for words in (["serve"], ["models", "register"]):
            done = inferneo("help", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, inferneo(*words, "--help").stdout)

    def test_flags_are_shown_as_they_are_written(self):
        for verb in VERBS:
            text = inferneo(verb, "--help").stdout
            for noise in ("{true}", "{false}", "FLOAT:", "INT:", "2147483647"):
                self.assertNotIn(noise, text, verb)


class Wrong(unittest.TestCase):
    def refused(self, done, *parts):
        self.assertEqual(done.returncode, 2, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_verb(self):
        self.refused(inferneo("serv"), "'serv'", "did you mean 'serve'?")
        self.refused(inferneo("xyzzy"), "inferneo --help")
        self.refused(inferneo("models", "lst"), "'lst'", "did you mean 'list'?")
        self.refused(inferneo("models", "xyzzy"), "'xyzzy'", "inferneo models --help")
        self.refused(inferneo("models"), "needs a verb", "inferneo models --help")

    def test_flag(self):
        self.refused(inferneo("serve", "--kv-cache-mb", "5"), "--kv-cache-mb", "--kv-cache-mib")
        self.refused(inferneo("run", STARTER, "--temprature=1"), "--temprature", "--temperature")
        self.refused(inferneo("run", STARTER, "--temp", "1"), "--temp", "--temperature")
        self.refused(inferneo("--prot", "1"), "'--prot'")
        self.refused(inferneo("tokenize"), "MODEL")
        self.refused(inferneo("inspect"), "no model")

    def test_flag_value(self):
        done = inferneo("serve", STARTER, "--port", "http", "--check-config")
        self.refused(done, "--port", "'http'", "0 .. 65535")
        done = inferneo("serve", STARTER, "--dtype", "bf17", "--check-config")
        self.refused(done, "auto, f32 or bf16", "did you mean 'bf16'?")

    def test_number(self):
        for flag, value, part in (("--temperature", "3", "0 to 2"), ("--temperature", "warm", "0 to 2"),
                                  ("--repetition-penalty", "0", "at most 10"),
                                  ("--max-tokens", "0", "1 or more"), ("--top-k", "1.5", "0 or more")):
            done = inferneo("run", STARTER, "x", flag, value)
            self.refused(done, flag, f"'{value}'", part)

    def test_a_flag_is_named_once(self):
        done = inferneo("serve", STARTER, "--dtype", "bf17", "--check-config")
        self.assertEqual(done.stderr.count("dtype"), 1, done.stderr)

    def test_settings_that_only_a_start_would_find(self):
        for flags, parts in ((["--watch-models", "/none/here"], ["watch_models", "'/none/here'"]),
                             (["--model-root", "/none/here"], ["model_root", "'/none/here'"]),
                             (["--version-policy", "newest"], ["version_policy", "'newest'"]),
                             (["--tool-format", "other=hermes"], ["tool_format", "'other'"]),
                             (["--reasoning-format", "other=think"], ["reasoning_format", "'other'"]),
                             (["--isa", "avx9"], ["avx9", "reference"])):
            with self.subTest(flags[0]):
                self.refused(inferneo("serve", STARTER, "--check-config", *flags), *parts)

    def test_the_address_of_a_server_is_a_variable_of_its_own(self):
        env = {"INFERNEO_ADDRESS": "http://127.0.0.1:1"}
        done = inferneo("ps", env=env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("127.0.0.1:1", done.stderr)
        self.assertEqual(inferneo("serve", STARTER, "--check-config", env=env).returncode, 0)

    def test_variable(self):
        done = inferneo("serve", STARTER, env={"INFERNEO_PROT": "1"})
        self.refused(done, "INFERNEO_PROT", "did you mean 'port'?")
        done = inferneo("serve", STARTER, env={"INFERNEO_THREADS": "two"})
        self.refused(done, "INFERNEO_THREADS", "'two'", "0 .. 1024")

    def test_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("port: 80\nkv_cach_mib: 5\n")
            file.flush()
            done = inferneo("serve", STARTER, "--config", file.name)
            self.refused(done, f"{file.name}:2", "kv_cache_mib")
        self.refused(inferneo("serve", "--config", "/none.yaml"), "/none.yaml")

    def test_instruction_set(self):
        done = inferneo("serve", STARTER, "--isa", "avx9", "--check-config")
        self.assertIn(done.returncode, (1, 2))
        self.assertIn("avx9", done.stderr)
        self.assertIn("reference", done.stderr)

    def test_no_model(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"XDG_STATE_HOME": folder}
            self.refused(inferneo("serve", env=env), "no model")
            inferneo("models", "list", "--catalog", f"{folder}/inferneo/catalog.db", env=env)
            self.refused(inferneo("serve", env=env), "no model")  # with an empty catalog

    def test_missing_model(self):
        self.refused(inferneo("serve", "/none/llama"), "/none/llama does not exist", "config.json")

    def test_open_address_needs_a_word(self):
        done = inferneo("serve", STARTER, "--host", "0.0.0.0", "--check-config")
        self.refused(done, "0.0.0.0", "--allow-unauthenticated")
        done = inferneo("serve", STARTER, "--host", "0.0.0.0", "--allow-unauthenticated",
                        "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)


class Settings(unittest.TestCase):
    def settings(self, *arguments, env=None):
        done = inferneo("serve", STARTER, "--check-config", *arguments, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    def test_flags_win_over_variables_over_file(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "inferneo.yaml"
            file.write_text("port: 1\nthreads: 1\nio_threads: 3\nprefix_cache: false\n")
            env = {"INFERNEO_PORT": "2", "INFERNEO_THREADS": "2"}
            found = self.settings("--config", str(file), "--port", "3", env=env)
            self.assertEqual((found["port"], found["threads"], found["io_threads"]), ("3", "2", "3"))
            self.assertEqual(found["prefix_cache"], "false")
            found = self.settings(env={"INFERNEO_CONFIG": str(file)})
            self.assertEqual(found["port"], "1")

    def test_a_flag_may_be_written_like_its_key(self):
        self.assertEqual(self.settings("--kv_cache_mib", "7")["kv_cache_mib"], "7")
        self.assertEqual(self.settings("--kv_cache_mib=7")["kv_cache_mib"], "7")

    def test_switches(self):
        self.assertEqual(self.settings()["prefix_cache"], "true")
        self.assertEqual(self.settings("--no-prefix-cache")["prefix_cache"], "false")

    def test_the_printed_settings_are_a_valid_file(self):
        text = inferneo("serve", STARTER, "--check-config", "--port", "81").stdout
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            again = inferneo("serve", "--config", file.name, "--check-config")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout, text)


class References(unittest.TestCase):
    def test_docs_are_what_the_program_prints(self):
        for topic, name in [("architectures", "architectures"), ("config", "configuration"),
                            ("endpoints", "endpoints"), ("metrics", "metrics")]:
            with self.subTest(name):
                written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
                self.assertEqual(written, inferneo("docs", topic).stdout,
                                 f"run: inferneo docs {topic} > docs/{name}.md")

    def test_an_unknown_topic_is_refused(self):
        self.assertEqual(inferneo("docs", "weather").returncode, 2)


class Doctor(unittest.TestCase):
    def test_text_and_json_agree(self):
        text = inferneo("doctor")
        self.assertEqual(text.returncode, 0)
        found = json.loads(inferneo("doctor", "--json").stdout)
        self.assertEqual(found["instruction_sets"][0], "reference")
        self.assertGreaterEqual(found["cpus_usable"], 1)
        self.assertGreater(found["memory_bytes"], 0)
        for name in found["instruction_sets"]:
            self.assertIn(name, text.stdout)


if __name__ == "__main__":
    unittest.main()
