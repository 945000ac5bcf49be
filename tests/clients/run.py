#!/usr/bin/env python3
"""Installs the official clients into the build folder and runs *.test.mjs against the program.

Exits 77 (skipped, for ctest) with the reason when Node or a package cannot be had here.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from server import Server  # noqa: E402

SKIPPED = 77


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def install(folder):
    """Copies the tests and their lock file to `folder` and installs what the lock file pins."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*HERE.glob("*.json"), *HERE.glob("*.mjs")]:
        shutil.copy(path, folder / path.name)
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    stamp = folder / "installed-lock.json"
    if installed.exists() and stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        skip("npm did not finish within 180 s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        skip(f"npm cannot install the clients: {lines[0]}")
    shutil.copy(lock, stamp)


def main():
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed")
    major = int(subprocess.check_output(["node", "--version"], text=True)[1:].split(".")[0])
    if major < 18:
        skip(f"node {major} is too old for the clients, which need 18")
    folder = pathlib.Path(sys.argv[1])
    install(folder)
    tests = sorted(path.name for path in HERE.glob("*.test.mjs"))
    with tempfile.TemporaryDirectory() as files, Server("--files-dir", files) as server:
        environment = {**os.environ, "INFERNEO_BASE_URL": f"http://127.0.0.1:{server.port}"}
        return subprocess.run(["node", "--test", *tests], cwd=folder, env=environment,
                              timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
