"""A watched directory on the real program: models are served when they are whole and go with their files."""
import json
import os
import pathlib
import shutil
import tempfile
import time
import unittest

from server import STARTER, Server, read_chunks

API = "/api/v1/model_serving"


class WatchingServer(Server):
    answers_at = "/v1/models"  # without a model it is never ready


class Watch(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="watch-"))
        self.addCleanup(shutil.rmtree, self.directory, True)

    def serve(self, *more):
        return WatchingServer("--watch-models", str(self.directory), "--catalog", "off", *more, models=())

    def models(self, server):
        return {f"{m['model_id']}:{m['version']}" for m in server.request("GET", f"{API}/models").json()["data"]["models"]}

    def wait(self, server, wanted, seconds=30):
        deadline = time.monotonic() + seconds
        while (found := self.models(server)) != wanted:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.05)

    def answers(self, server, model):
        return server.request("POST", "/v1/completions", {
            "model": model, "prompt": "Once", "max_tokens": 4, "temperature": 0}).status

    def reasons(self, server):
        """What the events say of models that were not taken."""
        with server.connect(5) as sock:
            sock.sendall(server.encode("GET", f"{API}/events?after=0"))
            stream = sock.makefile("rb")
            while stream.readline().strip():
                pass
            text = b""
            try:
                for chunk in read_chunks(stream):
                    text += chunk
                    if b"event: watch" in text and text.endswith(b"\n\n"):
                        break
            except OSError:
                pass
        return text.decode()

    def test_a_directory_that_is_renamed_into_place_is_served_and_goes_again(self):
        with self.serve() as server:
            self.assertEqual(self.models(server), set())
            shutil.copytree(STARTER, self.directory / ".coming")
            time.sleep(1.5)
            self.assertEqual(self.models(server), set())
            os.utime(self.directory / ".coming")
            for file in (self.directory / ".coming").iterdir():
                os.utime(file, (1, 1))
            (self.directory / ".coming").rename(self.directory / "chat")
            began = time.monotonic()
            self.wait(server, {"chat:1"})
            print(f"served {time.monotonic() - began:.1f} s after the rename")
            self.assertEqual(self.answers(server, "chat"), 200)
            (self.directory / "tool").mkdir()
            shutil.copytree(STARTER, self.directory / "tool" / "7")
            self.wait(server, {"chat:1", "tool:7"})
            self.assertEqual(self.answers(server, "tool:7"), 200)
            shutil.rmtree(self.directory / "chat")
            self.wait(server, {"tool:7"})
            self.assertEqual(self.answers(server, "chat"), 404)
            self.assertEqual(self.answers(server, "tool"), 200)

    def test_half_a_copy_is_not_served_and_the_events_say_why(self):
        model = self.directory / "half"
        shutil.copytree(STARTER, model)
        weights = model / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:len(whole) // 2])
        for file in model.iterdir():
            os.utime(file, (1, 1))
        with self.serve() as server:
            reasons = self.reasons(server)
            self.assertIn("half:1", reasons)
            self.assertIn("model.safetensors", reasons)
            self.assertEqual(self.models(server), set())
            self.assertEqual(self.answers(server, "half"), 404)
            weights.write_bytes(whole)
            self.wait(server, {"half:1"})
            self.assertEqual(self.answers(server, "half"), 200)

    def test_a_manifest_that_is_written_last_says_what_is_whole(self):
        model = self.directory / "m"
        shutil.copytree(STARTER, model)
        size = (model / "tokenizer.json").stat().st_size
        tokenizer = (model / "tokenizer.json").read_bytes()
        (model / "tokenizer.json").unlink()
        manifest = {"files": {"model.safetensors": {}, "tokenizer.json": {"size": size}}, "tags": ["new"]}
        (model / "inferneo-manifest.json").write_text(json.dumps(manifest))
        with self.serve() as server:
            self.assertIn("'tokenizer.json' is missing", self.reasons(server))
            self.assertEqual(self.models(server), set())
            (model / "tokenizer.json").write_bytes(tokenizer)
            began = time.monotonic()
            self.wait(server, {"m:1"})
            print(f"served {time.monotonic() - began:.1f} s after its last file")
            record = server.request("GET", f"{API}/models/m").json()["data"]["model_allocation"]["registration"]
            self.assertEqual(record["tags"], ["new", "watched"])
            self.assertEqual(self.answers(server, "m"), 200)

    def test_a_directory_that_is_not_there_is_refused_at_the_start(self):
        with self.assertRaises(RuntimeError):
            with WatchingServer("--watch-models", str(self.directory / "none"), models=()):
                pass


if __name__ == "__main__":
    unittest.main()
