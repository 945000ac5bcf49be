"""serve: start, port in use, broken models, several models, signals and draining."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from program import STARTER, inferneo
from server import Server, free_port

CHAT = "/v1/chat/completions"
LONG = {"messages": [{"role": "user", "content": "Tell me a story."}], "ignore_eos": True,
        "max_tokens": 1500, "temperature": 0}


def stream(server, body, events, started):
    """Reads a stream to its end on a thread; the last entry of `events` says how it ended."""
    try:
        for event in server.events(CHAT, body):
            events.append(event)
            started.set()
    except (OSError, ConnectionError, ValueError) as error:
        events.append(f"broken: {error}")
    started.set()


class Start(unittest.TestCase):
    def test_banner_says_what_runs_and_what_to_try(self):
        command = [os.environ["INFERNEO_PROGRAM"], "serve", str(STARTER), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as process:
            try:
                text = ""
                while "Stop with" not in text:
                    line = process.stdout.readline()
                    self.assertNotEqual(line, "", text)
                    text += line
            finally:
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(30), 0)
        self.assertRegex(text, r"http://127\.0\.0\.1:[1-9]\d*")
        for part in ("starter", "llama", "instruction set", "weights", "KV cache", "curl "):
            self.assertIn(part, text)

    def test_ready_within_two_seconds(self):
        begin = time.monotonic()
        with Server():
            self.assertLess(time.monotonic() - begin, 2)

    def test_port_in_use_is_found_before_loading(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = inferneo("serve", STARTER, "--port", port)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)
        self.assertIn(str(port), done.stderr)

    def test_a_second_instance_leaves_the_first_alone(self):
        with Server() as server:
            done = inferneo("serve", STARTER, "--port", server.port)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(server.request("GET", "/ready").status, 200)

    def test_several_models_by_name(self):
        models = (f"one={STARTER}", f"two={STARTER}-draft")
        with Server(models=models) as server:
            names = [m["id"] for m in server.request("GET", "/v1/models").json()["data"]]
            self.assertEqual(names, ["one", "two"])
            for name in names:
                body = {**LONG, "model": name, "max_tokens": 2}
                self.assertEqual(server.request("POST", CHAT, body).status, 200)

    def test_two_models_of_one_name(self):
        done = inferneo("serve", f"a={STARTER}", f"a={STARTER}-draft")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'a'", done.stderr)


class Broken(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="inferneo_cli_"))
        self.model = self.folder / "model"
        shutil.copytree(STARTER, self.model)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def refused(self, *parts):
        done = inferneo("serve", self.model, "--port", free_port())
        self.assertEqual(done.returncode, 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_missing_weights(self):
        (self.model / "model.safetensors").unlink()
        self.refused("safetensors")

    def test_cut_weights(self):
        path = self.model / "model.safetensors"
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)
        self.refused("model.safetensors")

    def test_broken_config(self):
        (self.model / "config.json").write_text("{")
        self.refused("config.json")

    def test_unknown_architecture(self):
        path = self.model / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "architectures": ["NopeForCausalLM"]}))
        self.refused("NopeForCausalLM", "LlamaForCausalLM")


class Drain(unittest.TestCase):
    def test_a_running_stream_finishes_and_the_program_exits_0(self):
        with Server() as server:
            events, started = [], threading.Event()
            reader = threading.Thread(target=stream, args=(server, LONG, events, started))
            reader.start()
            self.assertTrue(started.wait(30))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(60), 0)
            reader.join(10)
            self.assertEqual(events[-1], "[DONE]", events[-3:])
            finish = [json.loads(e)["choices"][0].get("finish_reason") for e in events[:-1]
                      if json.loads(e)["choices"]]
            self.assertIn("length", finish)

    def test_new_connections_are_refused_while_draining(self):
        with Server() as server:
            events, started = [], threading.Event()
            reader = threading.Thread(target=stream, args=(server, LONG, events, started))
            reader.start()
            self.assertTrue(started.wait(30))
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            if server.process.poll() is None:
                with self.assertRaises(OSError):
                    server.request("GET", "/health", timeout=5)
            self.assertEqual(server.process.wait(60), 0)
            reader.join(10)

    def test_requests_are_served_during_the_notice_while_readiness_is_off(self):
        with Server("--shutdown-notice-ms", "1500") as server:
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            while (reply := server.request("GET", "/ready")).status == 200:
                self.assertLess(time.monotonic() - begin, 1)
            self.assertEqual(reply.status, 503)
            self.assertEqual(reply.json()["reason"], "shutting down")
            self.assertEqual(server.request("POST", CHAT, {**LONG, "max_tokens": 2}).status, 200)
            self.assertEqual(server.request("GET", "/health").status, 200)
            self.assertIsNone(server.process.poll())
            self.assertEqual(server.process.wait(30), 0)
            self.assertGreaterEqual(time.monotonic() - begin, 1.4)

    def test_a_second_signal_ends_the_notice(self):
        with Server("--shutdown-notice-ms", "60000") as server:
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            self.assertIsNone(server.process.poll())
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(30), 0)
            self.assertLess(time.monotonic() - begin, 5)

    def test_ctrl_c_gives_no_notice(self):
        with Server("--shutdown-notice-ms", "60000") as server:
            begin = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.process.wait(30), 0)
            self.assertLess(time.monotonic() - begin, 5)

    def test_the_limit_ends_a_stream_without_the_success_marker(self):
        with Server("--drain-timeout-s", "0") as server:
            events, started = [], threading.Event()
            reader = threading.Thread(target=stream, args=(server, LONG, events, started))
            reader.start()
            self.assertTrue(started.wait(30))
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(30), 0)
            self.assertLess(time.monotonic() - begin, 5)
            reader.join(10)
            self.assertNotEqual(events[-1], "[DONE]")

    def test_a_second_signal_shortens_the_wait(self):
        with Server("--threads", "1") as server:
            readers = []
            for _ in range(8):
                events, started = [], threading.Event()
                reader = threading.Thread(target=stream, args=(server, LONG, events, started))
                reader.start()
                readers.append(reader)
                self.assertTrue(started.wait(30))
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(30), 0)
            self.assertLess(time.monotonic() - begin, 8)
            for reader in readers:
                reader.join(10)

    def test_an_idle_server_stops_at_once_and_hangup_does_not_stop_it(self):
        with Server() as server:
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.2)
            self.assertEqual(server.request("GET", "/ready").status, 200)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.process.wait(30), 0)
            self.assertLess(time.monotonic() - begin, 3)


if __name__ == "__main__":
    unittest.main()
