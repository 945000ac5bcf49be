"""Runs the `inferneo` program for a test. Standard library only."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STARTER = ROOT / "models" / "starter"
FIXTURES = ROOT / "tests" / "starter"
sys.path.insert(0, str(ROOT / "tests" / "e2e"))  # server.py


def inferneo(*arguments, stdin="", env=None, timeout=120, cwd=None):
    """The finished process; `env` is added to an environment without INFERNEO_* variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INFERNEO_")}
    return subprocess.run(
        [os.environ["INFERNEO_PROGRAM"], *map(str, arguments)],
        input=stdin, capture_output=True, text=True, timeout=timeout, cwd=cwd,
        env={**clean, **(env or {})})


def json_lines(text):
    return [json.loads(line) for line in text.split("\n") if line]


def fixture_lines(name):
    with open(FIXTURES / name, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
