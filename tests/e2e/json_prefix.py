"""Whether a text is the beginning of a JSON text that a schema admits, shown by a whole one: what is
open is finished, what is missing is filled in, and a validator judges the result.

What may be filled in is looked for with little wit, enough for schemas of a few keywords ($ref,
anyOf, allOf, properties, additionalProperties, required, items, minItems, enum, const, and types
with their lower bounds). A text that is called a beginning is one, whatever this module overlooks.
"""
import json
import re
import urllib.parse

# How deep a recursion is followed to find the shortest value.
DEPTH = 8
NUMBER_ENDINGS = ("", "0", ".0", "+0")


class Schemas:
    """The schema of a document and those that its references lead to."""

    def __init__(self, root):
        self.root = root

    def resolve(self, reference):
        place = self.root
        for part in reference.lstrip("#").split("/")[1:]:
            part = urllib.parse.unquote(part).replace("~1", "/").replace("~0", "~")
            place = place[int(part)] if isinstance(place, list) else place[part]
        return place

    def alternatives(self, schema):
        """The schemas without $ref, anyOf, oneOf and allOf at their top that a value may follow."""
        if not isinstance(schema, dict):
            return [{}]
        found = [schema]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                found = [{**one, **other} for one in found for branch in schema[key]
                         for other in self.alternatives(branch)]
        if "$ref" in schema:
            found = [{**other, **one} for one in found
                     for other in self.alternatives(self.resolve(schema["$ref"]))]
        for branch in schema.get("allOf", []):
            found = [self.both(one, other) for one in found for other in self.alternatives(branch)]
        return found

    @staticmethod
    def both(one, other):
        return {**other, **one,
                "required": [*one.get("required", []), *other.get("required", [])],
                "properties": {**other.get("properties", {}), **one.get("properties", {})}}

    def shortest(self, schema, depth=DEPTH):
        """A short text of a value, or None."""
        if depth == 0:
            return None
        texts = [self.shortest_of(one, depth) for one in self.alternatives(schema)]
        return min((text for text in texts if text is not None), key=len, default=None)

    def shortest_of(self, schema, depth):
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return min(map(json.dumps, schema["enum"]), key=len)
        kind = schema.get("type", "object" if "properties" in schema else "null")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return self.closed(["{"], schema, set(), depth)
        if kind == "array":
            return self.closed(["["], schema, 0, depth)
        return {"null": "null", "boolean": "true", "string": json.dumps("a" * schema.get("minLength", 0)),
                "integer": str(schema.get("minimum", 0)),
                "number": str(schema.get("minimum", 0))}[kind]

    def closed(self, pieces, schema, members, depth=DEPTH):
        """The pieces of an open container with the members that it lacks and its end, or None.
        `members` are the keys of an object, or the number of items of an array."""
        is_object = isinstance(members, set)
        if is_object:
            lacking = [(f"{json.dumps(key)}:", member(schema, key))
                       for key in schema.get("required", []) if key not in members]
        else:
            lacking = [("", schema.get("items"))] * (schema.get("minItems", 0) - members)
        separator = "," if members else ""
        for key, value in lacking:
            text = self.shortest(value, depth - 1)
            if text is None:
                return None
            pieces = [*pieces, separator, key, text]
            separator = ","
        return "".join([*pieces, "}" if is_object else "]"])

    def strings(self):
        """All strings of the schema: keys and values that a text may have begun."""
        found = set()

        def visit(place):
            if isinstance(place, str):
                found.add(place)
            for child in place if isinstance(place, list) else (
                    [*place.keys(), *place.values()] if isinstance(place, dict) else []):
                visit(child)
        visit(self.root)
        return found


def member(schema, key):
    """What the value of a key of an object may follow."""
    return schema.get("properties", {}).get(key, schema.get("additionalProperties"))


class Open:
    """A container without its end: its members so far, and the key that waits for its value."""

    def __init__(self, is_object):
        self.members = set() if is_object else 0
        self.key = None

    def add(self):
        if isinstance(self.members, set):
            self.members.add(self.key)
            self.key = None
        else:
            self.members += 1


TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\],:])'
                   r'|(?P<scalar>[-+.\w]+)(?=[\s,\]}]))', re.DOTALL)


