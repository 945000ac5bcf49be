"""Many models in one process: lazy loading, one memory budget, idle time, and what listings say.

MODELS_TEST_FULL=1 takes 200 models through a budget that holds five; by default fewer.
"""
import json
import os
import pathlib
import random
import shutil
import statistics
import tempfile
import threading
import time
import unittest

from server import MEASURES_MEMORY, ROOT, STARTER, Server

DRAFT = ROOT / "models" / "starter-draft"
FULL = os.environ.get("MODELS_TEST_FULL") == "1"
MIB = 1 << 20


def ask(server, model, tokens=4, **more):
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": tokens, "temperature": 0, **more}
    return server.request("POST", "/v1/completions", body, timeout=120)


def states(server):
    listed = server.request("GET", "/v1/models").json()["data"]
    return {model["id"]: model["state"] for model in listed}


def wait_for_state(server, model, state, seconds=20):
    deadline = time.monotonic() + seconds
    while states(server)[model] != state:
        if time.monotonic() > deadline:
            raise AssertionError(f"{model} is {states(server)[model]}, not {state}")
        time.sleep(0.02)


class Models(unittest.TestCase):
    def test_a_model_is_loaded_by_its_first_request(self):
        models = (f"a={STARTER}", f"b={DRAFT}", f"org/c={DRAFT}")
        with Server("--lazy-load", "--kv-cache-mib", "16", models=models) as server:
            self.assertEqual(states(server), {"a": "registered", "b": "registered", "org/c": "registered"})
            self.assertIsNone(server.request("GET", "/v1/models/a").json()["max_model_len"])
            replies = [None] * 8

            def client(index):
                replies[index] = ask(server, "a" if index < 5 else "org/c")

            threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([reply.status for reply in replies], [200] * 8)
            self.assertEqual(states(server), {"a": "ready", "b": "registered", "org/c": "ready"})
            self.assertEqual(server.metric("inferneo_model_loads_total"), 2)  # single flight
            one = server.request("GET", "/v1/models/a").json()
            self.assertEqual((one["version"], one["versions"]), ("1", [{"version": "1", "state": "ready"}]))
            self.assertEqual(one["max_model_len"], 2048)
            block = server.request("GET", "/health").json()["model_serving"]
            self.assertEqual((block["cached_models"], block["active_versions"], block["total_loads"]), (2, 3, 2))
            self.assertEqual(server.request("GET", "/ready").json()["model_serving"]["healthy_models"], 2)

    def test_preloaded_and_pinned_models(self):
        models = (f"a={STARTER}", f"b={DRAFT}")
        with Server("--lazy-load", "--preload-models", "b", "--pinned-models", "b", "--kv-cache-mib", "16",
                    "--model-keep-alive-s", "0", models=models) as server:
            self.assertEqual(states(server), {"a": "registered", "b": "ready"})
            self.assertEqual(ask(server, "a").status, 200)
            wait_for_state(server, "a", "unloaded")
            self.assertEqual(states(server)["b"], "ready")

    def test_several_versions_of_one_name(self):
        models = (f"m:1={STARTER}", f"m:2={DRAFT}")
        with Server("--lazy-load", "--kv-cache-mib", "16", models=models) as server:
            texts = {name: ask(server, name, 12).json()["choices"][0]["text"] for name in ("m", "m:1", "m:2")}
            self.assertEqual(texts["m"], texts["m:1"])
            self.assertNotEqual(texts["m"], texts["m:2"])
            listed = server.request("GET", "/v1/models").json()["data"]
            self.assertEqual([model["id"] for model in listed], ["m"])
            self.assertEqual([v["version"] for v in listed[0]["versions"]], ["1", "2"])
            self.assertEqual(ask(server, "m:3").status, 404)

    def test_a_failed_load_says_why_and_the_others_go_on(self):
        with tempfile.TemporaryDirectory() as directory:
            broken = pathlib.Path(directory) / "broken"
            shutil.copytree(DRAFT, broken)
            weights = broken / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:-1000])
            with Server("--lazy-load", "--kv-cache-mib", "16", models=(f"broken={broken}", f"good={DRAFT}")) as server:
                reply = ask(server, "broken")
                self.assertEqual(reply.status, 503)
                self.assertIn("could not be loaded", reply.error()["message"])
                self.assertNotIn(directory, reply.error()["message"])
                self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
                self.assertEqual(states(server), {"broken": "failed", "good": "registered"})
                self.assertEqual(ask(server, "good").status, 200)
                self.assertEqual(server.request("GET", "/ready").status, 200)
                # Mended, it is loaded again once the pause after the failure is over.
                shutil.copy(DRAFT / "model.safetensors", weights)
                time.sleep(1.1)
                self.assertEqual(ask(server, "broken").status, 200)

    def test_unknown_models_get_the_same_answer_wherever_they_are_asked_for(self):
        with Server("--lazy-load", models=(f"a={STARTER}",)) as server:
            errors = [ask(server, name).error() for name in ("zzzzzzzz", "zzzzzzzz:1", "../x", "a:9")]
            for error in errors:
                self.assertEqual((error["type"], error["code"], error["param"]),
                                 ("not_found_error", "model_not_found", "model"))
            self.assertEqual(server.request("GET", "/v1/models/zzzzzzzz").json()["error"], errors[0])
            self.assertEqual(states(server), {"a": "registered"})

    def test_models_rotate_through_a_budget_that_holds_five(self):
        count, requests = (200, 2000) if FULL else (40, 120)
        # A draft takes 9 MiB here: 2.6 of weights, 4 of cache, the rest workspace.
        models = tuple(f"m{i}={DRAFT}" for i in range(count))
        with Server("--lazy-load", "--kv-cache-mib", "4", "--memory-budget-mib", "62",
                    "--step-token-count-max", "64", "--running-sequence-count-max", "4", models=models) as server:
            idle = server.anonymous_bytes()
            expected = ask(server, "m0", 8).json()["choices"][0]["text"]
            planned = server.metric("inferneo_memory_reserved_bytes")
            failures, waits, peak = [], [], [0]
            stop = threading.Event()

            def watch():
                while not stop.is_set():
                    peak[0] = max(peak[0], server.anonymous_bytes())
                    reserved = server.metric("inferneo_memory_reserved_bytes")
                    if reserved > server.metric("inferneo_memory_budget_bytes"):
                        failures.append(f"{reserved} bytes reserved")
                    time.sleep(0.05)

            def client(index):
                rng = random.Random(index)
                for _ in range(requests // 4):
                    began = time.monotonic()
                    reply = ask(server, f"m{rng.randrange(count)}", 8)
                    waits.append(time.monotonic() - began)
                    if reply.status != 200:
                        failures.append((reply.status, reply.body))
                    elif reply.json()["choices"][0]["text"] != expected:
                        failures.append(reply.body)

            threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
            watcher = threading.Thread(target=watch)
            for thread in (*threads, watcher):
                thread.start()
            for thread in threads:
                thread.join()
            stop.set()
            watcher.join()
            evictions = server.metric("inferneo_model_evictions_total")
            waits.sort()
            print(f"{count} models of {planned / MIB:.1f} MiB, {len(waits)} requests, {evictions:.0f} evictions, "
                  f"wait p50 {statistics.median(waits) * 1e3:.0f} ms, p99 {waits[len(waits) * 99 // 100] * 1e3:.0f} ms, "
                  f"anonymous memory {idle / MIB:.0f} MiB idle, {peak[0] / MIB:.0f} at most")
            self.assertEqual(failures[:3], [])
            self.assertGreaterEqual(62 * MIB // planned, 5)
            self.assertGreater(evictions, len(waits) / 4)
            if MEASURES_MEMORY:
                # Beside the budget: tokenizers, and what reading one takes while it lasts.
                self.assertLess(peak[0] - idle, (62 + 18) * MIB)

    def test_an_idle_model_gives_its_memory_back(self):
        with Server("--lazy-load", "--kv-cache-mib", "64", "--model-keep-alive-s", "1",
                    models=(f"a={STARTER}",)) as server:
            before = server.anonymous_bytes()
            # Fills the cache, so that there is something to give back.
            for i in range(8):
                self.assertEqual(ask(server, "a", 200, seed=i, temperature=1.5).status, 200)
            loaded = server.anonymous_bytes()
            wait_for_state(server, "a", "unloaded")
            after = server.anonymous_bytes()
            print(f"anonymous memory {before / MIB:.1f} MiB, loaded {loaded / MIB:.1f}, unloaded {after / MIB:.1f}")
            if MEASURES_MEMORY:
                self.assertGreater(loaded, before + 8 * MIB)
                self.assertLess(after, before + 4 * MIB)
            self.assertEqual(ask(server, "a").status, 200)

    def test_sleep_wakes_faster_than_a_load(self):
        times = {"load": [], "wake": []}
        with Server("--lazy-load", "--kv-cache-mib", "16", models=(f"a={STARTER}",)) as server:
            ask(server, "a")
            before = server.anonymous_bytes()
            for name, path, state in (("load", "unload", "unloaded"), ("wake", "sleep", "sleeping")) * 5:
                self.assertEqual(server.request(
                    "POST", f"/api/v1/model_serving/{path}", {"model_id": "a"}).status, 200)
                wait_for_state(server, "a", state)
                if MEASURES_MEMORY:
                    self.assertLess(server.anonymous_bytes(), before)
                began = time.monotonic()
                self.assertEqual(ask(server, "a", 1).status, 200)
                times[name].append(time.monotonic() - began)
        best = {name: min(values) * 1e3 for name, values in times.items()}
        print(f"first token {best['load']:.0f} ms after an unload, {best['wake']:.0f} ms after sleep")

    def test_a_pool_of_a_model_in_use_makes_room_and_grows_again(self):
        # The live one takes half of what is free; the second needs some of that while requests run.
        with Server("--lazy-load", "--memory-budget-mib", "400", models=(f"a={STARTER}",)) as server:
            text = ask(server, "a", 64).json()["choices"][0]["text"]
            pool = lambda: 1e9 * server.request("GET", "/api/v1/model_serving/models/a").json()["data"][
                "model_allocation"]["memory_usage"]["cache_memory_gb"]
            first = pool()
            failures, stop = [], threading.Event()

            def client():
                while not stop.is_set():
                    reply = ask(server, "a", 64)
                    if reply.status != 200 or reply.json()["choices"][0]["text"] != text:
                        failures.append(reply.body)

            threads = [threading.Thread(target=client) for _ in range(4)]
            for thread in threads:
                thread.start()
            reply = server.request("POST", "/api/v1/model_serving/register", {
                "model_id": "c", "path": str(STARTER), "config": {"kv_cache_mib": "200"}, "digests": False})
            self.assertEqual(reply.status, 201, reply.body)
            self.assertEqual(ask(server, "c").status, 200)
            self.assertEqual(states(server)["a"], "ready")
            second = pool()
            stop.set()
            for thread in threads:
                thread.join()
            print(f"KV cache of the model in use: {first / MIB:.0f} MiB, then {second / MIB:.0f}; resizes "
                  f"{server.metric('inferneo_kv_pool_resizes_total'):.0f}, evictions "
                  f"{server.metric('inferneo_model_evictions_total'):.0f}")
            self.assertEqual(failures[:3], [])
            self.assertLess(second, first)
            self.assertEqual(server.metric("inferneo_model_evictions_total"), 0)
            self.assertEqual(server.metric("inferneo_model_loads_total"), 2)

    def test_a_request_says_how_long_its_model_stays(self):
        with Server("--lazy-load", "--kv-cache-mib", "4", models=(f"a={DRAFT}",)) as server:
            self.assertEqual(ask(server, "a", keep_alive="10m").status, 200)
            self.assertEqual(states(server)["a"], "ready")
            self.assertEqual(ask(server, "a", keep_alive=0).status, 200)
            wait_for_state(server, "a", "unloaded")
            self.assertEqual(ask(server, "a", keep_alive="soon").error()["param"], "keep_alive")

    def test_what_does_not_fit_is_refused_with_numbers(self):
        with Server("--lazy-load", "--kv-cache-mib", "4", "--memory-budget-mib", "12",
                    models=(f"a={STARTER}",)) as server:
            reply = ask(server, "a")
            self.assertEqual(reply.status, 503)
            self.assertRegex(reply.error()["message"], r"weights .* MiB, KV cache .* and workspace .* need .* MiB, "
                                                       r"but .* of the memory budget of 12\.0 MiB")

    def test_a_thousand_registered_models(self):
        models = tuple(f"m{i}={DRAFT}" for i in range(1000))
        with Server("--lazy-load", models=models) as server:
            best = 1e9
            for _ in range(5):
                began = time.monotonic()
                listed = server.request("GET", "/v1/models").json()["data"]
                best = min(best, time.monotonic() - began)
                self.assertEqual(len(listed), 1000)
            resident = server.resident_bytes()
            print(f"1000 models: {resident / MIB:.1f} MiB resident, listed in {best * 1e3:.1f} ms")
            if MEASURES_MEMORY:
                self.assertLess(resident, 60 * MIB)
                self.assertLess(best, 0.02)
            self.assertEqual(ask(server, "m999").status, 200)

    def test_settings_that_name_no_model_are_refused(self):
        for flag in ("--preload-models", "--pinned-models"):
            with self.assertRaises(RuntimeError):
                with Server("--lazy-load", flag, "missing", models=(f"a={DRAFT}",)):
                    pass


if __name__ == "__main__":
    unittest.main()
