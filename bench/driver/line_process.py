"""A program that answers each line on stdin with one JSON object on stdout."""

import json
import select
import subprocess


class LineProcessError(Exception):
    pass


class LineProcess:
    """Owns the process; close() ends it. The first line it prints must say {"ready": true}."""

    def __init__(self, name, command, log_path, start_timeout_s=300):
        self.name = name
        self._log_path = log_path
        self._log = open(log_path, "wb")
        self._buffer = b""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        self.info = self._read(start_timeout_s)
        if not self.info.get("ready"):
            raise LineProcessError(f"{name} did not get ready: {self.info}")

    @property
    def pid(self):
        return self._process.pid

    def ask(self, line, timeout_s=900):
        """The answer to one line. Raises LineProcessError with what the program said."""
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LineProcessError(f"{self.name} ended: {self._last_words()}") from None
        answer = self._read(timeout_s)
        if "error" in answer:
            raise LineProcessError(f"{self.name}: '{line}': {answer['error']}")
        return answer

    def resident_bytes(self):
        """Pages in memory, those of mapped files included."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, timeout_s):
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([descriptor], [], [], timeout_s)
            if not ready:
                self._process.kill()
                raise LineProcessError(f"{self.name} did not answer within {timeout_s} s")
            piece = self._process.stdout.read1(65536)
            if not piece:
                self._process.wait()
                raise LineProcessError(f"{self.name} ended: {self._last_words()}")
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def _last_words(self):
        self._log.flush()
        with open(self._log_path, "rb") as log:
            return log.read()[-2000:].decode(errors="replace").strip() or "without a word"
