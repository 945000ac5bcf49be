"""What is measured: each measurement runs on one model file and fills one or more rows."""

from dataclasses import dataclass, field

RUN_SECONDS = 1.5  # of the slower engine; a run of the faster one is shorter for the same work
DECODE_PROMPT = 16
LONG_CONTEXT = 8192


@dataclass(frozen=True)
class Row:
    id: str
    title: str
    key: str  # of the samples
    unit: str
    limit: str = ""  # which ceiling it is a share of: "prefill", "decode", or none
    lower_is_better: bool = False
    commit: float | None = None  # ratio that must be reached
    aim: float | None = None
    bound: float | None = None  # for figures that are judged alone: at most this


@dataclass(frozen=True)
class Measurement:
    kind: str
    shape: str
    type: str
    rows: tuple
    numbers: dict = field(default_factory=dict)
    quick: bool = False
    pairs: int = 7


def _prefill(shape, type_, tokens, commit, aim, quick=False):
    row = Row(
        f"prefill-{tokens}-{shape}-{type_}", f"prefill {tokens}, {shape} {type_}", "rate",
        "tokens/s", "prefill", commit=commit, aim=aim,
    )
    return Measurement("prefill", shape, type_, (row,), {"tokens": tokens}, quick)


def _decode(shape, type_, batch, commit, aim, quick=False):
    streams = "1 stream" if batch == 1 else f"{batch} streams"
    rows = [
        Row(
            f"decode-{batch}-{shape}-{type_}", f"decode, {streams}, {shape} {type_}", "rate",
            "tokens/s", "decode", commit=commit, aim=aim,
        )
    ]
    if batch == 1:
        rows.append(
            Row(
                f"host-{shape}-{type_}", f"engine time outside kernels, {shape} {type_}",
                "host_us_per_step", "us/step", lower_is_better=True, bound=30,
            )
        )
    return Measurement("decode", shape, type_, tuple(rows), {"batch": batch}, quick)


def _taken(shape, type_):
    row = Row(f"taken-{shape}-{type_}", f"decode, one core taken by another process, {shape} {type_}",
              "rate", "tokens/s", commit=1.5, aim=2.5)
    return Measurement("taken", shape, type_, (row,), {"batch": 1})


def _long(shape, type_):
    rows = (
        Row(f"long-prefill-{shape}-{type_}", f"8K context: prefill, {shape} {type_}",
            "prompt_rate", "tokens/s", "long-prefill", commit=1.4, aim=2),
        Row(f"long-decode-{shape}-{type_}", f"8K context: decode, {shape} {type_}",
            "rate", "tokens/s", "long-decode", commit=1.4, aim=2),
    )
    return Measurement("long", shape, type_, rows, {"tokens": 32}, pairs=3)


def _start(shape, type_, quick=False):
    row = Row(f"start-{shape}-{type_}", f"start to first token, {shape} {type_}", "seconds", "s",
              lower_is_better=True, commit=2, aim=10)
    return Measurement("start", shape, type_, (row,), {}, quick)


def _memory(shape, type_, quick=False):
    row = Row(f"memory-{shape}-{type_}", f"resident memory / (weights + KV), {shape} {type_}",
              "memory_ratio", "", lower_is_better=True, bound=1.10)
    return Measurement("memory", shape, type_, (row,), {}, quick, pairs=1)


MEASUREMENTS = (
    _prefill("1.1b", "q8_0", 512, 3, 5.2, quick=True),
    _decode("1.1b", "q8_0", 1, 1.35, 1.8, quick=True),
    _decode("1.1b", "q8_0", 2, None, None),
    _decode("1.1b", "q8_0", 8, 3, 5.5),
    _decode("1.1b", "q8_0", 32, 4, 6.9, quick=True),
    _long("1.1b", "q8_0"),
    _memory("1.1b", "q8_0"),
    _prefill("1.1b", "q4_0", 512, 1.7, 2.7, quick=True),
    _decode("1.1b", "q4_0", 1, 1.35, 1.8, quick=True),
    _decode("1.1b", "q4_0", 32, 2, 3.3),
    _taken("1.1b", "q4_0"),
    _start("1.1b", "q4_0", quick=True),
    _memory("1.1b", "q4_0", quick=True),
    _prefill("1.1b", "q4_k_m", 512, 2.3, 4),
    _decode("1.1b", "q4_k_m", 1, None, None),
    _decode("1.1b", "q4_k_m", 32, 3, 4.7),
    _prefill("1.1b", "bf16", 512, 1.3, 1.75),
    _decode("1.1b", "bf16", 1, None, None),
    _decode("1.1b", "bf16", 32, 1.7, 2.6),
    _prefill("135m", "q8_0", 512, 3, 5.5, quick=True),
    _decode("135m", "q8_0", 1, 1.7, 2.5, quick=True),
    _decode("135m", "q8_0", 32, None, None),
    _decode("15m", "q8_0", 1, None, None),
    _prefill("0.5b", "q4_0", 512, None, None),
    _decode("0.5b", "q4_0", 1, None, None),
    _prefill("1b", "q4_k_m", 512, None, None),
    _decode("1b", "q4_k_m", 1, None, None),
    _prefill("8b-8", "q4_0", 512, None, None),
    _decode("8b-8", "q4_0", 1, None, None),
    _prefill("8b-8", "q4_k_m", 512, None, None),
    _decode("8b-8", "q4_k_m", 1, None, None),
)

