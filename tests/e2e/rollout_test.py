"""Rollouts of real models over HTTP: measured shares, conversations that stay, a bad version that never
serves, an operator's commands, a kill in the middle.

The versions are told apart by their greedy answers.
"""
import json
import math
import os
import pathlib
import shutil
import signal
import struct
import tempfile
import threading
import time
import unittest

from restart_test import Successor, wait_exit
from server import ROOT, STARTER, Server

DRAFT = ROOT / "models" / "starter-draft"
API = "/api/v1/model_serving"
SUBJECTS = 3000
PROMPT = {"prompt": "Tell me about a lamp and a river.", "max_tokens": 8, "temperature": 0,
          "ignore_eos": True}
FAST = {"settle_below_half_ms": 1500, "settle_from_half_ms": 1500}


def answer_of(server, model, user=None):
    body = {**PROMPT, "model": model}
    if user is not None:
        body["user"] = user
    reply = server.request("POST", "/v1/completions", body)
    if reply.status != 200:
        raise RuntimeError(f"{model}: {reply.status} {reply.body}")
    return reply.json()["choices"][0]["text"]


def poisoned_copy(target):
    """The starter model with weights that are not numbers."""
    shutil.copytree(STARTER, target)
    for path in pathlib.Path(target).glob("*.safetensors"):
        data = bytearray(path.read_bytes())
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        begin, end = header["model.norm.weight"]["data_offsets"]
        data[8 + size + begin:8 + size + end] = b"\xff" * (end - begin)
        path.write_bytes(data)
    return target


class RolloutCase(unittest.TestCase):
    """Looks at the rollout of "m"."""

    def state(self, server):
        return server.request("GET", f"{API}/rollouts/m").json()["data"]

    def wait_for(self, server, done, seconds=120):
        deadline = time.monotonic() + seconds
        while True:
            state = self.state(server)
            if done(state):
                return state
            self.assertLess(time.monotonic(), deadline, state)
            time.sleep(0.01)


class Clients:
    """Ask for "m" as ever changing users; count who answered."""

    def __init__(self, server, texts, count=4):
        self.server, self.texts = server, {text: version for version, text in texts.items()}
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.counts, self.failures, self.last, self.left = {}, [], {}, []
        self.threads = [threading.Thread(target=self.run, args=(i, count)) for i in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, first, step):
        user = first
        while not self.stopping.is_set():
            try:
                version = self.texts.get(answer_of(self.server, "m", f"user-{user}"), "mixed")
            except Exception as error:  # every failure of a client is a finding
                with self.lock:
                    self.failures.append(repr(error))
                continue
            with self.lock:
                self.counts[version] = self.counts.get(version, 0) + 1
                if self.last.get(user) == "2" and version == "1":
                    self.left.append(user)
                self.last[user] = version
            user = (user + step) % SUBJECTS

    def take(self):
        with self.lock:
            counts, self.counts = self.counts, {}
            return counts


