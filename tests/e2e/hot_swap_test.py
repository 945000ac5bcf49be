"""Versions of a model are swapped, rolled out and rolled back while streams run, over real HTTP with
real model files: no request fails, no answer mixes two versions, memory stays flat; and loads that fail
at every point leave the live version alone.

HOT_SWAP_FULL=1 is the size that the service promises: 100 swaps and 30 rollbacks with 64 streams, and
then times are checked, too. By default fewer, and times are only printed.
"""
import http.server
import json
import os
import pathlib
import shutil
import tempfile
import threading
import time
import unittest

from rollout_test import RolloutCase, poisoned_copy
from server import MEASURES_MEMORY, ROOT, STARTER, Server
from streams import Streams, capacity, percentile

FULL = os.environ.get("HOT_SWAP_FULL") == "1"
SWAPS, ROLLBACKS, STREAMS = (100, 30, 64) if FULL else (12, 4, 24)
LOAD = 0.7
DRAFT = ROOT / "models" / "starter-draft"
API = "/api/v1/model_serving"
MIB = 1 << 20
BODY = {"model": "m", "prompt": "Tell me about a lamp and a river.", "max_tokens": 24, "temperature": 0,
        "ignore_eos": True}


def text_of(server, model):
    reply = server.request("POST", "/v1/completions", {**BODY, "model": model})
    if reply.status != 200:
        raise AssertionError((model, reply.status, reply.body))
    return reply.json()["choices"][0]["text"]


def update(server, version, **more):
    return server.request("POST", f"{API}/update", {"model_id": "m", "new_version": version, **more},
                          timeout=120)


def swap(server, version):
    return update(server, version, strategy="at_once", wait=True)