SMOKE = (
    _prefill("tiny", "bf16", 64, None, None),
    _decode("tiny", "bf16", 1, None, None),
    _decode("tiny", "bf16", 4, None, None),
    _taken("tiny", "bf16"),
    _start("tiny", "bf16"),
    _memory("tiny", "bf16"),
)


class Engine:
    """One of the two programs with a loaded model; what a measurement asks of it."""

    def __init__(self, process, model):
        self.process = process
        self.model = model
        self._open = None

    def open(self, context, sequences):
        if self._open != (context, sequences):
            self.process.ask(f"open {context} {sequences}")
            self._open = (context, sequences)

    def reopen(self, line=None):
        """Forgets the context, for settings that only a fresh one takes up."""
        if line:
            self.process.ask(line)
        self._open = None

    def prefill(self, tokens, repeats=1):
        total = {"seconds": 0.0, "cpu_seconds": 0.0, "tokens": 0}
        for _ in range(repeats):
            answer = self.process.ask(f"prefill {tokens}")
            for key in total:
                total[key] += answer[key]
        return {**total, "rate": total["tokens"] / total["seconds"]}

    def decode(self, batch, prompt, tokens):
        answer = self.process.ask(f"decode {batch} {prompt} {tokens}")
        answer["rate"] = answer["tokens"] / answer["seconds"]
        answer["prompt_rate"] = batch * prompt / max(answer["prompt_seconds"], 1e-9)
        return answer

    def memory(self, context):
        """A context that is filled, and what then lies in memory."""
        self.open(context, 1)
        self.prefill(context - 16)
        resident = self.process.resident_bytes()
        needed = self.model["file_bytes"] + context * self.model["kv_bytes_per_token"]
        return {"memory_ratio": resident / needed, "resident_bytes": resident, "seconds": 0}


class Run:
    """A measurement with the amount of work chosen so that both engines do the same."""

    def __init__(self, measurement):
        self.measurement = measurement
        self._numbers = dict(measurement.numbers)

    def open(self, engine):
        kind = self.measurement.kind
        if kind == "prefill":
            engine.open(self._numbers["tokens"] + 32, 1)
        elif kind in ("decode", "taken"):
            engine.open(DECODE_PROMPT + 256, self._numbers["batch"])
        elif kind == "long":
            engine.open(LONG_CONTEXT + 64, 1)

    def warm_up(self, engines):
        """One discarded run each; sets the amount of work by the slower one."""
        kind = self.measurement.kind
        for engine in engines:
            self.open(engine)
        if kind == "prefill":
            tokens = self._numbers["tokens"]
            slowest = max(min(e.prefill(tokens)["seconds"] for _ in range(2)) for e in engines)
            self._numbers["repeats"] = max(1, min(16, round(RUN_SECONDS / slowest)))
        if kind in ("decode", "taken"):
            batch = self._numbers["batch"]
            probes = [engine.decode(batch, DECODE_PROMPT, 8) for engine in engines]
            steps = RUN_SECONDS * min(p["rate"] for p in probes) / batch
            self._numbers["tokens"] = max(8, min(240, round(steps)))

    def measure(self, engine):
        kind = self.measurement.kind
        self.open(engine)
        if kind == "prefill":
            return engine.prefill(self._numbers["tokens"], self._numbers["repeats"])
        if kind in ("decode", "taken"):
            return engine.decode(self._numbers["batch"], DECODE_PROMPT, self._numbers["tokens"])
        if kind == "long":
            return engine.decode(1, LONG_CONTEXT, self._numbers["tokens"])
        if kind == "memory":
            return engine.memory(2048)
        raise ValueError(kind)


def ceiling_shares(row, model, numbers, rates, ceilings):
    """{ceiling name: share} of what `rate` tokens a second need, for both sides' rates."""
    quantised = model["type"] not in ("bf16", "f16", "f32")
    names = ("int8_tiles", "int8_dot") if quantised else ("bf16_tiles", "bf16_dot", "f32_fma")
    arithmetic = next((n for n in names if f"{n}_op_per_s" in ceilings), None)
    batch = numbers.get("batch", 1)
    long = row.limit.startswith("long")
    context = LONG_CONTEXT if long else DECODE_PROMPT
    shares = {}
    for side, rate in rates.items():
        share = {}
        if row.limit.endswith("prefill"):
            tokens = LONG_CONTEXT if long else numbers["tokens"]
            ops = 2 * model["layer_parameters"] + 2 * model["head_parameters"] / tokens
            ops += 2 * tokens * model["attention_width"]
            if arithmetic:
                share[arithmetic] = rate * ops / ceilings[f"{arithmetic}_op_per_s"]
        elif row.limit.endswith("decode"):
            step_bytes = model["step_bytes"] + batch * context * model["kv_bytes_per_token"]
            share["read"] = rate / batch * step_bytes / ceilings["read_bytes_per_s"]
            ops = 2 * (model["layer_parameters"] + model["head_parameters"])
            if arithmetic and batch > 1:
                share[arithmetic] = rate * ops / ceilings[f"{arithmetic}_op_per_s"]
        if share:
            name = max(share, key=share.get)
            shares[side] = {"ceiling": name, "share": share[name]}
    return shares
