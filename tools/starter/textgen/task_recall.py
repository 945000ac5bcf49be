"""Recall of codes, words and names over a distance of some hundred to two thousand tokens.

`room` is the length of a document in tokens that the caller can use; the sizes of the tasks follow it.
"""
from textgen import lexicon, task_copy, words
from textgen.phrasing import casual
from textgen.stories import Story

_TOKENS_PER_LINE = 21    # of a table of codes, with its share of the questions
_TOKENS_PER_WORD = 2     # of random words
_TOKENS_PER_TALE = 115
_PEOPLE = words.GIRL_NAMES + words.BOY_NAMES
_COLORED = tuple(f"{color} {thing}" for color in words.COLORS[:12] for thing in words.OBJECTS)
_KEYS = tuple(dict.fromkeys(words.PLACES + words.OBJECTS))
_ROOMS = tuple(dict.fromkeys(words.PLACES + words.FURNITURE))

# (line, question, keys, maker of values)
_TABLES = (
    ("The code of the {} is {}.", "What is the code of the {}?", _COLORED, lambda rng: str(rng.randint(10, 99999))),
    ("The code of the {} is {}.", "What is the code of the {}?", _COLORED, lambda rng: str(rng.randint(10, 99999))),
    ("The number of {} is {}.", "What is the number of {}?", _PEOPLE, lambda rng: str(rng.randint(1000, 9999))),
    ("The password of the {} is {}.", "What is the password of the {}?", _KEYS, lambda rng: rng.choice(lexicon.NOUNS)),
    ("The code of the {} is {}.", "What is the code of the {}?", _KEYS, task_copy.code),
    ("The key of {} is {}.", "What is the key of {}?", _PEOPLE, task_copy.code),
    ("The word of {} is {}.", "What is the word of {}?", _PEOPLE, lambda rng: rng.choice(lexicon.ALL_WORDS)),
    ("The {} is in the {}.", "Where is the {}?", words.OBJECTS, lambda rng: rng.choice(_ROOMS)),
    ("The friend of {} is {}.", "Who is the friend of {}?", _PEOPLE, lambda rng: rng.choice(_PEOPLE)),
    ("The room of {} has the number {}.", "Which number does the room of {} have?", _PEOPLE,
     lambda rng: str(rng.randint(1, 999))),
    ("The price of the {} is {} dollars.", "What is the price of the {}?", _KEYS, lambda rng: str(rng.randint(1, 999))),
)


def _questions(rng, pairs, ask, line, most):
    """Return (question, answer) of up to `most` of the pairs."""
    chosen = rng.sample(pairs, min(len(pairs), most))
    return [(ask.format(key), line.format(key, value)) for key, value in chosen]


def _talk(text, questions):
    """Ask the first question below the text, the others in turns of their own."""
    messages = []
    for turn, (question, answer) in enumerate(questions):
        messages += [("user", f"{text}\n\n{question}" if turn == 0 else question), ("assistant", answer)]
    return messages


def table(rng, room, least=3):
    """Look up some lines of a table of codes, numbers, places or words."""
    line, ask, keys, make = rng.choice(_TABLES[:7] if rng.random() < 0.75 else _TABLES)
    most = max(least, min(len(keys), (room - 60) // _TOKENS_PER_LINE))
    count = rng.randint(least, most)
    pairs = [(key, make(rng)) for key in rng.sample(keys, count)]
    text = ("\n" if rng.random() < 0.8 else " ").join(line.format(*pair) for pair in pairs)
    return _talk(text, _questions(rng, pairs, ask, line, rng.randint(2, 3 + count // 8)))


def hidden(rng, room):
    """A few lines of codes between short stories; what was hidden is asked at the end."""
    line, ask, keys, make = rng.choice(_TABLES[:7])
    pairs = [(key, make(rng)) for key in rng.sample(keys, rng.randint(1, 4))]
    tales = [Story(rng, careful=True).text for _ in range(rng.randint(0, max(1, (room - 120) // _TOKENS_PER_TALE)))]
    blocks = tales + [line.format(*pair) for pair in pairs]
    rng.shuffle(blocks)
    return _talk("\n\n".join(blocks), _questions(rng, pairs, ask, line, 4))


def later(rng, room, talk):
    """Things told at the start of a talk and asked at its end; `talk` makes the turns between."""
    line, ask, keys, make = rng.choice(_TABLES[:7])
    pairs = [(key, make(rng)) for key in rng.sample(keys, rng.randint(1, 3))]
    messages = [("user", "Remember this: " + " ".join(line.format(*pair) for pair in pairs)),
                ("assistant", "I will remember it.")]
    left = room - 150
    while left > 0 and rng.random() < 0.93:
        between = [m for m in talk(rng) if m[0] in ("user", "assistant")]
        left -= sum(len(text) // 4 + 6 for _, text in between)
        if left > 0:
            messages += between
    for question, answer in _questions(rng, pairs, ask, line, 3):
        messages += [("user", question), ("assistant", answer)]
    return messages


def where(rng):
    """Where things are, asked for several of them, in both directions."""
    count = rng.randint(2, 6)
    sides = ("on", "under", "behind", "next to", "in front of")
    things = rng.sample(words.OBJECTS, count)
    spots = rng.sample(words.FURNITURE + ("door", "window", "tree", "box"), count)
    spots = [spot for spot, thing in zip(spots, things)]
    facts = [(thing, rng.choice(sides), spot) for thing, spot in zip(things, spots)]
    text = " ".join(f"The {thing} is {side} the {spot}." for thing, side, spot in facts)
    messages = []
    for turn, (thing, side, spot) in enumerate(rng.sample(facts, rng.randint(1, count))):
        question, answer = f"Where is the {thing}?", f"The {thing} is {side} the {spot}."
        if rng.random() < 0.15:
            question = f"What is {side} the {spot}?"
        if turn:
            question = casual(rng, question)
        gap = "\n\n" if rng.random() < 0.3 else " "
        messages += [("user", (text + gap if turn == 0 else "") + question), ("assistant", answer)]
    return messages


def long_repeat(rng, room):
    """Repeat a long run of words; the prompt and the answer share the room."""
    most = max(10, (room - 40) // (2 * _TOKENS_PER_WORD))
    return task_copy.repeat(rng, most)


def recall(rng, room, talk):
    """One conversation of this family, at most about `room` tokens long."""
    roll = rng.random()
    if roll < 0.55:
        return table(rng, room)
    if roll < 0.72:
        return hidden(rng, room)
    if roll < 0.88:
        return later(rng, room, talk)
    return long_repeat(rng, room)
