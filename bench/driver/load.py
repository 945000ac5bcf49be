"""Plans of requests, running them with the load generator, and the figures that come out."""

import itertools
import json
import random
import subprocess

from stats import percentile


# Each run asks with token ids of its own, so that no server finds a prompt of an earlier run in its
# cache.
_SEEDS = itertools.count(1)


class LoadError(Exception):
    pass


def closed_loop(clients, per_client, prompt, output):
    """`clients` that each send a request after the other."""
    return [(client, 0.0, 0, prompt, output)
            for _ in range(per_client) for client in range(clients)]


def stall(prompt, first_output):
    """A stream runs; after 2 s somebody else sends a long prompt."""
    return [(0, 0.0, 0, 32, first_output), (1, 2.0, 0, prompt, 1)]


def shared_prefix(count, shared, own, output):
    return [(client, 0.0, shared, own, output) for client in range(count)]


def poisson(rate, seconds, seed):
    """Chat-like lengths: log-normal, median 100 in and 64 out."""
    source = random.Random(seed)
    plan = []
    at = source.expovariate(rate)
    while at < seconds:
        prompt = min(1024, max(16, round(source.lognormvariate(4.6, 0.8))))
        output = min(256, max(8, round(source.lognormvariate(4.16, 0.6))))
        plan.append((len(plan), at, 0, prompt, output))
        at += source.expovariate(rate)
    return plan


def run(generator, port, plan, vocab, timeout_s):
    """One dictionary a request, in order of the plan."""
    lines = "".join(" ".join(str(word) for word in line) + "\n" for line in plan)
    done = subprocess.run(
        [generator, "--port", str(port), "--model", "bench", "--vocab", str(vocab), "--seed",
         str(next(_SEEDS)), "--timeout", str(timeout_s)],
        input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    requests = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [r for r in requests if r["error"]]
    if failed:
        raise LoadError(f"{len(failed)} of {len(plan)} requests failed, the first with status "
                        f"{failed[0]['status']}: {failed[0]['error']}")
    if done.returncode != 0 or len(requests) != len(plan):
        raise LoadError(done.stderr.decode(errors="replace").strip() or "requests are missing")
    return sorted(requests, key=lambda request: request["index"])


def figures(requests):
    """Times in seconds over all requests."""
    first = [r["event_s"][0] - max(r["due_s"], r["sent_s"]) for r in requests if r["event_s"]]
    gaps = [b - a for r in requests for a, b in zip(r["event_s"], r["event_s"][1:])]
    begin = min(r["sent_s"] for r in requests)
    end = max(r["end_s"] for r in requests)
    tokens = sum(r["tokens"] for r in requests)
    return {
        "requests": len(requests),
        "total_s": end - begin,
        "tokens_per_s": tokens / (end - begin),
        "ttft_p50_s": percentile(first, 0.5),
        "ttft_p95_s": percentile(first, 0.95),
        "gap_mean_s": sum(gaps) / len(gaps) if gaps else 0.0,
        "gap_p50_s": percentile(gaps, 0.5),
        "gap_p99_s": percentile(gaps, 0.99),
        "gap_max_s": max(gaps, default=0.0),
    }
