"""Batches survive a restart, are cancelled and refused; run-batch goes on where it stopped."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import time
import unittest

from server import STARTER, Server

PROGRAM = os.environ["INFERNEO_PROGRAM"]


def line(number, **body):
    return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": "/v1/completions",
                       "body": {"prompt": f"The dog {number}", "temperature": 0, **body}})


def form(content, purpose="batch", name="requests.jsonl"):
    parts = [f'--cut\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n',
             f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
             f"{content}\r\n", "--cut--\r\n"]
    return "".join(parts).encode()


def upload(server, body, headers=(), content_type="multipart/form-data; boundary=cut"):
    lines = ["POST /v1/files HTTP/1.1", f"Host: 127.0.0.1:{server.port}",
             f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    return server.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def wait_for(server, batch_id, *states, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        batch = server.request("GET", f"/v1/batches/{batch_id}").json()
        if batch["status"] in states:
            return batch
        if time.monotonic() > deadline:
            raise AssertionError(batch)
        time.sleep(0.05)


def start_batch(server, lines):
    file = upload(server, form("\n".join(lines) + "\n")).json()
    return server.request("POST", "/v1/batches", {
        "input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"}).json()


def results(server, file_id):
    body = server.request("GET", f"/v1/files/{file_id}/content").body.decode()
    return [json.loads(text) for text in body.splitlines()]


class Batches(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def serve(self, *arguments):
        return Server("--files-dir", self.folder.name, *arguments)

    def test_a_batch_goes_on_after_a_restart(self):
        lines = [line(i, max_tokens=400, ignore_eos=True) for i in range(120)]
        with self.serve("--drain-timeout-s", "1") as server:
            batch = start_batch(server, lines)
            deadline = time.monotonic() + 60
            while server.request("GET", f"/v1/batches/{batch['id']}").json()["request_counts"]["completed"] < 3:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
        with self.serve() as server:
            done = wait_for(server, batch["id"], "completed")
            self.assertEqual(done["request_counts"], {"total": 120, "completed": 120, "failed": 0})
            answers = results(server, done["output_file_id"])
            self.assertEqual(sorted(answer["custom_id"] for answer in answers),
                             sorted(f"r{i}" for i in range(120)))

    def test_a_cancelled_batch_keeps_what_it_has(self):
        with self.serve() as server:
            batch = start_batch(server, [line(i, max_tokens=1500, ignore_eos=True) for i in range(500)])
            wait_for(server, batch["id"], "in_progress")
            reply = server.request("POST", f"/v1/batches/{batch['id']}/cancel", b"")
            self.assertIn(reply.json()["status"], ("cancelling", "cancelled"))
            done = wait_for(server, batch["id"], "cancelled")
            self.assertLess(done["request_counts"]["completed"], 500)
            server.wait_idle()

    def test_files_survive_a_restart_and_are_removed(self):
        with self.serve() as server:
            file = upload(server, form("{}\n")).json()
        with self.serve() as server:
            listed = server.request("GET", "/v1/files?limit=1").json()
            self.assertEqual([entry["id"] for entry in listed["data"]], [file["id"]])
            self.assertEqual(server.request("GET", f"/v1/files/{file['id']}/content").body, b"{}\n")
            self.assertTrue(server.request("DELETE", f"/v1/files/{file['id']}").json()["deleted"])
            self.assertEqual(server.request("GET", f"/v1/files/{file['id']}").status, 404)
        left = [path.name for path in pathlib.Path(self.folder.name, "files").iterdir()]
        self.assertEqual(left, [".lock"])

    def test_a_directory_has_one_server(self):
        with self.serve() as server:
            file = upload(server, form("{}\n")).json()
            with self.serve() as second:
                reply = second.request("GET", "/v1/files")
                self.assertEqual(reply.status, 503)
            self.assertEqual(server.request("GET", f"/v1/files/{file['id']}").status, 200)

    def test_bad_uploads_are_refused_by_name(self):
        with self.serve("--files-bytes-max", "100") as server:
            cases = [
                (form("x", purpose="fine-tune"), {}, 400, "purpose"),
                (b"--cut--\r\n", {}, 400, "file"),
                (b"nothing", {}, 400, "boundary"),
                (form("x")[:-20], {}, 400, "end"),
                (form("x"), {"content_type": "multipart/form-data"}, 400, "boundary"),
                (form("x"), {"content_type": "text/plain"}, 415, "multipart/form-data"),
                (form("x" * 200), {}, 429, "100 bytes"),
                (form("x"), {"headers": ["Origin: http://elsewhere.example"]}, 403, "origin"),
            ]
            for body, more, status, part in cases:
                reply = upload(server, body, **more)
                self.assertEqual(reply.status, status, reply.body)
                self.assertIn(part, reply.error()["message"])
            for path in ("/v1/files/file-none", "/v1/files/..%2f..%2fetc%2fpasswd/content",
                         "/v1/batches/batch_none"):
                self.assertEqual(server.request("GET", path).status, 404)
            file = upload(server, form("{}")).json()
            refusals = [
                ({}, 400, "input_file_id"),
                ({"input_file_id": "file-none"}, 404, "file_id"),
                ({"endpoint": "/v1/files"}, 400, "endpoint"),
                ({"completion_window": "1h"}, 400, "completion_window"),
                ({"metadata": {"a": 1}}, 400, "metadata"),
                ({"metdata": {}}, 400, "metdata"),
            ]
            good = {"input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
            for change, status, param in refusals:
                body = {**good, **change} if change else {}
                reply = server.request("POST", "/v1/batches", body)
                self.assertEqual(reply.status, status, reply.body)
                self.assertEqual(reply.error()["param"], param)
            self.assertEqual(server.request("GET", "/health").status, 200)


class CompletionsBatch(unittest.TestCase):
    def test_requests_are_answered_together(self):
        with Server() as server:
            requests = [{"custom_id": "a", "prompt": "The dog", "temperature": 0},
                        {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0},
                        {"prompt": 5}]
            reply = server.request("POST", "/v1/completions/batch", {"requests": requests}).json()
            alone = server.request("POST", "/v1/completions", {"prompt": "The dog", "temperature": 0}).json()
            self.assertEqual([entry["status_code"] for entry in reply["data"]], [200, 200, 400])
            self.assertEqual(reply["data"][0]["custom_id"], "a")
            self.assertEqual(reply["data"][0]["body"]["choices"], alone["choices"])
            self.assertEqual(reply["data"][1]["body"]["object"], "chat.completion")
            self.assertEqual(reply["data"][2]["body"]["error"]["param"], "prompt")
            for body, param in (({}, "requests"), ({"requests": []}, "requests"),
                                ({"requests": [5]}, "requests[0]"),
                                ({"requests": [{"stream": True}]}, "requests[0].stream")):
                refused = server.request("POST", "/v1/completions/batch", body)
                self.assertEqual((refused.status, refused.error()["param"]), (400, param))


class RunBatch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.input = pathlib.Path(self.folder.name, "in.jsonl")
        self.output = pathlib.Path(self.folder.name, "out.jsonl")
        self.command = [PROGRAM, "run-batch", str(self.input), str(self.output), str(STARTER)]

    def run_batch(self):
        return subprocess.run(self.command, capture_output=True, text=True, timeout=120)

    def test_every_line_is_answered_once(self):
        self.input.write_text("\n".join([line(i) for i in range(20)] + ["not json", line(99, top_p=7)]) + "\n")
        done = self.run_batch()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("22 of 22", done.stderr)
        entries = [json.loads(text) for text in self.output.read_text().splitlines()]
        answered = [entry for entry in entries if entry["response"] and entry["response"]["status_code"] == 200]
        self.assertEqual(len(answered), 20)
        self.assertEqual(sum(entry["error"] is not None for entry in entries), 1)
        before = self.output.read_bytes()
        self.run_batch()
        self.assertEqual(self.output.read_bytes()[:len(before)], before)

    def test_an_interrupted_run_goes_on(self):
        self.input.write_text("\n".join(line(i, max_tokens=300, ignore_eos=True) for i in range(200)) + "\n")
        process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not self.output.exists() or self.output.stat().st_size < 2000:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        first = self.output.read_text().splitlines()
        self.assertLess(len(first), 200)
        with self.output.open("a") as file:
            file.write('{"id": "batch_req_cut')  # as a crash in the middle of a line leaves it
        done = self.run_batch()
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = [json.loads(text)["custom_id"] for text in self.output.read_text().splitlines()]
        self.assertEqual(sorted(ids), sorted(f"r{i}" for i in range(200)))

    def test_a_later_run_tells_of_earlier_failures_and_repeats_nothing(self):
        lines = [line(0), "not json", "{}", line(0, max_tokens=3), line(1, top_p=7), line(2)]
        self.input.write_text("\n".join(lines) + "\n")
        for run in range(2):
            done = self.run_batch()
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("6 of 6 requests", done.stderr)
            self.assertIn("4 failed", done.stderr)
            self.assertNotIn("manager", done.stderr)  # the log of a server
            entries = {entry["custom_id"]: entry
                       for entry in map(json.loads, self.output.read_text().splitlines())}
            self.assertEqual(sorted(entries), ["line-2", "line-3", "line-4", "r0", "r1", "r2"], run)
            self.assertTrue(entries["line-2"]["error"]["message"].startswith("line 2: "))
            self.assertIn("occurs before", entries["line-4"]["error"]["message"])

    def test_a_terminal_sees_how_far_it_is(self):
        self.input.write_text("\n".join(line(i, max_tokens=30, ignore_eos=True) for i in range(90)) + "\n")
        try:
            reader, writer = pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal to be had here: {error}")
        with subprocess.Popen(self.command, stderr=writer, stdout=subprocess.DEVNULL) as process:
            os.close(writer)
            shown = b""
            try:
                while part := os.read(reader, 4096):
                    shown += part
            except OSError:  # how a terminal ends whose other side is closed
                pass
            self.assertEqual(process.wait(60), 0)
        os.close(reader)
        text = shown.decode()
        self.assertRegex(text, r"answering \[=* *\] \d+ of 90")
        # The last words stand on a line of their own.
        self.assertRegex(text, r"\x1b\[K90 of 90 requests answered")

    def test_what_is_no_file_of_lines_is_said(self):
        self.input.mkdir()
        done = self.run_batch()
        self.assertEqual(done.returncode, 1)
        self.assertIn("no file of lines", done.stderr)

    def test_another_file_is_not_overwritten(self):
        self.input.write_text(line(1) + "\n")
        self.output.write_text("precious\n")
        done = self.run_batch()
        self.assertEqual(done.returncode, 1)
        self.assertIn("something else", done.stderr)
        self.assertEqual(self.output.read_text(), "precious\n")


if __name__ == "__main__":
    unittest.main()
