"""Bad input gets its status, a message that says what was wrong, and leaves the server alive."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

from server import STARTER, Server, free_port
from server_case import CHAT, HELLO, TEXT, SurvivingServer


# name, path, body, status, part of the message, param
REQUESTS = [
    ("zero max_tokens", CHAT, {**HELLO, "max_tokens": 0}, 400, "max_tokens", "max_tokens"),
    ("negative max_tokens", CHAT, {**HELLO, "max_tokens": -1}, 400, "max_tokens", "max_tokens"),
    ("a million choices", CHAT, {**HELLO, "n": 1000000}, 400, "n", "n"),
    ("too long a prompt", TEXT, {"prompt": "dog " * 9000, "max_tokens": 4}, 400, "2048", None),
    ("id outside the vocabulary", TEXT, {"prompt": [1, 4096]}, 400, "4096", None),
    ("negative id", TEXT, {"prompt": [-1]}, 400, "", None),
    ("empty prompt", TEXT, {"prompt": []}, 400, "prompt", None),
    ("no messages", CHAT, {"messages": []}, 400, "messages", "messages"),
    ("bias outside the vocabulary", CHAT, {**HELLO, "logit_bias": {"4096": 1}}, 400, "4096",
     "logit_bias"),
    ("unknown field", CHAT, {**HELLO, "temprature": 1}, 400, "temperature", "temprature"),
    ("unknown model", CHAT, {**HELLO, "model": "none"}, 404, "none", "model"),
    ("float for an integer", CHAT, {**HELLO, "max_tokens": 1.5}, 400, "max_tokens", "max_tokens"),
    ("temperature out of range", CHAT, {**HELLO, "temperature": 9}, 400, "temperature",
     "temperature"),
]


class Requests(SurvivingServer):
    def check(self, reply, status, part="", param=None):
        self.assertEqual(reply.status, status, reply.body[:300])
        error = reply.error()
        self.assertIn(part, error["message"])
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertLessEqual(len(reply.body), 2048)
        if param is not None:
            self.assertEqual(error["param"], param)
        self.assertIn("x-request-id", reply.headers)

    def test_fields_out_of_range(self):
        for name, path, body, status, part, param in REQUESTS:
            with self.subTest(name):
                self.check(self.server.request("POST", path, body), status, part, param)

    def test_invalid_utf8(self):
        body = b'{"messages":[{"role":"user","content":"\xff\xfe"}]}'
        self.check(self.server.request("POST", CHAT, body), 400)

    def test_deep_json(self):
        self.check(self.server.request("POST", CHAT, b'{"messages":' + b"[" * 100000), 400)
        nested = b'{"metadata":' + b'{"a":' * 2000 + b"1" + b"}" * 2001
        self.check(self.server.request("POST", CHAT, nested), 400)

    def test_cut_json_and_wrong_type(self):
        self.check(self.server.request("POST", CHAT, b'{"messages":[{"role"'), 400)
        self.check(self.server.request("POST", CHAT, b"[1,2]"), 400)
        self.check(self.server.request("POST", CHAT, b""), 400)

    def test_oversized_body_is_refused_before_it_is_read(self):
        head = self.server.encode("POST", CHAT).removesuffix(b"\r\n\r\n")
        head += b"\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n"
        self.check(self.server.send(head), 413)

    def test_giant_headers(self):
        reply = self.server.request("GET", "/health", headers=["X-Big: " + "a" * 70000])
        self.assertEqual(reply.status, 431)

    def test_slow_headers_are_cut_off(self):
        with self.server.connect() as sock:
            sock.sendall(b"POST " + CHAT.encode() + b" HTTP/1.1\r\n")
            start = time.monotonic()
            sock.settimeout(30)
            try:
                for _ in range(20):
                    sock.sendall(b"X-Slow: 1\r\n")
                    time.sleep(1)
                self.fail("the connection was still open after 20 s")
            except OSError:
                self.assertLess(time.monotonic() - start, 20)

    def test_unknown_path_and_wrong_method(self):
        self.check(self.server.request("POST", "/v1/none", HELLO), 404)
        reply = self.server.request("GET", CHAT)
        self.check(reply, 405)
        self.assertIn("POST", reply.headers["allow"])

    def test_both_length_headers(self):
        raw = (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertEqual(self.server.send(raw).status, 400)

    def test_foreign_host(self):
        raw = b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        self.assertEqual(self.server.send(raw).status, 421)

    def test_port_in_use(self):
        command = [self.server.program, "serve", str(STARTER), "--port", str(self.server.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(self.server.port), done.stderr)
        self.assertIn("in use", done.stderr)


class Models(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="inferneo_bad_model_"))
        self.model = self.dir / "model"
        shutil.copytree(STARTER, self.model)

    def tearDown(self):
        shutil.rmtree(self.dir)

    def refused(self, *parts):
        command = [os.environ["INFERNEO_PROGRAM"], "serve", str(self.model), "--port",
                   str(free_port())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertGreater(done.returncode, 0, "must exit with an error, not by a signal")
        self.assertNotIn("check failed", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def edit_config(self, **changes):
        path = self.model / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def test_missing_directory(self):
        shutil.rmtree(self.model)
        self.refused(str(self.model))

    def test_missing_weights(self):
        (self.model / "model.safetensors").unlink()
        self.refused("safetensors")

    def test_truncated_weights(self):
        path = self.model / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1000])
        self.refused("model.safetensors")

    def test_header_longer_than_the_file(self):
        path = self.model / "model.safetensors"
        path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])
        self.refused("header")

    def test_unsupported_architecture(self):
        self.edit_config(architectures=["LlamaForCausalML"])
        self.refused("LlamaForCausalML", "LlamaForCausalLM")

    def test_impossible_config(self):
        self.edit_config(num_hidden_layers=-1)
        self.refused("num_hidden_layers")
        self.edit_config(num_hidden_layers=8, hidden_size=0)
        self.refused("hidden_size")

    def test_config_that_does_not_match_the_weights(self):
        self.edit_config(intermediate_size=512)
        self.refused("model.layers.0.mlp", "512")

    def test_broken_tokenizer(self):
        path = self.model / "tokenizer.json"
        path.write_text(path.read_text()[:5000])
        self.refused("tokenizer.json")

    def test_broken_template(self):
        path = self.model / "tokenizer_config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "chat_template": "{% for m in messages %}{{ m }}"}))
        self.refused("template")

    def test_fifo_instead_of_weights(self):
        (self.model / "model.safetensors").unlink()
        os.mkfifo(self.model / "model.safetensors")
        self.refused("regular file")


if __name__ == "__main__":
    unittest.main()
