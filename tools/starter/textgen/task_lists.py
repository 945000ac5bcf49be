"""Lists, JSON arrays and membership questions over the categories.

The members of a list follow each other in the table, from any start. A small model that has learnt
which member follows which never repeats itself and knows when a list is over.
"""
import json

from textgen import words
from textgen.phrasing import casual, join_words, request
from textgen.stories import capitalize

_NAME = ("Name {} {}.", "List {} {}.", "Give me {} {}.", "Tell me {} {}.", "I need {} {}.", "Write down {} {}.",
         "Can you name {} {}?", "What are {} {}?", "Show me {} {}.", "Say {} {}.")
_JSON = ("Return a JSON array with {} {}. Reply with JSON only.", "Give me {} {} as a JSON array.",
         "List {} {} as JSON.", "Write {} {} as a JSON array.", "Return {} {} as a JSON list. Output only JSON.",
         "Make a JSON array of {} {}.")


def run_of(rng, members, count):
    """Return `count` members that follow each other, often from the first on."""
    start = 0 if rng.random() < 0.4 else rng.randrange(len(members))
    return [members[(start + i) % len(members)] for i in range(count)]


def _draw(rng):
    category, (_, members) = rng.choice(tuple(words.CATEGORIES.items()))
    count = rng.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    count = max(2, min(count, len(members)))
    return category, members, count, run_of(rng, members, count)


def _number(rng, count):
    return rng.choice((words.NUMBER_WORDS[count], words.NUMBER_WORDS[count], str(count)))


def name_some(rng):
    """A list in a sentence, sometimes two in a row."""
    messages = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        category, _, count, chosen = _draw(rng)
        ask = request(rng, rng.choice(_NAME[:4]).format(_number(rng, count), category)) \
            if rng.random() < 0.7 else rng.choice(_NAME).format(_number(rng, count), category)
        messages += [("user", ask), ("assistant", capitalize(join_words(chosen)) + ".")]
    return messages


def json_array(rng):
    """A list as a JSON array, sometimes two in a row."""
    messages = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        category, _, count, chosen = _draw(rng)
        number = str(count) if rng.random() < 0.6 else words.NUMBER_WORDS[count]
        messages += [("user", rng.choice(_JSON).format(number, category)), ("assistant", json.dumps(chosen))]
    return messages


def lines(rng):
    """A numbered or bullet list."""
    category, _, count, chosen = _draw(rng)
    number = _number(rng, count)
    if rng.random() < 0.6:
        ask = rng.choice((f"Give me a numbered list of {number} {category}.",
                          f"Write a numbered list with {number} {category}."))
        return [("user", request(rng, ask)),
                ("assistant", "\n".join(f"{i}. {capitalize(w)}" for i, w in enumerate(chosen, 1)))]
    ask = rng.choice((f"Make a bullet list of {number} {category}.", f"Write {number} {category} as bullet points."))
    return [("user", request(rng, ask)), ("assistant", "\n".join(f"- {capitalize(w)}" for w in chosen))]


def membership(rng):
    """Whether a thing belongs to a category."""
    category, (_, members) = rng.choice(tuple(words.CATEGORIES.items()))
    word, roll = rng.choice(members), rng.random()
    if roll < 0.45:
        return [("user", casual(rng, f"Is {word} one of the {category}?")),
                ("assistant", f"Yes, {word} is one of the {category}.")]
    if roll < 0.55:
        return [("user", f"Which of the {category} do you like?"),
                ("assistant", f"I am a program, but {word} is a good choice.")]
    wrong = rng.choice([c for c in words.CATEGORIES if word not in words.CATEGORIES[c][1]])
    return [("user", casual(rng, f"Is {word} one of the {wrong}?")),
            ("assistant", f"No, {word} is not one of the {wrong}. It is one of the {category}.")]


def lists(rng):
    """One conversation of this family."""
    return rng.choices((name_some, json_array, lines, membership), (42, 26, 17, 15))[0](rng)
