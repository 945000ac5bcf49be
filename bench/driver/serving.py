"""The serving rows: both servers under the same load, one after the other in turn."""

import load
from measurements import Row
from stats import spread

SLOTS = 32
CONTEXT = 2304  # holds the 1,900-token prompt and its neighbours' answers
GOODPUT_SECONDS = 30
GOODPUT_RATES = 8  # each 1.6 times the one before


class ServingCase:
    """A plan with the rows that its figures fill."""

    def __init__(self, shape, type_, plan, rows, quick=False, only_client=None):
        self.shape = shape
        self.type = type_
        self.plan = plan
        self.rows = rows
        self.quick = quick
        self.only_client = only_client

    def figures(self, generator, server, vocab):
        before = server.cpu_seconds()
        requests = load.run(generator, server.port, self.plan, vocab, 900)
        cpu = server.cpu_seconds() - before
        if self.only_client is not None:
            requests = [r for r in requests if r["client"] == self.only_client]
        result = load.figures(requests)
        return {**result, "cpu_seconds": cpu, "seconds": result["total_s"]}


def _streams(shape, type_, clients, per_client, prompt, output, commit=None, aim=None, ttft=None,
             quick=False):
    base = f"serve-{clients}-{shape}-{type_}"
    title = f"server, {clients} client{'s' * (clients > 1)}, {shape} {type_}"
    rows = (
        Row(base, title, "tokens_per_s", "tokens/s", commit=commit, aim=aim),
        Row(f"{base}-ttft", f"{title}: TTFT p50", "ttft_p50_s", "s", lower_is_better=True,
            commit=ttft and ttft[0], aim=ttft and ttft[1]),
        Row(f"{base}-ttft-p95", f"{title}: TTFT p95", "ttft_p95_s", "s", lower_is_better=True),
        Row(f"{base}-gap-mean", f"{title}: gap mean", "gap_mean_s", "s", lower_is_better=True),
        Row(f"{base}-gap-p50", f"{title}: gap p50", "gap_p50_s", "s", lower_is_better=True),
        Row(f"{base}-gap", f"{title}: gap p99", "gap_p99_s", "s", lower_is_better=True),
    )
    plan = load.closed_loop(clients, per_client, prompt, output)
    return ServingCase(shape, type_, plan, rows, quick)


CASES = (
    _streams("1.1b", "q8_0", 1, 2, 128, 64),
    _streams("1.1b", "q8_0", 4, 1, 128, 64),
    _streams("1.1b", "q8_0", 16, 1, 128, 64, 3, 5.6, (4, 9), quick=True),
    _streams("1.1b", "q8_0", 32, 1, 128, 64),
    ServingCase(
        "1.1b", "q8_0", load.stall(1900, 256),
        (Row("stall-1.1b-q8_0", "longest gap while a 1,900-token prompt arrives", "gap_max_s", "s",
             lower_is_better=True, bound=0.150),),
        quick=True, only_client=0,
    ),
    ServingCase(
        "1.1b", "q8_0", load.shared_prefix(16, 480, 32, 16),
        (Row("shared-1.1b-q8_0", "16 prompts sharing 480 of 512 tokens, cold: total", "total_s",
             "s", lower_is_better=True, commit=8, aim=20),),
    ),
    _streams("15m", "q8_0", 1, 4, 32, 200),
    _streams("15m", "q8_0", 16, 2, 32, 200),
)

SMOKE = (_streams("tiny", "bf16", 2, 2, 32, 8),)

GOODPUT_ROW = Row("goodput-135m-q8_0", "goodput at equal p99 gap, Poisson, 135m q8_0",
                  "tokens_per_s", "tokens/s", commit=2, aim=4)
GOODPUT_SHAPE, GOODPUT_TYPE = "135m", "q8_0"


COST_SHAPE, COST_TYPE = "15m", "q8_0"
COST_ROW = Row("server-cost-15m-q8_0", "server cost a token over the engine, 15m q8_0", "us",
               "us", lower_is_better=True, bound=60)


def server_cost(rows):
    """From the rows so far: the mean time between tokens at the client less that of the engine alone.
    None when either was not measured."""
    found = {row["id"]: row for row in rows}
    server = found.get(f"serve-1-{COST_SHAPE}-{COST_TYPE}-gap-mean")
    engine = found.get(f"decode-1-{COST_SHAPE}-{COST_TYPE}")
    if not server or not engine:
        return None
    result = {"pairs": server["pairs"], "contended": server["contended"] or engine["contended"]}
    for side in ("ours", "theirs"):
        if side in server and side in engine:
            cost = server[side]["median"] - 1 / engine[side]["median"]
            result[side] = spread([1e6 * cost])
    return result


def _sweep(generator, server, vocab, first_rate):
    """Figures at rising arrival rates, until the server no longer keeps up."""
    points = []
    rate = first_rate
    for index in range(GOODPUT_RATES):
        plan = load.poisson(rate, GOODPUT_SECONDS, seed=index + 1)
        requests = load.run(generator, server.port, plan, vocab, 900)
        point = load.figures(requests)
        point["rate"] = rate
        # Behind by more than the answers in the air when arrivals end.
        point["kept_up"] = point["total_s"] < GOODPUT_SECONDS * 1.25
        points.append(point)
        if not point["kept_up"]:
            break
        rate *= 1.6
    return points


def goodput(generator, servers, vocab, first_rate=0.5):
    """At the p99 gap that the peer has when it still keeps up: who delivers how many tokens?"""
    points = {side: _sweep(generator, server, vocab, first_rate)
              for side, server in servers.items()}
    judge = "theirs" if "theirs" in points else "ours"
    kept = [p for p in points[judge] if p["kept_up"]] or points[judge][:1]
    target = kept[-1]["gap_p99_s"]
    best = {
        side: max((p["tokens_per_s"] for p in ps if p["kept_up"] and p["gap_p99_s"] <= target),
                  default=0.0)
        for side, ps in points.items()
    }
    result = {"pairs": 1, "contended": False, "gap_p99_s": target, "points": points}
    for side, value in best.items():
        result[side] = spread([value])
    if "theirs" in best and best["theirs"] > 0:
        result["ratio"] = spread([best["ours"] / best["theirs"]])
    return result
