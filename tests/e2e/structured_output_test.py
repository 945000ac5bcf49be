"""Structured output through the real program: what is sampled at temperature 1.5 is valid by Python's
own validators, and what cannot be kept is refused with its place.

STRUCTURED_OUTPUT_SAMPLES changes how many outputs each schema gets.
"""
import ast
import base64
import datetime
import ipaddress
import json
import os
import pathlib
import re
import sys
import time
import unittest
import urllib.parse
import uuid

import jsonschema

import json_prefix
from server_case import CHAT, TEXT, ServerCase

DATA = pathlib.Path(__file__).resolve().parent.parent / "structured"
SAMPLES = int(os.environ.get("STRUCTURED_OUTPUT_SAMPLES", "20"))
# Outputs of a recursive schema that reach max_tokens are some hundred levels deep, of which the
# validator takes several calls each.
sys.setrecursionlimit(100_000)
# At most this many choices a request.
CHOICES = 10


def read_lines(name):
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def python_pattern(pattern):
    """The pattern in the dialect of `re`."""
    pattern = pattern.replace("(?<word>", "(?P<word>").replace("{,3}", "{0,3}")
    letters = {"\\p{Lu}": "[A-ZÀ-ÖØ-ÞĀ-\U0010ffff]", "\\p{Ll}": "[^A-Z0-9 ]"}
    for name, equal in letters.items():
        pattern = pattern.replace(name, equal)
    return pattern


def brackets_match(text):
    before = None
    while before != text:
        before, text = text, text.replace("()", "").replace("[]", "")
    return text == ""


