#!/usr/bin/env python3
"""Fails when an object of kernels/cpu/isa defines a global or weak symbol other than its table."""
import argparse
import pathlib
import re
import subprocess
import sys

# One table per instruction set, by its C++ name.
TABLE = re.compile(r"inferneo::kernels::k[A-Za-z0-9]+Table$")
# What compilers add for exceptions, sanitizers and coverage; none of it holds our instructions.
COMPILER = re.compile(r"DW\.ref\.__gxx_personality|__asan|__odr_asan|__ubsan|__tsan|__gcov|__covrec"
                      r"|__sancov|__start___sancov|__stop___sancov|asan\.module|tsan\.module"
                      r"|sancov\.module|__clang_call_terminate|typeinfo ")
# These two files hold no kernels and are compiled at the baseline.
BASELINE = {"isa_tables.cc", "cpu_features.cc"}


def defined_globals(nm, path):
    listing = subprocess.run([nm, "--demangle", "--defined-only", path],
                             check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        fields = line.split(None, 2)
        if len(fields) == 3 and (fields[1].isupper() or fields[1] in "uvw"):
            yield fields[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("objects", nargs="+")
    args = parser.parse_args()
    checked, tables, bad = 0, 0, []
    for name in args.objects:
        path = pathlib.Path(name)
        if path.parent.name != "isa" or path.name.removesuffix(".o") in BASELINE:
            continue
        checked += 1
        for symbol in defined_globals(args.nm, path):
            if TABLE.match(symbol):
                tables += 1
            elif not COMPILER.search(symbol):
                bad.append(f"{path.name}: {symbol}")
    for line in bad:
        print(line)
    print(f"{checked} objects, {tables} tables, {len(bad)} other global symbols")
    if checked == 0:
        print("no object of kernels/cpu/isa among the arguments")
    return 1 if bad or checked == 0 or tables == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