class Hook:
    """Answers webhooks: 200 until a stage of `refuse_from` per cent, then 500, and when it refused."""

    def __init__(self):
        self.refuse_from, self.refused_at = 101, None
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                refuses = hook.percent_of(body) >= hook.refuse_from
                if refuses and hook.refused_at is None:
                    hook.refused_at = time.monotonic()
                self.send_response(400 if refuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever)

    @staticmethod
    def percent_of(body):
        return body["percent"]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class HotSwap(RolloutCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hot-swap-"))
        self.addCleanup(shutil.rmtree, self.directory, True)

    def live(self, server):
        return server.request("GET", "/v1/models/m").json()["version"]

    def check_answers(self, streams, texts):
        """No failure, and every answer is wholly one of the two."""
        self.assertEqual(streams.failures[:3], [])
        known = {text: version for version, text in texts.items()}
        mixed = [answer.text for answer in streams.answers if answer.text not in known]
        self.assertEqual(mixed[:3], [])
        counts = {version: 0 for version in texts}
        for answer in streams.answers:
            counts[known[answer.text]] += 1
        return counts

    def swap_under_load(self, server, streams, count):
        """The time of each swap as (begin, end), and memory after the tenth and the last."""
        windows, memory, version = [], {}, 1
        others = []

        def start_others(index):
            # Starts during starts: another model is loaded anew, and the same name is swapped twice.
            reply = server.request("POST", f"{API}/load", {"model_id": "x", "force_reload": True}, timeout=120)
            others.append(reply.status)
            reply = swap(server, str(1 + index % 2))
            others.append(reply.status if reply.status != 409 else 200)

        for i in range(count):
            version = 3 - version
            began = time.monotonic()
            beside = threading.Thread(target=start_others, args=(version,)) if i % 4 == 3 else None
            if beside is not None:
                beside.start()
            reply = swap(server, str(version))
            windows.append((began, time.monotonic()))
            if beside is not None:
                beside.join()
                # Whichever of the two swaps came last, the next one starts from what is live.
                version = int(self.live(server))
            elif reply.status != 200:
                self.fail((i, reply.status, reply.body))
            answered = streams.answered()
            while streams.answered() < answered + STREAMS // 2:
                time.sleep(0.005)
            if i + 1 in (10, count):
                memory[i + 1] = self.memory_with_the_first(server)
                version = 1
        self.assertEqual(set(others), {200})
        return windows, memory

    def memory_with_the_first(self, server):
        """Anonymous memory with version 1 live and the other model loaded, under load."""
        if self.live(server) != "1":
            self.assertEqual(swap(server, "1").status, 200)
        self.assertEqual(server.request("POST", f"{API}/load", {"model_id": "x"}).status, 200)
        deadline = time.monotonic() + 30
        while any(v["state"] == "draining" for v in server.request("GET", "/v1/models/m").json()["versions"]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        samples = []
        for _ in range(20):
            samples.append(server.anonymous_bytes())
            time.sleep(0.02)
        return sorted(samples)[len(samples) // 2]

    def roll_back(self, server, hook, index):
        """One rollout that goes back; when it was decided, and when that was seen."""
        stage = (5, 30, 50)[index % 3]
        candidate = "1" if self.live(server) == "2" else "2"
        by_hook = index % 2 == 0
        hook.refused_at, hook.refuse_from = None, stage if by_hook else 101
        policy = {"settle_below_half_ms": 150, "settle_from_half_ms": 150, "evidence_timeout_ms": 100,
                  "webhooks": [{"url": hook.url, "when": "before_stage", "required": True}]}
        reply = update(server, candidate, policy=policy)
        self.assertEqual(reply.status, 202, reply.body)
        if by_hook:
            state = self.wait_for(server, lambda s: s["phase"] in ("rolled_back", "failed", "completed"))
            self.assertEqual(state["phase"], "rolled_back", state["reason"])
            self.assertIn("webhook", state["reason"])
            decided = hook.refused_at
        else:
            self.wait_for(server, lambda s: s["candidate_percent"] >= stage or s["phase"] == "failed")
            decided = time.monotonic()
            reply = server.request("POST", f"{API}/rollouts/abort", {"model_id": "m", "reason": "drill"})
            self.assertEqual(reply.status, 200, reply.body)
            state = self.wait_for(server, lambda s: s["phase"] not in ("rolling_back",))
            self.assertEqual(state["phase"], "aborted", state["reason"])
        back = time.monotonic()
        return candidate, decided, back

    def test_swaps_and_rollbacks_under_load(self):
        models = (f"m:1={STARTER}", f"m:2={DRAFT}", f"x={DRAFT}")
        with Hook() as hook, Server("--lazy-load", "--preload-models", "m:1", "--kv-cache-mib", "48",
                                    models=models) as server:
            texts = {version: text_of(server, f"m:{version}") for version in ("1", "2")}
            self.assertNotEqual(texts["1"], texts["2"], "the test needs outputs that differ")
            rate = LOAD * min(capacity(server, {**BODY, "model": f"m:{v}"}, STREAMS) for v in ("1", "2"))
            with Streams(server, BODY, STREAMS, rate) as streams:
                time.sleep(2)
                windows, memory = self.swap_under_load(server, streams, SWAPS)
                swapped = streams.answered()
                back = []
                for i in range(ROLLBACKS):
                    stable = self.live(server)
                    candidate, decided, seen = self.roll_back(server, hook, i)
                    self.assertEqual(self.live(server), stable)
                    answered = streams.answered()
                    while streams.answered() < answered + STREAMS // 2:
                        time.sleep(0.005)
                    back.append((candidate, decided, seen, time.monotonic()))
            counts = self.check_answers(streams, texts)
            ended = server.metric("vllm:num_requests_running")
            self.assertEqual(ended, 0)
        # After a rollback was seen nobody gets the candidate any more.
        for candidate, decided, seen, until in back:
            late = [a for a in streams.answers if seen < a.sent < until and a.text == texts[candidate]]
            self.assertEqual(late, [])
        first = lambda answers: [a.first - a.sent for a in answers if a.first is not None]
        inside = [a for a in streams.answers[:swapped] if any(b <= a.sent <= e for b, e in windows)]
        steady = [a for a in streams.answers[:swapped] if not any(b <= a.sent <= e for b, e in windows)]
        grown = (memory[SWAPS] - memory[10]) / MIB
        ms = lambda seconds: f"{seconds * 1e3:.0f} ms"
        print(f"{SWAPS} swaps ({ms(percentile([e - b for b, e in windows], 0.5))} each) and {ROLLBACKS} rollbacks "
              f"({ms(percentile([s - d for _, d, s, _ in back], 1))} at most from the decision), {STREAMS} streams at "
              f"{rate:.0f} requests/s, {streams.mean_open():.0f} open on average: {len(streams.answers)} answers "
              f"({counts['1']} of version 1, {counts['2']} of 2), {len(streams.failures)} failures, 0 mixed")
        print(f"TTFT p99 {ms(percentile(first(inside), 0.99))} within swaps ({len(inside)} requests), "
              f"{ms(percentile(first(steady), 0.99))} outside ({len(steady)}); p50 "
              f"{ms(percentile(first(inside), 0.5))} and {ms(percentile(first(steady), 0.5))}")
        print(f"anonymous memory {memory[10] / MIB:.1f} MiB after swap 10, {memory[SWAPS] / MIB:.1f} after swap "
              f"{SWAPS} ({grown:+.1f})")
        self.assertGreater(min(counts.values()), 0)
        if MEASURES_MEMORY:
            self.assertLessEqual(memory[SWAPS], memory[10] + max(memory[10] / 100, 16 * MIB))
        if FULL:
            self.assertLess(max(s - d for _, d, s, _ in back), 5)
            self.assertLessEqual(percentile(first(inside), 0.99), 2 * percentile(first(steady), 0.99))

    # --- loads that fail ---

    def broken(self, name, change):
        """A copy of the draft with something wrong in it."""
        path = self.directory / name
        shutil.copytree(DRAFT, path)
        change(path)
        return path

    @staticmethod
    def rewrite(path, name, change):
        data = json.loads((path / name).read_text())
        change(data)
        (path / name).write_text(json.dumps(data))

    def broken_models(self):
        """Each point at which a load can fail, as a model with that fault: (name, path, settings)."""
        weights = "model.safetensors"
        text = lambda name, content: lambda path: (path / name).write_text(content)
        cut = lambda path: os.truncate(path / weights, (path / weights).stat().st_size // 2)
        header = lambda path: (path / weights).write_bytes(
            b"\xff" * 16 + (path / weights).read_bytes()[16:])
        index = lambda path: ((path / weights).unlink(), (path / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}})))
        config = lambda **more: lambda path: self.rewrite(path, "config.json", lambda d: d.update(more))
        template = lambda path: self.rewrite(
            path, "tokenizer_config.json", lambda d: d.update(chat_template="{% if %}{{")) or [
                f.unlink() for f in path.glob("chat_template*")]
        return {
            "missing-file": self.broken("missing-file", lambda path: (path / weights).unlink()),
            "missing-shard": self.broken("missing-shard", index),
            "truncated-shard": self.broken("truncated-shard", cut),
            "damaged-header": self.broken("damaged-header", header),
            "no-json-config": self.broken("no-json-config", text("config.json", "{")),
            "wrong-shape": self.broken("wrong-shape", config(hidden_size=192)),
            "architecture": self.broken("architecture", config(
                architectures=["NobodyForCausalLM"], model_type="nobody")),
            "tokenizer": self.broken("tokenizer", text("tokenizer.json", '{"model": {"type": "BPE"')),
            "template": self.broken("template", template),
            "not-finite": pathlib.Path(poisoned_copy(self.directory / "not-finite")),
        }

    def test_loads_that_fail_leave_the_live_version_serving(self):
        broken = self.broken_models()
        models = [f"m:1={STARTER}", f"m:2={DRAFT}", f"busy={STARTER}"]
        models += [f"m:{name}={path}" for name, path in broken.items()]
        # Room for the live version, a successor, and little more.
        with Server("--lazy-load", "--preload-models", "m:1", "--pinned-models", "m:1", "--kv-cache-mib", "24",
                    "--memory-budget-mib", "120", models=models) as server:
            texts = {"1": text_of(server, "m")}
            rate = 0.5 * capacity(server, BODY, 16, 1)
            reasons = {}
            with Streams(server, BODY, 16, rate) as streams:
                for name in broken:
                    for ask in (swap, lambda s, v: server.request(
                            "POST", "/v1/completions", {**BODY, "model": f"m:{v}"}, timeout=120)):
                        reply = ask(server, name)
                        self.assertGreaterEqual(reply.status, 400, (name, reply.body))
                        reasons[name] = reply.body.decode()
                        self.assertNotIn(str(self.directory), reasons[name] if ask is not swap else "")
                    self.assertEqual(self.live(server), "1", name)
                reasons["flipped-digest"] = self.fail_by_digest(server)
                reasons["budget"] = self.fail_by_budget(server)
                reasons["removed-before-read"] = self.fail_between_plan_and_load(server)
                reasons["golden"] = self.fail_by_golden(server)
                self.assertEqual(self.live(server), "1")
                # And a sound one still goes in.
                self.assertEqual(swap(server, "2").status, 200)
                self.assertEqual(swap(server, "1").status, 200)
                answered = streams.answered()
                while streams.answered() < answered + 16:
                    time.sleep(0.005)
            texts["2"] = text_of(server, "m:2")
            self.check_answers(streams, texts)
            print(f"{len(reasons)} points of failure, {len(streams.answers)} answers beside them, 0 failures")
            for name, reason in reasons.items():
                message = json.loads(reason) if reason.startswith("{") else {}
                message = message.get("detail") or message.get("error", {}).get("message") or reason
                print(f"  {name}: {message[:150]}")

    def fail_by_digest(self, server):
        path = self.broken("flipped-digest", lambda _: None)
        reply = server.request("POST", f"{API}/register", {"model_id": "m:digest", "path": str(path)})
        self.assertEqual(reply.status, 201, reply.body)
        weights = path / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1000] ^= 1
        weights.write_bytes(data)
        reply = swap(server, "digest")
        self.assertGreaterEqual(reply.status, 400)
        self.assertIn("another content", reply.body.decode())
        return reply.body.decode()

    def fail_by_budget(self, server):
        reply = server.request("POST", f"{API}/register", {
            "model_id": "m:large", "path": str(DRAFT), "config": {"kv_cache_mib": "400"}})
        self.assertEqual(reply.status, 201, reply.body)
        reply = swap(server, "large")
        self.assertGreaterEqual(reply.status, 400)
        self.assertRegex(reply.body.decode(), r"need .* MiB, but .* of the memory budget of 120\.0 MiB")
        return reply.body.decode()

    def fail_between_plan_and_load(self, server):
        """Planned, it waits for memory that a busy model holds; meanwhile its file goes away."""
        path = self.broken("removed", lambda _: None)
        reply = server.request("POST", f"{API}/register", {
            "model_id": "m:removed", "path": str(path), "config": {"kv_cache_mib": "60"}, "digests": False})
        self.assertEqual(reply.status, 201, reply.body)
        events = server.events("/v1/completions", {**BODY, "model": "busy", "max_tokens": 1900}, timeout=120)
        next(events)
        result = []
        thread = threading.Thread(target=lambda: result.append(swap(server, "removed")))
        thread.start()
        deadline = time.monotonic() + 60
        while True:
            listed = server.request("GET", f"{API}/models").json()["data"]["models"]
            found = next(m for m in listed if m["model_id"] == "m" and m["version"] == "removed")
            if "waiting for memory" in (found.get("reason") or ""):
                break
            self.assertLess(time.monotonic(), deadline, found)
            self.assertTrue(thread.is_alive(), result and result[0].body)
            time.sleep(0.005)
        (path / "model.safetensors").unlink()
        self.assertEqual(list(events)[-1], "[DONE]")  # whoever holds the memory ends normally
        thread.join()
        self.assertGreaterEqual(result[0].status, 400, result[0].body)
        return result[0].body.decode()

    def fail_by_golden(self, server):
        reply = update(server, "2", wait=True, policy={
            "golden": [{"prompt": "One two", "expected": "surely not this"}]})
        self.assertGreaterEqual(reply.status, 400, reply.body)
        return reply.body.decode()


if __name__ == "__main__":
    unittest.main()
