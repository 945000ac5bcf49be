"""The catalog and the management of models on the real program: REST, command line, restarts."""
import datetime
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import unittest.mock

from server import ROOT, STARTER, Server, free_port, read_chunks

API = "/api/v1/model_serving"


class CatalogServer(Server):
    """A server on a catalog of its own; `Server` with a short way to the management API."""

    answers_at = "/v1/models"  # without a model it is never ready

    def __init__(self, catalog, *arguments, models=(), **options):
        super().__init__("--catalog", str(catalog), *arguments, models=models, **options)

    def __exit__(self, *arguments):
        if self.process.returncode == -signal.SIGKILL:
            self.log.close()
            return
        super().__exit__(*arguments)

    def api(self, method, path, body=None, status=200):
        reply = self.request(method, API + path, body if body is not None or method != "POST" else {})
        if reply.status != status:
            raise AssertionError(f"{method} {path}: {reply.status} {reply.body}")
        return reply.json()

    def register(self, model_id, path=STARTER, status=201, **more):
        return self.api("POST", "/register",
                        {"model_id": model_id, "path": str(path), **more}, status)

    def kill(self):
        self.process.kill()
        self.process.wait()


def inferneo(*arguments, env=None, **options):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INFERNEO_")}
    return subprocess.run([os.environ["INFERNEO_PROGRAM"], *map(str, arguments)],
                          capture_output=True, text=True, timeout=120,
                          env={**clean, **(env or {})}, **options)


