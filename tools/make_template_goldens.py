#!/usr/bin/env python3
"""Writes tests/text/templates.jsonl and chats.jsonl: templates, variables and what jinja2 makes of them.

Each template is compiled by transformers itself, so that the settings (trim_blocks, lstrip_blocks,
the immutable sandbox, its own tojson) are the real ones. Templates that fail are kept with
"error"; where the text of the error is part of the contract (undefined values, raise_exception)
it is kept as "message". The chat templates below are written for these tests, in the manner of
published ones.

Usage: python3 make_template_goldens.py CASES_DIR OUT_DIR, with CASES_DIR = tests/text/cases and
OUT_DIR = tests/text
Needs: transformers, jinja2.
"""
import json
import pathlib
import sys

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template


def golden(source, variables):
    case = {"template": source, "variables": variables}
    try:
        case["expected"] = _compile_jinja_template(source).render(**variables)
    except (jinja2.exceptions.UndefinedError, jinja2.exceptions.SecurityError) as error:
        case["error"] = type(error).__name__
        case["message"] = str(error)
    except jinja2.exceptions.TemplateError as error:
        case["error"] = type(error).__name__
        if type(error) is jinja2.exceptions.TemplateError:  # raise_exception
            case["message"] = str(error)
    except Exception as error:  # what Python's own operators raise
        case["error"] = type(error).__name__
    return case


def constructs(path):
    """Lines "template" or "template <TAB> variables"; "⏎" stands for a line end."""
    shared = json.loads(path.with_suffix(".json").read_text())
    for line in path.read_text().splitlines():
        if not line or line.startswith("##"):
            continue
        source, _, variables = line.partition("\t")
        yield source.replace("⏎", "\n"), json.loads(variables) if variables else shared


def chats(cases_dir):
    """Rows of the chat templates: the file, the place of the conversation, and what comes of them."""
    conversations = json.loads((cases_dir / "conversations.json").read_text())
    for path in sorted(cases_dir.glob("*.jinja")):
        for index, variables in enumerate(conversations):
            row = golden(path.read_text(), variables)
            del row["template"], row["variables"]
            yield {"file": path.name, "conversation": index, **row}


def write(path, rows):
    with path.open("w") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    cases_dir, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    write(output / "templates.jsonl",
          [golden(source, variables) for source, variables in constructs(cases_dir / "constructs.txt")])
    rows = list(chats(cases_dir))
    write(output / "chats.jsonl", rows)
    for name in sorted({row["file"] for row in rows}):
        mine = [row for row in rows if row["file"] == name]
        print(name, len(mine), "rows,", sum("expected" in row for row in mine), "rendered")


if __name__ == "__main__":
    main()
