"""Tool calls in a wider world: many tools, tools made up from words, several calls, no fitting tool.

A tool is a row like those of task_tools.TOOLS: name -> (description, {argument: (json type, pool)},
questions). The name of a made-up tool stands nowhere but in the system message, so the model has to
read it there.
"""
import json

from textgen import lexicon, task_copy, task_knowledge, task_quiz, task_sums, task_tools, words
from textgen.phrasing import casual
from textgen.rendering import tool_system_text
from textgen.stories import capitalize

NO_TOOL = "I have no tool for that."
_NAMES = words.GIRL_NAMES + words.BOY_NAMES
_SYSTEM = ("You are a helpful assistant.", "You are Starter, a small helpful assistant.", "You can use tools.")
_TEXTS = ("hello", "good morning", "I am late", "thank you", "see you soon", "happy birthday", "call me", "good luck",
          "dinner is ready", "where are you", "the train is late", "I am at home", "I miss you", "bring some bread")
_FILES = tuple(f"{noun}.{kind}" for noun in lexicon.NOUNS for kind in ("txt", "pdf"))

# name of a kind of argument in the table below: (json type, pool); a pool of None means made-up codes
_ARGUMENTS = {
    "CITY": ("string", words.CITIES), "START": ("string", words.CITIES[:40]), "END": ("string", words.CITIES[40:]),
    "DAY": ("string", words.DAYS), "DISH": ("string", words.FRUITS + words.VEGETABLES), "TEXT": ("string", _TEXTS),
    "FILE": ("string", _FILES), "NAME": ("string", _NAMES), "NOUN": ("string", lexicon.NOUNS),
    "WORD": ("string", lexicon.ALL_WORDS), "THINGS": ("string", tuple(words.COUNTABLES.values())), "CODE": ("string", None),
    "DEVICE": ("string", ("lamp", "radio", "heater", "television", "fan", "oven", "computer", "printer")),
    "HOUR": ("integer", tuple(range(1, 13))), "FEW": ("integer", tuple(range(2, 100))),
    "HUNDREDS": ("integer", tuple(range(10, 500))), "MORE": ("integer", tuple(range(500, 1000))),
    "NUMBER": ("integer", tuple(range(1000, 10000))),
}
# name | description | arguments | questions ...
_SOURCE = """
get_forecast | Get the forecast for a day. | city=CITY day=DAY | What is the forecast for {city} on {day}? | Will it rain in {city} on {day}?
find_recipe | Find a recipe. | dish=DISH | Find a recipe with {dish}. | How can I cook {dish}? Look for a recipe.
create_note | Save a note. | text=TEXT | Make a note: {text} | Write down a note: {text}
delete_file | Delete a file. | path=FILE | Delete the file {path}. | Remove {path}.
open_file | Open a file. | path=FILE | Open the file {path}. | Open {path}, please.
book_flight | Book a flight. | from=START to=END | Book a flight from {from} to {to}. | I want to fly from {from} to {to}.
get_distance | Get the distance of two cities. | from=END to=START | How far is it from {from} to {to}?
set_alarm | Set an alarm. | hour=HOUR | Set an alarm for {hour} o'clock. | Wake me up at {hour} o'clock.
call_person | Call a person. | name=NAME | Call {name}. | Please call {name} now.
add_contact | Add a contact. | name=NAME number=NUMBER | Add {name} with the number {number}. | Save the number {number} for {name}.
set_volume | Set the volume. | level=FEW | Set the volume to {level}. | Change the volume to {level}.
order_item | Order things in a shop. | item=THINGS count=FEW | Order {count} {item}. | I need {count} {item}, order them.
multiply | Multiply two numbers. | a=HUNDREDS b=HUNDREDS | What is {a} times {b}? | Multiply {a} by {b}.
subtract | Subtract two numbers. | a=MORE b=HUNDREDS | What is {a} - {b}? | Subtract {b} from {a}.
get_news | Get the news about a topic. | topic=NOUN | What is the news about {topic}? | Give me news about {topic}.
define_word | Look up a word. | word=WORD | Look up the word {word}. | Find {word} in the dictionary.
find_hotel | Find a hotel. | city=CITY nights=FEW | Find a hotel in {city} for {nights} nights.
send_money | Send money to a person. | name=NAME amount=HUNDREDS | Send {amount} dollars to {name}. | Pay {name} {amount} dollars.
track_package | Find a package. | code=CODE | Where is the package {code}? | Track the package {code}.
turn_off | Turn off a device. | device=DEVICE | Turn off the {device}. | Switch off the {device}.
create_event | Add an event to the calendar. | title=NOUN day=DAY | Add {title} to my calendar on {day}. | Put {title} into the calendar for {day}.
"""


def _parse(source):
    tools = {}
    for line in source.strip().split("\n"):
        name, description, arguments, *questions = line.split(" | ")
        pairs = (argument.split("=") for argument in arguments.split())
        tools[name] = description, {key: _ARGUMENTS[kind] for key, kind in pairs}, tuple(questions)
    return tools


KNOWN = {**task_tools.TOOLS, **_parse(_SOURCE)}
# Without a tool these are not about the small world, but plainly about something to do.
_NEED_A_TOOL = ("get_weather", "get_time", "play_music", "send_message", "set_timer", "read_file", "turn_on",
                "book_table", "call_person", "set_volume", "delete_file", "book_flight", "order_item", "set_alarm", "turn_off")