def is_json(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def is_arithmetic(text):
    return isinstance(ast.parse(text, mode="eval"), ast.Expression)


# Formats are checked by Python's own readers, whatever jsonschema has installed.
FORMATS = jsonschema.FormatChecker(formats=())


def check_format(name, read):
    def checks(value):
        if isinstance(value, str):
            read(value)
        return True
    FORMATS.checks(name, raises=ValueError)(checks)


def read_match(pattern):
    def read(value):
        if not re.fullmatch(pattern, value):
            raise ValueError(value)
    return read


check_format("date", datetime.date.fromisoformat)
check_format("date-time", lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))
check_format("time", lambda text: datetime.time.fromisoformat(text.replace("Z", "+00:00")))
check_format("uuid", uuid.UUID)
check_format("ipv4", ipaddress.IPv4Address)
check_format("ipv6", ipaddress.IPv6Address)
check_format("byte", lambda text: base64.b64decode(text, validate=True))
check_format("duration", read_match(
    r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)"))
check_format("email", read_match(r"[^@\s.]+(\.[^@\s.]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"))
check_format("hostname", read_match(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*"))
check_format("uri", lambda text: read_match(r"[a-z].*://.+")(text) or urllib.parse.urlsplit(text).port)
check_format("int32", lambda value: None)


class StructuredOutput(ServerCase):
    def outputs(self, form, seed, count=SAMPLES, max_tokens=1500):
        """Texts of complete answers, and of those that reached max_tokens."""
        texts, cut = [], []
        while len(texts) + len(cut) < count:
            n = min(CHOICES, count - len(texts) - len(cut))
            body = {"prompt": "Answer:", "temperature": 1.5, "n": n, "max_tokens": max_tokens,
                    "seed": seed + len(texts) + len(cut), **form}
            reply = self.server.request("POST", TEXT, body, timeout=300)
            self.assertEqual(reply.status, 200, reply.body)
            for choice in reply.json()["choices"]:
                (texts if choice["finish_reason"] == "stop" else cut).append(choice["text"])
        return texts, cut

    def schema_outputs(self, schema, seed):
        """Texts for a schema. What it bounds ends; what it does not bound may reach max_tokens, as
        the beginning of a valid text, and ends where nothing pays for going round in circles."""
        form = {"structured_outputs": {"json": schema}}
        texts, cut = self.outputs(form, seed)
        if not json_prefix.is_unbounded(schema):
            self.assertEqual(cut, [])
        if len(texts) < len(cut):
            more, more_cut = self.outputs({**form, "frequency_penalty": 2}, seed)
            self.assertGreater(len(more), len(more_cut))
            texts, cut = texts + more, cut + more_cut
        return texts, cut

    def test_schemas(self):
        schemas = read_lines("schemas.jsonl")
        self.assertGreaterEqual(len(schemas), 100)
        total = cut = 0
        started = time.monotonic()
        for index, case in enumerate(schemas):
            with self.subTest(case["name"]):
                texts, too_long = self.schema_outputs(case["schema"], index)
                cut += len(too_long)
                if too_long:
                    print(f"{len(too_long)} cut: {case['name']}")
                validator = jsonschema.Draft202012Validator(case["schema"],
                                                            format_checker=FORMATS)
                for text in too_long:
                    self.assertIsNotNone(json_prefix.completed(text, case["schema"], validator),
                                         repr(text))
                for text in texts:
                    total += 1
                    try:
                        validator.validate(json.loads(text))
                    except (ValueError, jsonschema.ValidationError) as error:
                        self.fail(f"{text!r}: {error}")
        print(f"{total} outputs of {len(schemas)} schemas valid, {cut} cut by max_tokens, "
              f"{time.monotonic() - started:.0f} s")

    def test_outputs_that_are_cut_are_beginnings_of_valid_ones(self):
        total = 0
        for case in read_lines("schemas.jsonl"):
            if not json_prefix.is_unbounded(case["schema"]):
                continue
            validator = jsonschema.Draft202012Validator(case["schema"])
            for max_tokens in (2, 5, 11, 23):
                with self.subTest(case["name"], max_tokens=max_tokens):
                    cut = self.outputs({"guided_json": case["schema"]}, max_tokens,
                                       max_tokens=max_tokens)[1]
                    total += len(cut)
                    for text in cut:
                        whole = json_prefix.completed(text, case["schema"], validator)
                        self.assertIsNotNone(whole, repr(text))
                        # What is no beginning is told from one.
                        self.assertIsNone(
                            json_prefix.completed(text + "\x01", case["schema"], validator))
        print(f"{total} outputs that were cut are beginnings")
        self.assertGreaterEqual(total, 5 * SAMPLES)

    def test_regexes(self):
        patterns = read_lines("regexes.jsonl")
        total = cut = 0
        for index, pattern in enumerate(patterns):
            with self.subTest(pattern):
                check = re.compile(python_pattern(pattern))
                texts, too_long = self.outputs({"guided_regex": pattern}, index, max_tokens=400)
                cut += len(too_long)
                for text in texts:
                    total += 1
                    self.assertRegex(text, re.compile(rf"\A(?:{check.pattern})\Z"))
        print(f"{total} outputs of {len(patterns)} expressions match, {cut} cut by max_tokens")
        # Some expressions bound nothing.
        self.assertGreater(total, 10 * cut)

    def test_grammars(self):
        grammars = read_lines("grammars.jsonl")
        total = cut = 0
        for index, case in enumerate(grammars):
            with self.subTest(case["name"]):
                texts, too_long = self.outputs({"guided_grammar": case["grammar"]}, index,
                                               max_tokens=400)
                cut += len(too_long)
                for text in texts:
                    total += 1
                    if case["check"] == "regex":
                        self.assertTrue(re.fullmatch(case["regex"], text), repr(text))
                    else:
                        check = {"arithmetic": is_arithmetic, "brackets": brackets_match,
                                 "json": is_json}[case["check"]]
                        self.assertTrue(check(text), repr(text))
        print(f"{total} outputs of {len(grammars)} grammars match, {cut} cut by max_tokens")
        # Recursion bounds nothing.
        self.assertGreater(total, 4 * cut)

    def test_a_grammar_too_ambiguous_ends_its_own_request(self):
        grammar = "root ::= as \"b\"\nas ::= \"a\" | \"a\" as | \"a\" as as\n"
        body = {"prompt": "x", "max_tokens": 2000, "guided_grammar": grammar,
                "logit_bias": {str(self.token("b")): -100, str(self.token("ab")): -100}}
        reply = self.server.request("POST", TEXT, body)
        self.assertEqual(reply.status, 400)
        self.assertIn("ambiguous", reply.error()["message"])
        good = {"prompt": "x", "max_tokens": 8, "guided_choice": ["good"]}
        self.assertEqual(self.server.request("POST", TEXT, good).json()["choices"][0]["text"], "good")

    def token(self, text):
        reply = self.server.request("POST", "/tokenize", {"prompt": text, "add_special_tokens": False})
        return reply.json()["tokens"][0]

    def test_choices(self):
        choices = ["yes", "no", "yes and no", "größer", "🙂"]
        texts, cut = self.outputs({"guided_choice": choices}, 1)
        self.assertEqual(cut, [])
        self.assertEqual([text for text in texts if text not in choices], [])
        self.assertGreater(len(set(texts)), 1)

    def chat(self, **fields):
        body = {"messages": [{"role": "user", "content": "Tell me about a dog, as JSON."}],
                "temperature": 1.5, "seed": 3, "max_tokens": 1500, **fields}
        reply = self.server.request("POST", CHAT, body, timeout=120)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()["choices"]

    def test_response_formats_of_chat(self):
        schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20},
                                                   "legs": {"type": "integer", "maximum": 4,
                                                            "minimum": 0}},
                  "required": ["name", "legs"], "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "dog", "strict": True,
                                                       "schema": schema}}
        for choice in self.chat(response_format=form, n=8):
            self.assertEqual(choice["finish_reason"], "stop")
            jsonschema.validate(json.loads(choice["message"]["content"]), schema)
        for choice in self.chat(response_format={"type": "json_object"}, n=8):
            if choice["finish_reason"] == "stop":
                self.assertTrue(is_json(choice["message"]["content"]))

    def test_stream_equals_whole_and_seed_repeats(self):
        schema = {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3,
                  "maxItems": 3}
        body = {"prompt": "Names:", "temperature": 1.5, "seed": 11, "max_tokens": 200,
                "guided_json": schema}
        whole = self.server.request("POST", TEXT, body).json()["choices"][0]["text"]
        again = self.server.request("POST", TEXT, body).json()["choices"][0]["text"]
        streamed = "".join(json.loads(event)["choices"][0]["text"]
                           for event in self.server.events(TEXT, body) if event != "[DONE]")
        self.assertEqual(whole, again)
        self.assertEqual(whole, streamed)

    def test_log_probabilities_are_those_before_the_constraint(self):
        body = {"prompt": "The dog", "max_tokens": 1, "temperature": 0, "logprobs": 5}
        free = self.server.request("POST", TEXT, body).json()["choices"][0]["logprobs"]
        form = {"guided_choice": ["#", "##"]}
        kept = self.server.request("POST", TEXT, {**body, **form}).json()["choices"][0]["logprobs"]
        self.assertEqual(free["top_logprobs"][0],
                         {name: kept["top_logprobs"][0].get(name)
                          for name in free["top_logprobs"][0]})
        self.assertLess(kept["token_logprobs"][0], min(free["top_logprobs"][0].values()))

    def test_compact_json_has_no_white_space(self):
        form = {"structured_outputs": {"json": {"type": "array", "items": {"type": "boolean"},
                                                "minItems": 3, "maxItems": 5},
                                       "disable_any_whitespace": True}}
        for text in self.outputs(form, 5)[0]:
            self.assertNotRegex(text, r"\s")

    def test_min_tokens_and_stop_strings(self):
        form = {"guided_regex": "(ab)+"}
        body = {"prompt": "x", "temperature": 1, "seed": 1, "max_tokens": 40, "min_tokens": 20, **form}
        reply = self.server.request("POST", TEXT, body).json()
        self.assertGreaterEqual(reply["usage"]["completion_tokens"], 20)
        # A text that is complete ends, whatever min_tokens says.
        body = {"prompt": "x", "max_tokens": 40, "min_tokens": 20, "guided_choice": ["done"]}
        reply = self.server.request("POST", TEXT, body).json()
        self.assertEqual(reply["choices"][0]["text"], "done")
        self.assertEqual(reply["choices"][0]["finish_reason"], "stop")
        body = {"prompt": "x", "max_tokens": 40, "guided_choice": ["abcdef"], "stop": ["cd"]}
        self.assertEqual(self.server.request("POST", TEXT, body).json()["choices"][0]["text"], "ab")

    # fields, code part of the message, param
    REFUSED = [
        ({"guided_json": {"properties": {"a": {"items": {"not": {}}}}}}, "not",
         "guided_json#/properties/a/items/not"),
        ({"guided_json": {"type": "strin"}}, "'type' must be", "guided_json#/type"),
        ({"guided_json": {"minimun": 3}}, "minimun", "guided_json#/minimun"),
        ({"guided_json": {"$ref": "#/$defs/none"}}, "leads to no schema", "guided_json#/$ref"),
        ({"guided_json": {"$ref": "#"}}, "back to itself", "guided_json#/$ref"),
        ({"guided_json": {"$ref": "https://example.org/a.json"}}, "JSON pointer", "guided_json#/$ref"),
        ({"guided_json": {"$ref": "file:///etc/passwd"}}, "JSON pointer", "guided_json#/$ref"),
        ({"guided_json": {"type": "string", "pattern": "a(?=b)"}}, "look-ahead",
         "guided_json#/pattern"),
        ({"guided_json": {"type": "string", "pattern": "(a"}}, "'('", "guided_json#/pattern"),
        ({"guided_json": {"type": "string", "format": "sonnet"}}, "sonnet", "guided_json#/format"),
        ({"guided_json": {"type": "array", "uniqueItems": True}}, "uniqueItems",
         "guided_json#/uniqueItems"),
        ({"guided_json": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}, "alternatives",
         "guided_json#/oneOf"),
        ({"guided_json": {"type": "integer", "minimum": 5, "maximum": 4}}, "matches no text",
         "guided_json"),
        ({"guided_json": {"enum": []}}, "at least one", "guided_json#/enum"),
        ({"guided_json": False}, "matches no text", "guided_json"),
        ({"guided_json": {"properties": {"a": 5}}}, "schemas", "guided_json#/properties"),
        ({"guided_json": {"type": "number", "multipleOf": 0.01}}, "multipleOf",
         "guided_json#/multipleOf"),
        ({"guided_json": {"type": "array", "minItems": -1}}, "at least 0", "guided_json#/minItems"),
        ({"guided_json": {"type": "array", "items": {"type": "integer"}, "minItems": 10 ** 9}},
         "too complex", "guided_json"),
        ({"guided_json": {"$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/a"}},
                                          "required": ["b"]}}, "$ref": "#/$defs/a"}},
         "matches no text", "guided_json"),
        ({"guided_regex": "(" * 10000 + ")" * 10000}, "deeper than 64", "guided_regex"),
        ({"guided_regex": "^+[a-z]$"}, "quantifier", "guided_regex"),
        ({"guided_regex": "*a"}, "nothing before", "guided_regex"),
        ({"guided_regex": "[z-a]"}, "wrong way round", "guided_regex"),
        ({"guided_regex": "a{3,2}"}, "wrong way round", "guided_regex"),
        ({"guided_regex": "(a|b)*a(a|b){30}"}, "too complex", "guided_regex"),
        ({"guided_regex": "((a{1,1000}){1,1000}){1,1000}"}, "too complex", "guided_regex"),
        ({"guided_regex": "(a)\\1"}, "back references", "guided_regex"),
        ({"guided_regex": "a" * (256 * 1024 + 1)}, "at most", "guided_regex"),
        ({"guided_regex": "\\"}, "backslash", "guided_regex"),
        ({"guided_regex": "$a"}, "matches no text", "guided_regex"),
        ({"guided_regex": "()"}, "empty text", "guided_regex"),
        ({"guided_grammar": "root ::= "}, "empty text", "guided_grammar"),
        ({"guided_grammar": "root ::= x"}, "not defined", "guided_grammar"),
        ({"guided_grammar": "root ::= root"}, "matches no text", "guided_grammar"),
        ({"guided_grammar": "root ::= a\na ::= b\nb ::= a | root"}, "matches no text",
         "guided_grammar"),
        ({"guided_grammar": "root ::= a \"x\"\na ::= b\nb ::= root \"y\" | \"z\""}, "left recursion",
         "guided_grammar"),
        ({"guided_grammar": "root ::= \"a"}, "closing quote", "guided_grammar"),
        ({"guided_grammar": "root ::= [a"}, "without its end", "guided_grammar"),
        ({"guided_grammar": "root ::= " + "(" * 60000 + "\"a\"" + ")" * 60000}, "deeper than 64",
         "guided_grammar"),
        ({"guided_grammar": "expr ::= \"a\""}, "'root'", "guided_grammar"),
        ({"guided_grammar": "hello world"}, "':'", "guided_grammar"),
        ({"guided_choice": []}, "at least one", "guided_choice"),
        ({"guided_choice": [""]}, "empty choice", "guided_choice"),
        ({"guided_choice": ["a"] * 10001}, "at most 10000", "guided_choice"),
        ({"guided_choice": ["a"], "guided_regex": "b"}, "cannot be combined", "guided_regex"),
    ]

    def test_what_cannot_be_kept_is_refused_with_its_place(self):
        good = {"prompt": "x", "max_tokens": 8, "guided_choice": ["good"]}
        for form, part, param in self.REFUSED:
            name = str(form)[:80]
            with self.subTest(name):
                started = time.monotonic()
                reply = self.server.request("POST", TEXT, {"prompt": "x", **form})
                elapsed = time.monotonic() - started
                self.assertEqual(reply.status, 400, reply.body[:300])
                self.assertIn(part, reply.error()["message"])
                self.assertEqual(reply.error()["param"], param)
                self.assertLess(elapsed, 30)
                # A malformed one leaves nothing behind.
                after = self.server.request("POST", TEXT, good).json()
                self.assertEqual(after["choices"][0]["text"], "good")

    def test_many_different_schemas_stay_within_memory(self):
        for i in range(300):
            body = {"prompt": "x", "max_tokens": 1, "guided_json": {"const": f"value {i}"}}
            self.assertEqual(self.server.request("POST", TEXT, body).status, 200)


if __name__ == "__main__":
    unittest.main()
