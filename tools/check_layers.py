#!/usr/bin/env python3
"""Checks that every #include follows the dependency rule in src/LAYERS.

Prints each offending edge as `file:line: folder -> folder` and exits 1 when there is one.
Tests (*_test.cc) may include anything below or beside their folder.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def read_table(path):
    table = {}
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        folder, allowed, _ = (part.strip() for part in line.split(" :", 2))
        table[folder] = set(allowed.split())
    return table


def folder_of(name, table):
    """The longest row of the table that is a prefix of the path."""
    parts = name.split("/")
    for end in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:end])
        if folder in table:
            return folder
    return None


def reachable(folder, table):
    """The folder's own row and everything below it: what its tests may include."""
    seen, todo = set(), [folder]
    while todo:
        for dep in table[todo.pop()]:
            if dep == "*":
                return set(table)
            dep = dep if dep in table else folder_of(dep, table)
            if dep not in seen:
                seen.add(dep)
                todo.append(dep)
    return seen


def main():
    src = ROOT / "src"
    table = read_table(src / "LAYERS")
    errors = []
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        name = path.relative_to(src).as_posix()
        folder = folder_of(name, table)
        if folder is None:
            errors.append(f"src/{name}: folder has no row in src/LAYERS")
            continue
        is_test = name.endswith("_test.cc")
        allowed = reachable(folder, table) if is_test else table[folder]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            other = folder_of(target, table)
            if other is None:
                if not (src / target).exists():
                    errors.append(f"src/{name}:{number}: includes unknown \"{target}\"")
                continue
            if other in (folder, "base") or "*" in allowed:
                continue
            if other not in allowed and target not in allowed:
                errors.append(f"src/{name}:{number}: {folder} -> {other} (\"{target}\")")
    for error in errors:
        print(error)
    if errors:
        print(f"{len(errors)} includes break the rule of src/LAYERS")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
