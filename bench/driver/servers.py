"""The two servers as processes: the same model file, the same resources."""

import http.client
import os
import socket
import subprocess
import time


class ServerError(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Owns the process; `command` is a function of the port. Ready once `ready_path` says 200."""

    def __init__(self, name, command, ready_path, log_path, environment=None, timeout_s=300):
        self.name = name
        self.port = free_port()
        self._log_path = log_path
        self._log = open(log_path, "wb")
        self._process = subprocess.Popen(
            command(self.port), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env={**os.environ, **(environment or {})},
        )
        self._wait_until_ready(ready_path, timeout_s)

    def cpu_seconds(self):
        """Processor time of the process so far."""
        with open(f"/proc/{self._process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wait_until_ready(self, path, timeout_s):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.close()
        with open(self._log_path, "rb") as log:
            words = log.read()[-1000:].decode(errors="replace")
        raise ServerError(f"{self.name} did not get ready: {words}")


def our_server(program, model_path, slots, context, threads, log_path):
    """`context` tokens for each of `slots` requests, as the peer gets them."""

    def command(port):
        return [
            program, "serve", f"bench={model_path}", "--port", str(port), "--threads",
            str(threads), "--context-tokens-max", str(context),
            "--running-sequence-count-max", str(slots), "--log-level", "warning",
        ]

    return Server("inferneo", command, "/ready", log_path)


def their_server(peer, backend, model_path, slots, context, threads, log_path):
    """llama-server with flash attention and its default batch sizes."""

    def command(port):
        return [
            *peer.server_command(), "--model", model_path, "--alias", "bench", "--host",
            "127.0.0.1", "--port", str(port), "--threads", str(threads), "--parallel", str(slots),
            "--ctx-size", str(slots * context), "--flash-attn", "on", "--no-webui",
        ]

    return Server("llama-server", command, "/health", log_path, {"GGML_BACKEND_PATH": backend})
