"""One run of bench/compare: its programs, its options, its results."""

import json
import os
import subprocess

import machine as machines
import report

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Session:
    """Everything of one run: programs, options, results."""

    def __init__(self, options, machine, peer):
        self.options = options
        self.machine = machine
        self.peer = peer
        self.threads = options.threads or len(os.sched_getaffinity(0))
        self.rows = earlier_rows(options.into) if options.into else []
        self.commit = commit_id()

    def program(self, name):
        return os.path.join(self.options.build, name)

    def our_command(self, path):
        return [self.program("inferneo"), "bench", "--measure", "--model", path, "--threads",
                str(self.threads)]

    def their_command(self, path):
        return self.peer.command(self.program("bench/llama_peer"), path, self.threads)

    def log_path(self, name):
        return os.path.join(self.options.models, f"{name}.log")

    def add(self, row, result):
        report.print_row(row, result)
        record = {**report.record(row, result), "program": self.commit}
        ids = [earlier["id"] for earlier in self.rows]
        if record["id"] in ids:
            self.rows[ids.index(record["id"])] = record
        else:
            self.rows.append(record)
        for path in (self.options.json, self.options.into):
            if path:
                write_json(self, path)

    def commands(self, path):
        commands = {"ours": self.our_command(path)}
        if self.peer:
            commands["theirs"] = self.their_command(path)
        return commands


def commit_id():
    """The commit that was measured, where git and its repository are here."""
    try:
        result = subprocess.run(["git", "-C", SOURCE_DIR, "rev-parse", "--short", "HEAD"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return "unknown"
    return result.stdout.decode().strip() or "unknown"


def earlier_rows(path):
    """The rows of an earlier result, each with the commit that it was measured at."""
    with open(path) as source:
        document = json.load(source)
    if document["machine"] != machines.description():
        raise SystemExit(f"{path} was measured on another machine; --json FILE begins a result")
    return [{"program": document["commit"], **row} for row in document["rows"]]


def document_of(session):
    return {
        "commit": session.commit,
        "machine": machines.description(),
        "threads": session.threads,
        "peer": f"llama.cpp {session.peer.version}" if session.peer else None,
        "quick": session.options.quick,
        "rows": session.rows,
    }


def write_json(session, path):
    with open(path, "w") as out:
        json.dump(document_of(session), out, indent=1)
        out.write("\n")