class CatalogCase(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="catalog-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.catalog = self.directory / "catalog.db"

    def copy_of_starter(self, name):
        path = self.directory / name
        shutil.copytree(STARTER, path)
        return path


class Rest(CatalogCase):
    def test_a_model_is_registered_loaded_used_unloaded_and_removed(self):
        with CatalogServer(self.catalog) as server:
            answer = server.register("team/starter", tags=["chat"], aliases=["best"])
            self.assertTrue(answer["server_side_rendered"])
            self.assertEqual(answer["status"], "success")
            record = answer["data"]
            self.assertEqual((record["model_id"], record["version"]), ("team/starter", "1"))
            self.assertEqual(record["format"], "huggingface")
            weights = next(f for f in record["files"] if f["name"].endswith(".safetensors"))
            self.assertEqual(len(weights["sha256"]), 64)

            listed = server.api("GET", "/models")["data"]
            self.assertEqual(listed["total_count"], 1)
            self.assertEqual(listed["models"][0]["state"], "registered")
            self.assertEqual(listed["healthy_count"], 0)
            check = server.api("POST", "/health_check/team/starter")["data"]
            self.assertFalse(check["health_check_passed"])

            loaded = server.api("POST", "/load", {"model_id": "team/starter"})
            self.assertEqual(loaded["message"], "Model loaded successfully")
            self.assertGreater(loaded["data"]["load_time_ms"], 0)
            self.assertGreater(loaded["data"]["model_config"]["memory_usage"]["reserved_bytes"], 0)
            again = server.api("POST", "/load", {"model_id": "best"})
            self.assertEqual(again["message"], "Model already loaded")
            self.assertTrue(again["data"]["cached"])

            body = {"prompt": "Once", "max_tokens": 4, "temperature": 0}
            for name in ("team/starter", "team/starter:1", "best"):
                reply = server.request("POST", "/v1/completions", {**body, "model": name})
                self.assertEqual(reply.status, 200, reply.body)
            check = server.api("POST", "/health_check/team/starter")["data"]
            self.assertTrue(check["health_check_passed"], check)
            self.assertEqual(check["health_details"]["health_score"], 100)
            health = server.api("GET", "/health/team/starter")["data"]
            self.assertEqual(health["health_status"]["status"], "healthy")

            metrics = server.api("GET", "/metrics")["data"]["performance_metrics"]
            self.assertEqual(metrics["total_loads"], 1)
            self.assertEqual(metrics["success_rate_percent"], 100.0)
            self.assertGreater(metrics["cache_hit_rate"], 0)
            status = server.api("GET", "/status")["data"]
            self.assertEqual(status["overview"]["cached_models"], 1)
            self.assertGreater(status["resource_allocation"]["team/starter:1"]["reserved_bytes"], 0)

            server.api("POST", "/unload", {"model_id": "team/starter"})
            self.assertEqual(server.api("GET", "/models")["data"]["models"][0]["state"], "unloaded")
            server.api("DELETE", "/models/team/starter", status=409)  # the alias points at it
            server.api("DELETE", "/aliases/best")
            self.assertTrue(server.api("DELETE", "/models/team/starter")["data"]["removed"])
            server.api("DELETE", "/models/team/starter", status=404)
            self.assertEqual(server.api("GET", "/models")["data"]["total_count"], 0)

    def test_bad_input_is_refused_and_said(self):
        models = self.directory / "models"
        models.mkdir()
        good = self.copy_of_starter("models/good")
        outside = self.copy_of_starter("outside")
        (models / "link").symlink_to(outside)
        os.mkfifo(models / "fifo")
        half = self.copy_of_starter("models/half")
        (half / "model.safetensors.part").write_bytes(b"x")
        torn = self.copy_of_starter("models/torn")
        weights = next(torn.glob("*.safetensors"))
        with open(weights, "r+b") as file:
            file.truncate(weights.stat().st_size // 2)
        (models / "notes.txt").write_text("hello")
        with CatalogServer(self.catalog, "--model-root", str(models)) as server:
            server.register("good", good)
            cases = [
                (409, "registered already", {"model_id": "good:1", "path": str(good)}),
                (403, "outside the model root", {"model_id": "x", "path": str(outside)}),
                (403, "symbolic link", {"model_id": "x", "path": str(models / "link")}),
                (403, "outside", {"model_id": "x", "path": str(models / ".." / "outside")}),
                (400, "FIFO", {"model_id": "x", "path": str(models / "fifo")}),
                (422, "has not ended", {"model_id": "x", "path": str(half)}),
                (422, "", {"model_id": "x", "path": str(torn)}),
                (422, "does not exist", {"model_id": "x", "path": str(models / "none")}),
                (422, "format", {"model_id": "x", "path": str(models / "notes.txt")}),
                (400, "absolute", {"model_id": "x", "path": "relative"}),
                (400, "model_id", {"path": str(good)}),
                (400, "path", {"model_id": "x"}),
                (400, "model name", {"model_id": "a//b", "path": str(good)}),
                (400, "did you mean", {"model_id": "x", "path": str(good), "pined": True}),
                (400, "no setting", {"model_id": "x", "path": str(good), "config": {"port": 1}}),
            ]
            for status, words, body in cases:
                reply = server.request("POST", API + "/register", body)
                self.assertEqual(reply.status, status, (body, reply.body))
                self.assertIn(words, reply.json()["detail"], body)
            for method, path in (("GET", "/models/none"), ("DELETE", "/models/none"),
                                 ("GET", "/health/none"), ("POST", "/health_check/none"),
                                 ("GET", "/rollouts/none"), ("DELETE", "/aliases/none")):
                server.api(method, path, status=404)
            server.api("POST", "/load", {"model_id": "none"}, status=404)
            # Nothing was lost, and what was refused is on record.
            self.assertEqual(server.api("GET", "/models")["data"]["total_count"], 1)
            records = server.api("GET", "/audit?limit=100")["data"]["records"]
            results = [record["result"] for record in records]
            self.assertGreaterEqual(results.count("permission_denied"), 3)
            self.assertEqual(results[-1], "ok")
            self.assertEqual(records[-1]["principal"], "anonymous")
            self.assertEqual(records[-1]["address"], "127.0.0.1")

    def test_a_file_that_changed_since_is_not_loaded(self):
        model = self.copy_of_starter("model")
        with CatalogServer(self.catalog) as server:
            server.register("m", model)
            server.api("POST", "/load", {"model_id": "m"})
            server.api("POST", "/unload", {"model_id": "m"})
            weights = next(model.glob("*.safetensors"))
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.unlink()
            weights.write_bytes(data)
            reply = server.request("POST", API + "/load", {"model_id": "m"})
            self.assertGreaterEqual(reply.status, 400)
            reason = server.api("GET", "/models")["data"]["models"][0]
            self.assertEqual(reason["state"], "failed")
            self.assertIn("another content", reason["reason"])
            metrics = server.api("GET", "/metrics")["data"]["performance_metrics"]
            self.assertEqual((metrics["successful_loads"], metrics["failed_loads"]), (1, 1))

    def test_versions_are_loaded_side_by_side_and_moved_at_once(self):
        with CatalogServer(self.catalog) as server:
            server.register("m")
            server.register("m")
            server.api("POST", "/load", {"model_id": "m", "version": "1"})
            server.api("POST", "/load", {"model_id": "m", "version": "2"})
            states = {m["version"]: (m["state"], m["live"])
                      for m in server.api("GET", "/models")["data"]["models"]}
            self.assertEqual(states, {"1": ("ready", True), "2": ("ready", False)})
            loads = lambda: server.api("GET", "/metrics")["data"]["performance_metrics"]["total_loads"]
            before = loads()
            again = server.api("POST", "/load", {"model_id": "m:2", "force_reload": True})
            self.assertEqual(again["message"], "Model loaded successfully")
            self.assertEqual(loads(), before + 1)
            detail = server.api("GET", "/models/m?version=2")["data"]["model_allocation"]
            self.assertEqual(detail["version"], "2")
            done = server.api("POST", "/update", {"model_id": "m", "new_version": "2",
                                                  "strategy": "at_once", "wait": True})
            self.assertTrue(done["data"]["update_successful"])
            live = [m["version"] for m in server.api("GET", "/models")["data"]["models"] if m["live"]]
            self.assertEqual(live, ["2"])
            reply = server.request("POST", API + "/update",
                                   {"model_id": "m", "new_version": "9", "wait": True})
            self.assertEqual(reply.status, 404)
            body = reply.json()
            self.assertEqual(body["status"], "failed")
            self.assertFalse(body["data"]["update_successful"])
            server.api("DELETE", "/models/m?version=2", status=409)  # live, and another exists

    def test_which_versions_are_served_is_a_policy_that_is_kept(self):
        with CatalogServer(self.catalog) as server:
            for _ in range(3):
                server.register("m")
            ask = lambda model: server.request("POST", "/v1/completions", {
                "model": model, "prompt": "Once", "max_tokens": 2, "temperature": 0}).status
            self.assertEqual([ask(f"m:{v}") for v in "123"], [200, 200, 200])
            done = server.api("POST", "/version_policy", {"model_id": "m", "policy": "latest"})
            self.assertEqual(done["data"]["version_policy"], "latest:1")
            self.assertEqual([ask(f"m:{v}") for v in "123"], [200, 404, 200])  # 1 is the live one
            server.api("POST", "/version_policy", {"model_id": "m", "policy": "newest"}, status=400)
            server.api("POST", "/version_policy", {"model_id": "none", "policy": "all"}, status=404)
            self.assertEqual(server.api("GET", "/audit")["data"]["records"][0]["action"], "policy")
            server.kill()
        with CatalogServer(self.catalog) as server:
            self.assertEqual([ask(f"m:{v}") for v in "123"], [200, 404, 200])
            server.register("m")
            self.assertEqual([ask(f"m:{v}") for v in "1234"], [200, 404, 404, 200])
            server.api("POST", "/version_policy", {"model_id": "m", "policy": "specific:2,3"})
            self.assertEqual([ask(f"m:{v}") for v in "1234"], [200, 200, 200, 404])
        with CatalogServer("off", "--lazy-load", "--version-policy", "m=latest",
                           models=(f"m:1={STARTER}", f"m:2={STARTER}", f"m:3={STARTER}")) as server:
            self.assertEqual([ask(f"m:{v}") for v in "123"], [200, 404, 200])

    def test_other_dialects_know_models_that_are_not_loaded(self):
        with CatalogServer(self.catalog, "--lazy-load") as server:
            server.register("m:1")
            server.register("m:2", STARTER.parent / "starter-draft")
            tags = lambda: server.request("GET", "/api/tags").json()["models"]
            self.assertEqual([(m["name"], m["details"]["format"]) for m in tags()],
                             [("m", "safetensors"), ("m:2", "safetensors")])
            self.assertEqual(server.request("GET", "/v2/models/m/ready").status, 400)
            self.assertEqual(server.request("GET", "/v2/models/none/ready").status, 404)
            self.assertEqual(server.request("GET", "/api/ps").json()["models"], [])

            chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False,
                    "keep_alive": 300, "options": {"num_predict": 2}}
            self.assertEqual(server.request("POST", "/api/chat", chat).status, 200)
            self.assertEqual(server.request("GET", "/v2/models/m/ready").status, 200)
            self.assertEqual(server.request("GET", "/v2/models/m").json()["versions"], ["1", "2"])
            running = server.request("GET", "/api/ps").json()["models"]
            self.assertEqual([m["name"] for m in running], ["m"])
            expires = datetime.datetime.fromisoformat(running[0]["expires_at"][:19] + "+00:00")
            left = expires - datetime.datetime.now(datetime.timezone.utc)
            self.assertTrue(0 < left.total_seconds() <= 300, running[0]["expires_at"])

            gone = {"model": "m", "messages": [], "keep_alive": 0}
            self.assertEqual(server.request("POST", "/api/chat", gone).json()["done_reason"], "unload")
            deadline = time.monotonic() + 20
            while server.request("GET", "/api/ps").json()["models"] and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertEqual([m["name"] for m in tags()], ["m", "m:2"])

    def test_paths_of_other_dialects_are_refused_in_their_form(self):
        with CatalogServer(self.catalog) as server:
            for method, path, status, read in (
                    ("POST", "/api/pull", 404, lambda body: body["error"]),
                    ("GET", "/api/chat", 405, lambda body: body["error"]),
                    ("POST", "/v2/repository/index", 404, lambda body: body["error"]),
                    ("GET", "/v1/messages", 405, lambda body: body["error"]["message"]),
                    ("POST", "/v1/none", 404, lambda body: body["error"]["message"])):
                reply = server.request(method, path, {} if method == "POST" else None)
                self.assertEqual(reply.status, status, path)
                self.assertIn("path", read(reply.json()), path)
            self.assertEqual(server.request("GET", "/v1/messages").json()["type"], "error")

    def test_sleep_and_the_words_of_llama_cpp(self):
        with CatalogServer(self.catalog) as server:
            server.register("m")
            state = lambda: server.api("GET", "/models")["data"]["models"][0]["state"]
            reply = server.request("POST", "/models/load", {"model": "m"})
            self.assertEqual((reply.status, reply.json(), state()), (200, {"success": True}, "ready"))
            server.api("POST", "/sleep", {"model_id": "m"})
            self.assertEqual(state(), "sleeping")
            reply = server.request("POST", "/v1/completions", {
                "model": "m", "prompt": "Once", "max_tokens": 2, "temperature": 0})
            self.assertEqual((reply.status, state()), (200, "ready"))
            reply = server.request("POST", "/models/unload", {"model": "m"})
            self.assertEqual((reply.status, reply.json(), state()), (200, {"success": True}, "unloaded"))
            self.assertEqual(server.request("POST", "/models/load", {"model": "none"}).status, 404)
            # A model in memory can be removed, too.
            server.api("POST", "/load", {"model_id": "m"})
            self.assertTrue(server.api("DELETE", "/models/m")["data"]["removed"])
            self.assertEqual(server.request("POST", "/models/load", {"model": "m"}).status, 404)
            self.assertEqual(server.request("GET", "/health").status, 200)
            actions = [r["action"] for r in server.api("GET", "/audit")["data"]["records"]]
            self.assertEqual(actions, ["remove", "load", "unload", "sleep", "load", "register"])

    def test_an_update_to_a_version_that_does_not_load_leaves_the_live_one(self):
        model = self.copy_of_starter("model")
        with CatalogServer(self.catalog) as server:
            server.register("m")
            server.register("m", model)
            next(model.glob("*.safetensors")).unlink()
            server.api("POST", "/load", {"model_id": "m"})
            for strategy in ("rollout", "at_once"):
                reply = server.request("POST", API + "/update", {
                    "model_id": "m", "new_version": "2", "wait": True, "strategy": strategy})
                self.assertGreaterEqual(reply.status, 400, strategy)
                body = reply.json()
                self.assertEqual(body["status"], "failed")
                self.assertFalse(body["data"]["update_successful"])
                self.assertFalse(body["data"]["rollback_performed"])
            live = [m for m in server.api("GET", "/models")["data"]["models"] if m["live"]]
            self.assertEqual([(m["version"], m["state"]) for m in live], [("1", "ready")])
            metrics = server.api("GET", "/metrics")["data"]["performance_metrics"]
            self.assertEqual((metrics["zero_downtime_updates"], metrics["failed_updates"]), (0, 2))

    def test_a_rollout_goes_through_its_stages_and_refuses_a_second_one(self):
        policy = {"stages_percent": [50, 100], "extended_percent": [50], "settle_below_half_ms": 300,
                  "settle_from_half_ms": 300, "evidence_timeout_ms": 300}
        with CatalogServer(self.catalog) as server:
            server.register("m")
            server.register("m")
            server.api("POST", "/load", {"model_id": "m"})
            update = {"model_id": "m", "new_version": "2", "policy": policy}
            preview = server.api("POST", "/update", {**update, "dry_run": True})
            self.assertEqual([s["percent"] for s in preview["data"]["stages"]], [50, 100])
            started = server.api("POST", "/update", update, status=202)
            self.assertEqual(started["status"], "accepted")
            server.api("POST", "/update", update, status=409)
            server.api("DELETE", "/models/m?version=1", status=409)
            deadline = time.monotonic() + 60
            while server.api("GET", "/rollouts/m")["data"]["phase"] not in ("completed",):
                self.assertLess(time.monotonic(), deadline, server.api("GET", "/rollouts/m"))
                time.sleep(0.1)
            balance = server.api("GET", "/health/m")["data"]["load_balancer_config"]
            self.assertEqual((balance["current_version"], balance["previous_version"]), ("2", "1"))
            metrics = server.api("GET", "/metrics")["data"]["performance_metrics"]
            self.assertEqual(metrics["zero_downtime_updates"], 1)
            actions = [r["action"] for r in server.api("GET", "/audit")["data"]["records"]]
            self.assertIn("rollout.start", actions)
            self.assertIn("rollout.completed", actions)
            # Back again, waiting for the end.
            done = server.api("POST", "/update", {"model_id": "m", "new_version": "1",
                                                  "policy": policy, "wait": True})
            self.assertTrue(done["data"]["update_successful"])
            server.api("POST", "/rollouts/abort", {"model_id": "m"}, status=404)

    def test_events_are_streamed_and_can_be_taken_up_again(self):
        with CatalogServer(self.catalog) as server:
            with server.connect() as sock:
                sock.sendall(server.encode("GET", API + "/events", None))
                stream = sock.makefile("rb")
                self.assertIn(b"200", stream.readline())
                while stream.readline().strip():
                    pass
                server.register("m")
                server.api("POST", "/load", {"model_id": "m"})
                text = b""
                for chunk in read_chunks(stream):
                    text += chunk
                    if b'"ready"' in text:
                        break
                self.assertIn(b"event: catalog", text)
                self.assertIn(b"event: state", text)
            with server.connect() as sock:
                sock.sendall(server.encode("GET", API + "/events?after=0", None))
                stream = sock.makefile("rb")
                while stream.readline().strip():
                    pass
                text = b""
                for chunk in read_chunks(stream):
                    text += chunk
                    if b'"ready"' in text:
                        break
                self.assertIn(b"id: 1\n", text)

    def test_a_thousand_models_are_listed_quickly(self):
        with CatalogServer(self.catalog) as server:
            for i in range(1000):
                server.register(f"group/model-{i}", digests=False)
            times = []
            for _ in range(7):
                begin = time.perf_counter()
                listed = server.api("GET", "/models")["data"]
                times.append(time.perf_counter() - begin)
            self.assertEqual(listed["total_count"], 1000)
            print(f"1,000 models: listing {1000 * min(times):.1f} ms, "
                  f"resident {server.resident_bytes() / 1e6:.0f} MB")


class Restart(CatalogCase):
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        with CatalogServer(self.catalog) as server:
            server.register("a", tags=["x"], pinned=True)
            server.register("a")
            server.api("POST", "/alias", {"alias": "best", "model_id": "a:2"})
            server.kill()
        with CatalogServer(self.catalog) as server:
            models = {m["version"]: m for m in server.api("GET", "/models")["data"]["models"]}
            self.assertEqual(set(models), {"1", "2"})
            self.assertTrue(models["1"]["pinned"])
            reply = server.request("POST", "/v1/completions", {
                "model": "best", "prompt": "Once", "max_tokens": 2, "temperature": 0})
            self.assertEqual(reply.status, 200, reply.body)
            self.assertGreaterEqual(len(server.api("GET", "/audit")["data"]["records"]), 3)

    def test_a_second_server_is_told_who_holds_the_catalog(self):
        with CatalogServer(self.catalog) as server:
            second = inferneo("serve", "--catalog", self.catalog, "--port", free_port())
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"process {server.process.pid}", second.stderr)
            self.assertIn(f"http://127.0.0.1:{server.port}", second.stderr)

    def test_a_damaged_catalog_is_explained_and_kept(self):
        inferneo("models", "register", f"m={STARTER}", "--catalog", self.catalog)
        data = bytearray(self.catalog.read_bytes())
        at = data.find(str(STARTER).encode())
        self.assertGreater(at, 0)
        data[at] ^= 1
        self.catalog.write_bytes(data)
        refused = inferneo("serve", "--catalog", self.catalog, "--port", free_port())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("do not add up", refused.stderr)
        self.assertIn("put back a copy", refused.stderr)
        self.assertEqual(self.catalog.read_bytes(), bytes(data))

    def test_a_full_disk_refuses_a_change_and_loses_nothing(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (62_000, 62_000))
        inferneo("models", "register", f"first={STARTER}", "--catalog", self.catalog)
        refused = None
        for i in range(60):
            result = inferneo("models", "register", f"m{i}={STARTER}", "--no-digests", "--catalog",
                              self.catalog, "--tag", "t" * 128, preexec_fn=limit)
            if result.returncode != 0:
                refused = result
                break
        self.assertIsNotNone(refused, "the limit was never met")
        self.assertIn("disk", refused.stderr)
        self.assertGreater(refused.returncode, 0)  # an answer, no signal
        listed = json.loads(inferneo("models", "list", "--json", "--catalog", self.catalog).stdout)
        self.assertEqual(listed["data"]["total_count"], 1 + i)