class Rollout(RolloutCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, True)

    def serve(self, *more, models=None):
        models = models or (f"m:1={STARTER}", f"m:2={DRAFT}")
        return Server("--kv-cache-mib", "16", *more, models=models)

    def update(self, server, version="2", policy=None, **more):
        return server.request("POST", f"{API}/update", {
            "model_id": "m", "new_version": version, "policy": {**FAST, **(policy or {})}, **more})

    def texts(self, server):
        texts = {version: answer_of(server, f"m:{version}") for version in ("1", "2")}
        self.assertNotEqual(texts["1"], texts["2"])
        return texts

    def test_requests_follow_the_share_and_conversations_stay(self):
        with self.serve() as server:
            with Clients(server, self.texts(server)) as clients:
                self.assertEqual(self.update(server).status, 202)
                for percent in (5, 15, 30, 50, 75, 90):
                    state = self.wait_for(
                        server, lambda s, p=percent: s["candidate_percent"] >= p or s["phase"] in (
                            "rolled_back", "failed"))
                    self.assertEqual(state["candidate_percent"], percent, state["reason"])
                    clients.take()
                    time.sleep(1.2)
                    counts = clients.take()
                    if self.state(server)["candidate_percent"] != percent:
                        continue  # this test stood still
                    total = sum(counts.values())
                    share, measured = percent / 100, counts.get("2", 0) / total
                    sigma = math.sqrt(share * (1 - share) * (1 / total + 1 / SUBJECTS))
                    print(f"{percent} %: measured {100 * measured:.1f} % of {total} requests")
                    self.assertLessEqual(abs(measured - share), max(0.02, 3 * sigma))
                state = self.wait_for(server, lambda s: s["phase"] in ("completed", "rolled_back"))
                self.assertEqual(state["phase"], "completed", state["reason"])
                clients.take()
                time.sleep(0.3)
                self.assertEqual(set(clients.take()), {"2"})
            self.assertEqual(clients.failures[:3], [])
            self.assertEqual(clients.left, [])

    def test_a_bad_version_fails_its_golden_prompts_and_never_serves(self):
        bad = poisoned_copy(os.path.join(self.directory, "bad"))
        models = (f"m:1={STARTER}", f"m:2={bad}", f"m:3={DRAFT}")
        with self.serve("--lazy-load", models=models) as server:
            texts = {"1": answer_of(server, "m:1")}
            with Clients(server, texts, count=2) as clients:
                reply = self.update(server, wait=True)
                self.assertIn(reply.status, (400, 409))
                self.assertFalse(reply.json()["data"]["update_successful"])
                state = self.state(server)
                self.assertEqual(state["phase"], "failed")
                self.assertIn("not finite", state["reason"])
                # An answer that lacks what it must contain is as bad.
                policy = {"golden": [{"prompt": "One two", "expected": "surely not this"}]}
                self.assertGreaterEqual(self.update(server, "3", policy, wait=True).status, 400)
                self.assertIn("surely not this", self.state(server)["reason"])
            self.assertEqual(clients.failures[:3], [])
            self.assertEqual(set(clients.counts), {"1"})

    def test_pause_promote_abort_and_dry_run(self):
        with self.serve() as server:
            texts = self.texts(server)
            plan = self.update(server, dry_run=True).json()["data"]
            self.assertEqual([stage["percent"] for stage in plan["stages"]], [5, 15, 30, 50, 75, 90, 100])
            self.assertEqual(plan["obstacles"], [])
            self.assertEqual(server.request("GET", f"{API}/rollouts/m").status, 404)
            self.assertEqual(self.update(server).status, 202)
            self.assertEqual(self.update(server).status, 409)
            self.wait_for(server, lambda s: s["candidate_percent"] == 5)
            step = lambda name, **more: server.request(
                "POST", f"{API}/rollouts/{name}", {"model_id": "m", **more})
            self.assertEqual(step("pause", reason="lunch").status, 200)
            time.sleep(2)
            state = self.state(server)
            self.assertEqual((state["candidate_percent"], state["paused"], state["reason"]),
                             (5, True, "lunch"))
            self.assertEqual(step("promote", fully=True).json()["data"]["candidate_percent"], 100)
            self.assertEqual(answer_of(server, "m"), texts["2"])
            began = time.monotonic()
            self.assertEqual(step("abort", reason="no").json()["data"]["phase"], "aborted")
            self.assertEqual(answer_of(server, "m"), texts["1"])
            self.assertLess(time.monotonic() - began, 1)
            self.assertEqual(step("resume").status, 404)

    def test_a_kill_in_the_middle_goes_on_or_back(self):
        for after, phase in (("resume", "completed"), ("rollback", "rolled_back")):
            catalog = os.path.join(self.directory, f"{after}.db")
            server = self.serve("--catalog", catalog)
            with server:
                texts = self.texts(server)
                self.update(server, policy={"after_crash": after, "settle_below_half_ms": 600_000})
                self.wait_for(server, lambda s: s["candidate_percent"] == 5)
                server.request("POST", f"{API}/rollouts/promote", {"model_id": "m"})
                self.wait_for(server, lambda s: s["candidate_percent"] == 15)
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                server.process.returncode = 0  # as wanted
            with self.serve("--catalog", catalog) as server:
                if after == "resume":
                    self.wait_for(server, lambda s: s["candidate_percent"] == 15)
                    self.assertEqual(server.request("POST", f"{API}/rollouts/promote", {
                        "model_id": "m", "fully": True}).status, 200)
                state = self.wait_for(server, lambda s: s["phase"] in ("completed", "rolled_back"))
                self.assertEqual(state["phase"], phase, state["reason"])
                self.assertEqual(answer_of(server, "m"), texts["2" if after == "resume" else "1"])

    def test_a_restart_in_place_takes_the_rollout_over(self):
        with self.serve("--catalog", os.path.join(self.directory, "catalog.db"),
                        "--drain-timeout-s", "8") as server:
            texts = self.texts(server)
            self.update(server, policy={"settle_below_half_ms": 600_000})
            self.wait_for(server, lambda s: s["candidate_percent"] == 5)
            former, server.process = server.process, Successor(server).process
            self.assertEqual(wait_exit(former), 0)
            self.wait_for(server, lambda s: s["candidate_percent"] == 5)
            self.assertEqual(server.request("POST", f"{API}/rollouts/promote", {
                "model_id": "m", "fully": True}).status, 200)
            state = self.wait_for(server, lambda s: s["phase"] in ("completed", "rolled_back"))
            self.assertEqual(state["phase"], "completed", state["reason"])
            self.assertEqual(answer_of(server, "m"), texts["2"])


if __name__ == "__main__":
    unittest.main()