def open_containers(text):
    """The containers that are open behind the last whole token, what of the text is behind it, and
    that token where it is a mark. Raises ValueError where the text cannot be JSON."""
    stack, at, mark = [], 0, ""
    while match := TOKEN.match(text, at):
        at = match.end()
        mark = match["mark"] or ""
        if mark in ("{", "["):
            stack.append(Open(mark == "{"))
        elif mark in ("}", "]"):
            if not stack:
                raise ValueError("an end without a beginning")
            stack.pop()
            if stack:
                stack[-1].add()
        elif not mark and stack:
            top = stack[-1]
            if isinstance(top.members, set) and top.key is None:
                top.key = json.loads(match["string"] or "")
            else:
                top.add()
    return stack, text[at:], mark


def tail_endings(tail, strings):
    """What may finish a token that is cut, with whether that makes a string of it."""
    tail = tail.lstrip()
    if tail.startswith('"'):
        endings = ['"', *(word + '"' for word in ("0", "00", "000", "0000"))]
        for string in strings:
            quoted = json.dumps(string, ensure_ascii=False)
            if quoted.startswith(tail):
                endings.append(quoted[len(tail):])
        return [*endings, *('\\' + ending for ending in endings), *('"' + e for e in endings)]
    if re.fullmatch(r"[-+.\d][-+.\deE]*", tail):
        return list(NUMBER_ENDINGS)
    return [word[len(tail):] for word in ("true", "false", "null") if word.startswith(tail)]


def schema_paths(schemas, stack):
    """The schemas that each open container may follow, outermost first."""
    places = [schemas.root]
    for container in stack:
        is_object = isinstance(container.members, set)
        here = [one for place in places for one in schemas.alternatives(place)
                if one.get("type", "object" if is_object else "array")
                == ("object" if is_object else "array")]
        yield here
        if is_object:
            places = [member(one, container.key) for one in here]
        else:
            places = [one.get("items") for one in here]


def completions(text, schema):
    """Whole texts that begin with `text`, of which one may follow the schema."""
    schemas = Schemas(schema)
    _, tail, _ = open_containers(text)
    for ending in tail_endings(tail, schemas.strings()) if tail.strip() else [""]:
        # The space ends a number.
        whole = text + ending
        try:
            stack, rest, mark = open_containers(whole + " ")
        except ValueError:
            continue
        if rest.strip():
            continue
        places = list(schema_paths(schemas, stack))
        while stack and whole is not None:
            container = stack.pop()
            closed = [finish(schemas, whole, container, one, mark) for one in places.pop()]
            whole = min((one for one in closed if one is not None), key=len, default=None)
            mark = ""
            if stack:
                stack[-1].add()
        if whole is not None:
            yield whole


def finish(schemas, text, container, schema, mark):
    """The text with the end of its innermost container, or None. `mark` is what it ends with where
    that calls for more."""
    is_object = isinstance(container.members, set)
    members = set(container.members) if is_object else container.members
    if is_object and container.key is not None:
        value = schemas.shortest(member(schema, container.key))
        if value is None:
            return None
        text += ("" if mark == ":" else ":") + value
        members.add(container.key)
    elif mark == ",":
        text, members = more(schemas, text, schema, members)
        if text is None:
            return None
    return schemas.closed([text], schema, members)


def more(schemas, text, schema, members):
    """The text behind a comma with another member."""
    if not isinstance(members, set):
        value = schemas.shortest(schema.get("items"))
        return (None, members) if value is None else (text + value, members + 1)
    keys = [*schema.get("required", []), *schema.get("properties", {})]
    if isinstance(schema.get("additionalProperties"), dict):
        keys += [f"key {i}" for i in range(len(members) + 1)]
    for key in keys:
        value = schemas.shortest(member(schema, key)) if key not in members else None
        if value is not None:
            return text + json.dumps(key) + ":" + value, members | {key}
    return None, members


def completed(text, schema, validator):
    """A valid text that begins with `text`, or None."""
    try:
        candidates = list(completions(text, schema))
    except ValueError:
        return None
    for whole in candidates:
        try:
            if validator.is_valid(json.loads(whole)):
                return whole
        except ValueError:
            continue
    return None


def is_unbounded(schema):
    """Whether a reference leads back to itself, or an object takes keys that nothing describes: then
    a text may be of any length."""
    schemas = Schemas(schema)

    def visit(place, path):
        if isinstance(place, list):
            return any(visit(child, path) for child in place)
        if not isinstance(place, dict):
            return False
        if isinstance(place.get("additionalProperties"), dict):
            return True
        target = place.get("$ref")
        if isinstance(target, str):
            if target in path or visit(schemas.resolve(target), (*path, target)):
                return True
        return any(visit(child, path) for key, child in place.items()
                   if key not in ("$defs", "definitions", "enum", "const"))
    return visit(schema, ())