# A request for the first would suit the second well enough.
_NEAR = {"get_weather": "get_forecast", "read_file": "open_file", "set_alarm": "set_timer", "set_timer": "set_alarm"}
_VERBS = ("check", "update", "remove", "open", "close", "start", "stop", "print", "copy", "move", "lock", "clean",
          "count", "order", "show", "find", "save", "load", "send", "test", "repair", "mark", "sort", "read", "watch")
_KEYS = {"name": "string", "id": "integer", "number": "integer", "title": "string", "code": "string", "word": "string",
         "color": "string", "city": "string"}


def _value(rng, key):
    if _KEYS[key] == "integer":
        return rng.randint(0, 10 ** rng.randint(1, 4) - 1)
    if key == "code":
        return task_copy.code(rng)
    return rng.choice({"name": _NAMES, "title": lexicon.NOUNS, "word": lexicon.ALL_WORDS, "color": words.COLORS,
                       "city": words.CITIES}[key])


def made_up(rng):
    """Return (name, row) of a tool that is made up from a verb and a noun."""
    verb, noun = rng.choice(_VERBS), rng.choice(lexicon.NOUNS)
    keys = rng.sample(tuple(_KEYS), rng.choice((1, 1, 1, 2)))
    named = " and ".join(f"{key} {{{key}}}" for key in keys)
    questions = (f"{capitalize(verb)} the {noun} with {named}.", f"Please {verb} the {noun} with {named}.")
    if len(keys) == 1:
        questions += (f"{capitalize(verb)} the {noun} {{{keys[0]}}}.",)
    return f"{verb}_{noun}", (f"{capitalize(verb)} the {noun}.", {key: (_KEYS[key], None) for key in keys}, questions)


def _offer(rng, most):
    """Return a table of one to `most` tools, known and made up."""
    table = {}
    for _ in range(rng.randint(1, most)):
        if rng.random() < 0.4:
            name, row = made_up(rng)
        else:
            name = rng.choice(tuple(KNOWN))
            row = KNOWN[name]
        table.setdefault(name, row)
    return table


def arguments(rng, row):
    """Draw the arguments of a call of a tool."""
    return {key: _value(rng, key) if pool is None else rng.choice(pool) for key, (_, pool) in row[1].items()}


def _system(rng, table):
    described = rng.random() < 0.6
    tools = [task_tools.schema(name, described, table) for name in table]
    return "system", tool_system_text(rng.choice(_SYSTEM), tools)


def _plain_turn(rng, table):
    """A question that needs no tool; no sum where a tool could do it."""
    sums = () if any(name in table for name in ("add", "multiply", "subtract")) else (task_sums.single,)
    return rng.choice((task_knowledge.knowledge, task_quiz.small_talk) + sums)(rng)


def _result(rng, name, args):
    """Return the turns after a call: its result, and what the assistant says about it."""
    if name in ("multiply", "subtract"):
        sign, result = ("*", args["a"] * args["b"]) if name == "multiply" else ("-", args["a"] - args["b"])
        return [("tool", json.dumps({"result": result})), ("assistant", f"{args['a']} {sign} {args['b']} = {result}.")]
    if name in task_tools.TOOLS:
        reply, answer = task_tools.result(rng, name, args)
        return [("tool", reply), ("assistant", answer)]
    if rng.random() < 0.3:
        word = rng.choice(lexicon.NOUNS) if rng.random() < 0.5 else str(rng.randint(1, 999))
        return [("tool", json.dumps({"result": word})), ("assistant", f"The result is {word}.")]
    if rng.random() < 0.2:
        return [("tool", json.dumps({"error": "not found"})), ("assistant", "The tool could not do that: not found.")]
    return [("tool", json.dumps({"status": "ok"})), ("assistant", "Done.")]


def unsuited(rng, table):
    """A request for which no tool of the table is right."""
    name = rng.choice([name for name in _NEED_A_TOOL if name not in table and _NEAR.get(name) not in table])
    row = KNOWN[name]
    return [("user", rng.choice(row[2]).format(**arguments(rng, row))), ("assistant", NO_TOOL)]


def offered(rng, room):
    """Some requests with tools on offer: most are calls, some need no tool, some have none."""
    table = _offer(rng, 4 if room > 300 else 2)
    messages = [_system(rng, table)]
    for _ in range(rng.randint(1, 4)):
        roll = rng.random()
        if roll < 0.14:
            messages += _plain_turn(rng, table)
        elif roll < 0.22:
            messages += unsuited(rng, table)
        else:
            name = rng.choice(tuple(table))
            args = arguments(rng, table[name])
            messages += [("user", rng.choice(table[name][2]).format(**args)),
                         ("assistant", task_tools.call_text(name, args))]
            if rng.random() < 0.5:
                messages += _result(rng, name, args)
    return messages


def nothing_offered(rng):
    """A request that would need a tool, without any tool."""
    return unsuited(rng, {})


def calls(rng, room):
    """One conversation of this family."""
    roll = rng.random()
    if roll < 0.10:
        return nothing_offered(rng)
    if roll < 0.35:
        return task_tools.tools(rng)
    return offered(rng, room)
