"""Restart in place: new processes take over the socket of running ones under load; no request fails.

RESTART_COUNT changes how often (default 4). RESTART_LOAD is the share of the measured capacity that the
clients ask for (default 0.5).
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from server import STARTER, Server, read_reply

COUNT = int(os.environ.get("RESTART_COUNT", "4"))
LOAD = float(os.environ.get("RESTART_LOAD", "0.5"))
CLIENTS = 8
BODY = {"prompt": "Once upon a time", "max_tokens": 12, "temperature": 0}


class Successor:
    """A further process of the same command, started with --takeover."""

    def __init__(self, server, *more):
        self.process = subprocess.Popen([*server.command, "--takeover", *more],
                                        stdout=server.log, stderr=server.log)

    def wait(self, seconds=60):
        return self.process.wait(seconds)


def wait_exit(process, seconds=60):
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise AssertionError("the process did not end")
        time.sleep(0.01)
    return process.returncode


class Load:
    """Clients that ask at a steady rate: half on kept connections, half on new ones, some streaming.

    A client whose connection was closed between two requests opens another one, as every HTTP client
    does; whatever happens to a request that was sent is a finding."""

    def __init__(self, server, rate):
        self.server, self.interval = server, CLIENTS / rate
        self.answered, self.failures, self.pids = 0, [], set()
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, index):
        keeps = index % 2 == 0
        streams = index % 4 >= 2
        connection = None
        due = time.monotonic() + self.interval * index / CLIENTS
        while not self.stopping.is_set():
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + self.interval, time.monotonic() - self.interval)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
                    connection.connect()
                connection.request("POST", "/v1/completions", json.dumps({**BODY, "stream": streams}),
                                   {"Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read().decode()
                whole = text.rstrip().endswith("data: [DONE]") if streams else "text" in text
                with self.lock:
                    self.answered += 1
                    if reply.status != 200 or not whole:
                        self.failures.append((reply.status, text[-200:]))
                if not keeps or reply.will_close:
                    connection.close()
                    connection = None
            except Exception as error:  # every failure of a client is a finding
                with self.lock:
                    self.failures.append(repr(error))
                connection = None
        if connection is not None:
            connection.close()


def capacity(server, seconds=2.0):
    """Requests a second with all clients asking one after the other."""
    count, end = [0] * CLIENTS, time.monotonic() + seconds

    def ask(index):
        while time.monotonic() < end:
            if server.request("POST", "/v1/completions", BODY).status == 200:
                count[index] += 1

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(sum(count) / seconds, 1)


class Restart(unittest.TestCase):
    def setUp(self):
        self.server = Server("--kv-cache-mib", "16", "--drain-timeout-s", "8")
        self.server.__enter__()

    def tearDown(self):
        self.server.__exit__()

    def succeed(self, *more):
        """Starts a successor and waits until the former process has ended."""
        former = self.server.process
        successor = Successor(self.server, *more)
        code = wait_exit(former)
        self.assertIsNone(successor.process.poll(), "the successor ended")
        self.server.process = successor.process
        return code

    def test_no_request_fails_while_processes_replace_each_other(self):
        rate = LOAD * capacity(self.server)
        pids = {self.server.process.pid}
        with Load(self.server, rate) as load:
            time.sleep(0.5)
            for _ in range(COUNT):
                self.assertEqual(self.succeed(), 0)
                pids.add(self.server.process.pid)
                time.sleep(0.3)
            time.sleep(0.5)
        print(f"{COUNT} restarts at {rate:.0f} requests/s: {load.answered} answers, "
              f"{len(load.failures)} failures")
        self.assertEqual(load.failures[:3], [])
        self.assertEqual(len(pids), COUNT + 1)
        self.assertGreater(load.answered, COUNT)

    def test_a_successor_that_cannot_start_leaves_the_running_server_alone(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, True)
        cut = os.path.join(directory, "cut")
        shutil.copytree(STARTER, cut)
        for path in pathlib.Path(cut).glob("*.safetensors"):
            os.truncate(path, path.stat().st_size // 2)
        # The first fails before it asks for the socket, the second after it has it.
        for model in (os.path.join(directory, "none"), cut):
            broken = subprocess.run(
                [self.server.command[0], "serve", model, "--port", str(self.server.port), "--takeover"],
                capture_output=True, timeout=60, check=False)
            self.assertNotEqual(broken.returncode, 0)
        self.assertEqual(self.server.request("POST", "/v1/completions", BODY).status, 200)
        self.assertIsNone(self.server.process.poll())
        self.assertEqual(self.succeed(), 0)
        self.assertEqual(self.server.request("POST", "/v1/completions", BODY).status, 200)

    def test_a_successor_that_fails_with_the_socket_gives_the_catalog_back(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, True)
        catalog = os.path.join(directory, "catalog.db")
        cut = os.path.join(directory, "cut")
        shutil.copytree(STARTER, cut)
        for path in pathlib.Path(cut).glob("*.safetensors"):
            os.truncate(path, path.stat().st_size // 2)
        api = "/api/v1/model_serving"
        with Server("--catalog", catalog, models=(f"m={STARTER}",)) as server:
            register = lambda name: server.request("POST", f"{api}/register", {
                "model_id": name, "path": str(STARTER), "digests": False})
            self.assertEqual(register("before").status, 201)
            for _ in range(2):
                # It takes the socket and the catalog, records its model, and then cannot load it.
                broken = subprocess.run(
                    [server.command[0], "serve", f"cut={cut}", "--port", str(server.port), "--catalog",
                     catalog, "--takeover"], capture_output=True, timeout=60, check=False)
                self.assertNotEqual(broken.returncode, 0)
                self.assertIn(b"cut", broken.stderr)
                deadline = time.monotonic() + 30
                while (reply := server.request("DELETE", f"{api}/models/cut")).status != 200:
                    self.assertLess(time.monotonic(), deadline, reply.body)
                    time.sleep(0.02)
            self.assertIsNone(server.process.poll())
            self.assertEqual(register("after").status, 201)
            self.assertEqual(server.request("POST", "/v1/completions", {**BODY, "model": "after"}).status, 200)
            # And a sound one may come.
            former, server.process = server.process, Successor(server).process
            self.assertEqual(wait_exit(former), 0)
            listed = server.request("GET", f"{api}/models").json()["data"]["models"]
            self.assertEqual({"m", "before", "after"}, {model["model_id"] for model in listed})

    def test_a_running_stream_ends_on_the_process_it_began_on(self):
        body = {**BODY, "max_tokens": 400, "ignore_eos": True, "stream": True}
        with self.server.connect() as sock:
            sock.sendall(self.server.encode("POST", "/v1/completions", body))
            stream = sock.makefile("rb")
            self.assertIn(b"200", stream.readline())
            self.assertEqual(self.succeed(), 0)
            self.assertTrue(stream.read().rstrip().endswith(b"0"))  # the last chunk

    def test_an_idle_connection_gets_its_answer_and_is_then_closed(self):
        with self.server.connect() as sock:
            sock.sendall(self.server.encode("GET", "/ready"))
            self.assertEqual(read_reply(sock.makefile("rb")).status, 200)
            successor = Successor(self.server)
            deadline = time.monotonic() + 30
            while not self.leaving():
                self.assertLess(time.monotonic(), deadline, "the former process still listens")
                time.sleep(0.02)
            sock.sendall(self.server.encode("POST", "/v1/completions", BODY))
            reply = read_reply(sock.makefile("rb"))
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.headers.get("connection"), "close")
        self.assertEqual(wait_exit(self.server.process), 0)
        self.server.process = successor.process

    def leaving(self):
        """The running process listens no more."""
        listing = subprocess.run(["ls", "-l", f"/proc/{self.server.process.pid}/fd"],
                                 capture_output=True, text=True, check=False).stdout
        inodes = set()
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                fields = line.split()
                if fields[3] == "0A" and fields[1].endswith(f":{self.server.port:04X}"):
                    inodes.add(fields[9])
        return not any(f"socket:[{inode}]" in listing for inode in inodes)

    def test_takeover_without_a_server_starts_afresh(self):
        self.server.process.send_signal(signal.SIGTERM)
        wait_exit(self.server.process)
        self.server.process = Successor(self.server).process
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.server.request("GET", "/ready").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        self.fail("not ready")


if __name__ == "__main__":
    unittest.main()