class CommandLine(CatalogCase):
    def setUp(self):
        super().setUp()
        self.env = {"XDG_STATE_HOME": str(self.directory / "state"),
                    "INFERNEO_PORT": str(free_port())}

    def models(self, *arguments, code=0):
        result = inferneo("models", *arguments, env=self.env)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result.stdout if code == 0 else result.stderr

    def test_without_a_server_the_catalog_itself_is_used(self):
        self.assertIn("No models are registered", self.models("list"))
        self.assertIn("'starter:1' registered", self.models("register", STARTER, "--alias", "best"))
        self.models("register", f"team/x:7={STARTER}", "--set", "context_tokens_max=512",
                    "--tag", "small", "--pin", "--no-digests")
        listed = self.models("list")
        self.assertIn("team/x:7", listed)
        self.assertIn("live, pinned", listed)
        shown = json.loads(self.models("show", "team/x", "--json"))["data"]["model_allocation"]
        self.assertEqual(shown["registration"]["config"], {"context_tokens_max": "512"})
        self.assertIn("best", self.models("alias"))
        self.models("pin", "team/x", "--off")
        self.models("set", "team/x", "--tag", "tiny")
        draft = str(STARTER.parent / "starter-draft")
        self.models("set", "team/x", "--path", draft, "--preload")
        shown = json.loads(self.models("show", "team/x", "--json"))["data"]["model_allocation"]
        self.assertEqual({key: shown["registration"][key] for key in ("path", "preload", "tags")},
                         {"path": draft, "preload": True, "tags": ["tiny"]})
        self.models("set", "team/x", "--no-preload")
        shown = json.loads(self.models("show", "team/x", "--json"))["data"]["model_allocation"]
        self.assertIs(shown["registration"]["preload"], False)
        self.assertIn("give --path", self.models("set", "team/x", code=1))
        self.models("remove", "team/x:7")
        self.assertIn("alias", self.models("remove", "starter", code=1))
        self.models("alias", "best", "--remove")
        self.models("register", f"starter:2={STARTER}", "--no-digests")
        removed = inferneo("models", "remove", "starter", env=self.env)
        self.assertEqual((removed.returncode, removed.stderr), (0, ""))
        self.assertIn("unalias", self.models("audit"))
        self.assertTrue((self.directory / "state/inferneo/catalog.db").exists())
        self.assertIn("no server runs", self.models("load", "x", code=1))
        ps = inferneo("ps", env=self.env)
        self.assertEqual(ps.returncode, 1)
        self.assertIn("no server runs", ps.stderr)

    def test_a_running_server_is_found_by_its_catalog_and_by_its_address(self):
        self.models("register", f"m={STARTER}")
        with CatalogServer(self.directory / "state/inferneo/catalog.db") as server:
            self.assertIn("loaded", self.models("load", "m"))
            ps = inferneo("ps", env=self.env)
            self.assertIn("m:1", ps.stdout)
            self.assertIn("ready", ps.stdout)
            by_address = inferneo("ps", "--json", "--address", f"http://127.0.0.1:{server.port}")
            self.assertEqual(json.loads(by_address.stdout)["data"]["models"][0]["model_id"], "m")
            self.models("register", f"m:2={STARTER}", "--no-digests")
            # The example of the documentation is a policy.
            page = (ROOT / "docs" / "rollouts.md").read_text(encoding="utf-8")
            policy = self.directory / "policy.json"
            policy.write_text(page.split("```json\n")[1].split("```")[0])
            update = ("update", "m", "2", "--policy", policy, "--no-rollback", "--dry-run", "--json")
            stages = json.loads(self.models(*update))["data"]["stages"]
            self.assertEqual([stage["percent"] for stage in stages], [10, 50, 100])
            self.assertEqual(stages[1]["settle_ms"], 60000)
            self.assertIsNone(stages[0]["candidate_requests"])  # nobody asks at present
            policy.write_text('{"stages": [50, 100]}')
            self.assertIn("stages_percent", self.models(*update, code=1))
            self.assertIn("now serves version 2", self.models("update", "m", "2", "--at-once", "--wait"))
            self.models("unload", "m:2")
            self.assertIn("No model is in memory", inferneo("ps", env=self.env).stdout)
            records = json.loads(self.models("audit", "m", "--json"))["data"]["records"]
            self.assertEqual(records[0]["action"], "unload")

    def test_a_plain_start_leaves_no_catalog_behind(self):
        environment = {**os.environ, "XDG_STATE_HOME": str(self.directory / "state")}
        with unittest.mock.patch.dict(os.environ, environment):
            with Server() as server:
                reply = server.request("GET", API + "/status").json()
                self.assertFalse(reply["data"]["catalog"]["durable"])
                self.assertEqual(reply["data"]["overview"]["cached_models"], 1)
        self.assertFalse((self.directory / "state").exists())

    def test_help_and_mistakes_teach(self):
        shown = inferneo("models", "register", "--help").stdout
        self.assertIn("NAME[:VERSION]=PATH", shown)
        self.assertIn("Examples:", shown)
        wrong = inferneo("models", "register", "x", "--pinn")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("did you mean '--pin'", wrong.stderr)
        self.assertEqual(inferneo("models").returncode, 2)


class Exposure(CatalogCase):
    def test_an_open_address_may_only_look(self):
        with CatalogServer(self.catalog, "--host", "0.0.0.0", "--allow-unauthenticated") as server:
            server.api("GET", "/models")
            reply = server.request("POST", API + "/register", {"model_id": "m", "path": str(STARTER)})
            self.assertEqual(reply.status, 403)
            self.assertIn("management", reply.json()["detail"])
        with CatalogServer(self.catalog, "--host", "0.0.0.0", "--allow-unauthenticated",
                           "--management", "on") as server:
            reply = server.request("POST", API + "/register", {"model_id": "m", "path": str(STARTER)})
            self.assertEqual(reply.status, 403)
            self.assertIn("model root", reply.json()["detail"])
        with CatalogServer(self.catalog, "--management", "off") as server:
            server.api("GET", "/models", status=404)


if __name__ == "__main__":
    unittest.main()
