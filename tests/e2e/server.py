"""Starts the real program for an end-to-end test and talks HTTP to it over a plain socket.

Standard library only. Every wait has a bound, and the server is always stopped.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STARTER = ROOT / "models" / "starter"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Resident memory of an instrumented program is mostly the sanitizer's own (freed memory is kept back);
# leaks are then found at the end of the process instead.
MEASURES_MEMORY = "INFERNEO_TEST_SANITIZED" not in os.environ


class Reply:
    """Status, headers (lower-case names) and body of one response."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]


def read_reply(stream):
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(read_chunks(stream))
    else:
        body = stream.read(int(headers.get("content-length", 0)))
    return Reply(status, headers, body)


def read_chunks(stream):
    while True:
        line = stream.readline()
        if not line:
            raise ConnectionError("the stream ended before its last chunk")
        size = int(line.split(b";")[0], 16)
        data = stream.read(size)
        stream.read(2)
        if size == 0:
            return
        yield data


class Server:
    """`with Server("--threads", "2") as server:` serves the starter model on a free port."""

    answers_at = "/ready"  # what is answered with 200 once it is up

    def __init__(self, *arguments, models=(str(STARTER),), program=None):
        self.program = program or os.environ["INFERNEO_PROGRAM"]
        self.port = free_port()
        # Only the tests of the notice wait for it.
        if "--shutdown-notice-ms" not in arguments:
            arguments += ("--shutdown-notice-ms", "0")
        # Not the directory of whoever runs the tests.
        self.files = None
        if "--files-dir" not in arguments:
            self.files = tempfile.TemporaryDirectory()
            arguments += ("--files-dir", self.files.name)
        self.command = [self.program, "serve", *models, "--port", str(self.port), *arguments]

    def __enter__(self):
        self.log = open(os.environ.get("INFERNEO_TEST_LOG", os.devnull), "ab")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            try:
                if self.request("GET", self.answers_at).status == 200:
                    return self
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"{self.answers_at} was not answered after 60 s")
            time.sleep(0.02)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        if self.files is not None:
            self.files.cleanup()
        # A sanitizer that found something, a leak at the end too, ends the process with its own code.
        if self.process.returncode != 0:
            raise AssertionError(f"the server ended with {self.process.returncode}")

    def connect(self, timeout=60):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def send(self, raw, timeout=60):
        """Sends raw bytes on a connection of their own and reads one reply."""
        with self.connect(timeout) as sock:
            sock.sendall(raw)
            return read_reply(sock.makefile("rb"))

    def request(self, method, path, body=None, headers=(), timeout=60):
        return self.send(self.encode(method, path, body, headers), timeout)

    def encode(self, method, path, body=None, headers=()):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def events(self, path, body, timeout=60):
        """The data of each server-sent event of a streamed answer, as it arrives."""
        with self.connect(timeout) as sock:
            sock.sendall(self.encode("POST", path, {**body, "stream": True}))
            stream = sock.makefile("rb")
            status = int(stream.readline().split()[1])
            while stream.readline().strip():
                pass
            if status != 200:
                raise RuntimeError(f"status {status}")
            pending = b""
            for chunk in read_chunks(stream):
                pending += chunk
                *whole, pending = pending.split(b"\n\n")
                for event in whole:
                    if event.startswith(b"data: "):
                        yield event[6:].decode()

    def metric(self, name):
        """Sum of a series over its labels."""
        text = self.request("GET", "/metrics").body.decode()
        pattern = re.compile(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", re.M)
        values = [float(value) for value in pattern.findall(text)]
        if not values:
            raise KeyError(name)
        return sum(values)

    def resident_bytes(self):
        """Anonymous and file-backed resident memory of the process."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) * 1024

    def anonymous_bytes(self):
        """The same without mapped files, whose pages come in when first read and are no leak."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M).group(1)) * 1024

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_descriptor_count(self, count_max, seconds=10):
        """The count once it is at most that: a connection that was cut closes after its request."""
        deadline = time.monotonic() + seconds
        while (count := self.descriptor_count()) > count_max and time.monotonic() < deadline:
            time.sleep(0.02)
        return count

    def wait_idle(self, seconds=10):
        """Waits until no request runs and no block of the KV cache is held."""
        deadline = time.monotonic() + seconds
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting", "inferneo_kv_blocks_used")
        while True:
            values = {name: self.metric(name) for name in names}
            if not any(values.values()):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"still held after {seconds} s: {values}")
            time.sleep(0.02)
