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
    for measurement in measurements.SMOKE if options.smoke else measurements.MEASUREMENTS:
        if options.quick and not options.smoke and not measurement.quick:
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
        # A run of the long context takes a minute; it is asked once.
        tries = 1 if run.measurement.kind == "long" else 2
        rates[setting] = max(run.measure(engine)[key] for _ in range(tries))
    best = max(rates, key=rates.get)
    engine.reopen(f"flash {best}")
    return best


def start_functions(session, path):
    """{side: function that starts a process}, after one discarded start each."""
    functions = {
        side: lambda side=side, command=command: start_to_first_token(
            side, command, session.log_path(f"{side}-start"))
        for side, command in session.commands(path).items()
    }
    for function in functions.values():
        function()
    return functions


def engine_functions(session, run, engines, notes):
    """{side: function that does one run}, warmed up."""
    kind = run.measurement.kind
    if "theirs" in engines and kind in ("prefill", "decode", "long") and not session.options.quick:
        notes["flash_attention"] = choose_flash_attention(run, engines["theirs"])
    run.warm_up(list(engines.values()))
    return {side: lambda engine=engine: run.measure(engine) for side, engine in engines.items()}


def pair_count(options, measurement):
    if measurement.kind == "memory" or options.smoke:
        return 1
    return options.pairs or (3 if options.quick else measurement.pairs)


def measure(session, measurement, model, path, engines):
    """Runs one measurement and adds its rows."""
    notes = {}
    if measurement.kind == "start":
        functions = start_functions(session, path)
    else:
        run = measurements.Run(measurement)
        functions = engine_functions(session, run, engines, notes)
    taken = measurement.kind == "taken"
    with machines.one_core_taken() if taken else contextlib.nullcontext():
        samples = pairs.run_pairs(
            pair_count(session.options, measurement), functions["ours"], functions.get("theirs"),
            None if taken else session.machine, session.options.patience)
    ceilings = session.machine.ceilings()
    for row in measurement.rows:
        if row.key not in samples[0].ours:
            continue
        result = pairs.summary(samples, row.key, row.lower_is_better)
        rates = {side: result[side]["median"] for side in ("ours", "theirs") if side in result}
        if row.limit:
            result["shares"] = measurements.ceiling_shares(
                row, model, measurement.numbers, rates, ceilings)
        session.add(row, {**result, "ceilings": ceilings, **notes})


def measure_model(session, shape, type_, chosen):
    """All measurements of one model file with both programs loaded."""
    path, model = models.ensure(
        session.program("bench/make_gguf"), session.options.models, shape, type_)
    with contextlib.ExitStack() as stack:
        engines = {}
        for side, command in session.commands(path).items():
            process = LineProcess(side, command, session.log_path(side))
            stack.enter_context(process)
            engines[side] = measurements.Engine(process, model)
        for measurement in chosen:
            measure(session, measurement, model, path, engines)


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
