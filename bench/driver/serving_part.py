"""The serving rows: both servers run with the same model and get the same load in turn."""

import contextlib
import fnmatch
import sys

import load
import models
import pairs
import peer as peers
import servers
import serving
from line_process import LineProcess, LineProcessError


def backend_of(session, server_peer, path):
    """The backend variant that llama.cpp chooses here, which its server must be told when it runs
    in another root."""
    command = server_peer.command(session.program("bench/llama_peer"), path, session.threads)
    with LineProcess("llama_peer", command, session.log_path("backend")) as process:
        return process.info["backend"]


def start_servers(session, server_peer, path, stack):
    threads = session.threads
    running = {"ours": servers.our_server(session.program("inferneo"), path, serving.SLOTS,
                                          serving.CONTEXT, threads, session.log_path("serve"))}
    stack.enter_context(running["ours"])
    if server_peer:
        backend = backend_of(session, server_peer, path)
        running["theirs"] = servers.their_server(
            server_peer, backend, path, serving.SLOTS, serving.CONTEXT, threads,
            session.log_path("llama-server"))
        stack.enter_context(running["theirs"])
    return running


def measure_case(session, case, running, model):
    generator = session.program("bench/load_generator")
    functions = {side: lambda server=server: case.figures(generator, server, model["vocab"])
                 for side, server in running.items()}
    count = 1 if session.options.quick or session.options.smoke else min(3, session.options.pairs or 3)
    samples = pairs.run_pairs(count, functions["ours"], functions.get("theirs"), session.machine,
                              session.options.patience)
    for row in case.rows:
        session.add(row, pairs.summary(samples, row.key, row.lower_is_better))


def measure_served_model(session, server_peer, shape, type_, cases):
    path, model = models.ensure(
        session.program("bench/make_gguf"), session.options.models, shape, type_)
    generator = session.program("bench/load_generator")
    with contextlib.ExitStack() as stack:
        running = start_servers(session, server_peer, path, stack)
        for server in running.values():
            load.run(generator, server.port, load.closed_loop(2, 1, 64, 8), model["vocab"], 300)
        for case in cases:
            if case is serving.GOODPUT_ROW:
                session.add(case, serving.goodput(generator, running, model["vocab"]))
            else:
                measure_case(session, case, running, model)


def selected_cases(options):
    """By model; the goodput row stands for itself."""
    by_model = {}
    if options.smoke:
        return {(case.shape, case.type): [case] for case in serving.SMOKE}
    for case in serving.CASES:
        if options.quick and not case.quick:
            continue
        if options.only and not any(fnmatch.fnmatch(r.id, options.only) for r in case.rows):
            continue
        by_model.setdefault((case.shape, case.type), []).append(case)
    goodput = serving.GOODPUT_ROW
    if not options.quick and fnmatch.fnmatch(goodput.id, options.only or "*"):
        key = (serving.GOODPUT_SHAPE, serving.GOODPUT_TYPE)
        by_model.setdefault(key, []).append(goodput)
    return by_model


def run(session):
    """False when a model could not be measured."""
    options = session.options
    server_peer = None
    if options.peer != "none":
        server_peer = peers.find_server(options.server_root)
        if not server_peer:
            print("llama-server is not here: only Inferneo's server is measured", file=sys.stderr)
    all_ok = True
    for (shape, type_), cases in selected_cases(options).items():
        try:
            measure_served_model(session, server_peer, shape, type_, cases)
        except (LineProcessError, load.LoadError, servers.ServerError) as error:
            print(f"serving {shape} {type_}: {error}", file=sys.stderr)
            all_ok = False
    cost = serving.server_cost(session.rows)
    if cost:
        session.add(serving.COST_ROW, cost)
    return all_ok
