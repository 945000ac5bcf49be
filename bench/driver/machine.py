"""The machine itself: its ceilings, and whether something else is using it right now."""

import contextlib
import json
import os
import subprocess
import sys
import time

# A probe that is this much worse than the best seen in the run means that other work is going on.
TOLERANCE = 0.10
WAIT_LIMIT_S = 20


class Machine:
    """Wraps the machine_limits program. The best probes are kept in a file, so that a run on a
    machine that is busy from start to end is seen as such."""

    def __init__(self, process, best_path):
        self._process = process
        self._best_path = best_path
        self._integer_best_s = float("inf")
        self._read_best = 0.0
        if os.path.exists(best_path):
            with open(best_path) as best:
                self._integer_best_s, self._read_best = json.load(best)

    def ceilings(self):
        return self._process.ask("ceilings")

    def is_clean(self):
        """One probe: an integer loop of 50 ms and a read sweep of 200 ms on all processors."""
        probe = self._process.ask("probe")
        best = (min(self._integer_best_s, probe["integer_s"]),
                max(self._read_best, probe["read_bytes_per_s"]))
        if best != (self._integer_best_s, self._read_best):
            self._integer_best_s, self._read_best = best
            with open(self._best_path, "w") as out:
                json.dump(best, out)
        return (
            probe["integer_s"] <= self._integer_best_s * (1 + TOLERANCE)
            and probe["read_bytes_per_s"] >= self._read_best * (1 - TOLERANCE)
        )

    def wait_until_clean(self, patience_s=WAIT_LIMIT_S, pause_s=1.0):
        """False when it was still busy after `patience_s`."""
        begin = time.monotonic()
        while not self.is_clean():
            if time.monotonic() - begin > patience_s:
                return False
            time.sleep(pause_s)
        return True


def description():
    """What identifies this machine in a result."""
    model = "unknown processor"
    flags = set()
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            if key.strip() == "flags":
                flags = set(value.split())
    interesting = ("avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8",
                   "amx_fp16")
    return {
        "processor": model,
        "processors": len(os.sched_getaffinity(0)),
        "features": [name for name in interesting if name in flags],
    }


@contextlib.contextmanager
def one_core_taken():
    """Another process of equal priority computes on the first processor meanwhile."""
    cpu = min(os.sched_getaffinity(0))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"],
                            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
    try:
        yield
    finally:
        busy.kill()
        busy.wait()
