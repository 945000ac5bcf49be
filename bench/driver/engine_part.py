"""The engine rows: both programs with the same model loaded, asked in turn."""

import contextlib
import fnmatch
import sys
import time

import machine as machines
import measurements
import models
import pairs
from line_process import LineProcess, LineProcessError


def selected(options):
    chosen = []
    if options.smoke:
        return measurements.SMOKE
    for measurement in measurements.MEASUREMENTS:
        if options.quick and not measurement.quick:
            continue
        ids = [row.id for row in measurement.rows]
        if options.only and not any(fnmatch.fnmatch(i, options.only) for i in ids):
            continue
        chosen.append(measurement)
    return chosen


def start_to_first_token(name, command, log_path):
    """A fresh process up to its first token, and back."""
    begin = time.monotonic()
    with LineProcess(name, command, log_path) as process:
        process.ask("open 64 1")
        process.ask("prefill 16")
        return {"seconds": time.monotonic() - begin}


def choose_flash_attention(run, engine):
    """llama.cpp is measured with the setting that suits it better here."""
    rates = {}
    key = run.measurement.rows[0].key
    for setting in ("off", "on"):
        engine.reopen(f"flash {setting}")
        run.warm_up([engine])
        rates[setting] = max(run.measure(engine)[key] for _ in range(2))
    best = max(rates, key=rates.get)
    engine.reopen(f"flash {best}")
    return best


def measure(session, measurement, model, engines):
    """Runs one measurement and prints its rows."""
    options = session.options
    notes = {}
    run = measurements.Run(measurement)
    if measurement.kind == "start":
        commands = session.commands(engines["path"])
        functions = {
            side: lambda side=side: start_to_first_token(
                side, commands[side], session.log_path(side))
            for side in commands
        }
        for function in functions.values():
            function()
    else:
        sides = {s: e for s, e in engines.items() if s != "path"}
        if "theirs" in sides and measurement.kind in ("prefill", "decode") and not options.quick:
            notes["flash_attention"] = choose_flash_attention(run, sides["theirs"])
        run.warm_up(list(sides.values()))
        functions = {
            side: lambda engine=engine: run.measure(engine) for side, engine in sides.items()
        }
    count = 1 if measurement.kind == "memory" else options.pairs or (
        3 if options.quick else 1 if options.smoke else measurement.pairs)
    taken = measurement.kind == "taken"
    with machines.one_core_taken() if taken else contextlib.nullcontext():
        samples = pairs.run_pairs(count, functions["ours"], functions.get("theirs"),
                                  None if taken else session.machine, options.patience)
    ceilings = session.machine.ceilings()
    for row in measurement.rows:
        if row.key not in samples[0].ours:
            continue
        result = pairs.summary(samples, row.key, row.lower_is_better)
        rates = {side: result[side]["median"] for side in ("ours", "theirs") if side in result}
        if row.limit:
            result["shares"] = measurements.ceiling_shares(
                row, model, measurement.numbers, rates, ceilings)
        result["ceilings"] = ceilings
        session.add(row, {**result, **notes})


def measure_model(session, shape, type_, chosen):
    """All measurements of one model file with both programs loaded."""
    path, model = models.ensure(
        session.program("bench/make_gguf"), session.options.models, shape, type_)
    with contextlib.ExitStack() as stack:
        engines = {"path": path}
        for side, command in session.commands(path).items():
            process = LineProcess(side, command, session.log_path(side))
            stack.enter_context(process)
            engines[side] = measurements.Engine(process, model)
        for measurement in chosen:
            measure(session, measurement, model, engines)


def run(session):
    """False when a model could not be measured."""
    by_model = {}
    for measurement in selected(session.options):
        by_model.setdefault((measurement.shape, measurement.type), []).append(measurement)
    all_ok = True
    for (shape, type_), chosen in by_model.items():
        try:
            measure_model(session, shape, type_, chosen)
        except LineProcessError as error:
            print(f"{shape} {type_}: {error}", file=sys.stderr)
            all_ok = False
    return all_ok
