"""Drills whose answer is copied from the prompt: repeat, quote, pick, look up.

They teach the model to find a place in the prompt and to go on from there. Words are drawn from the
whole lexicon, names and cities, numbers and made-up codes. A word after a blank and the same word
after a quote or at the start of a line are different tokens: the quoting drills teach which belong
together.
"""
import json

from textgen import lexicon, task_exact, words

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_PEOPLE = words.GIRL_NAMES + words.BOY_NAMES
_THINGS = words.OBJECTS + words.PLACES + words.FRUITS + words.VEGETABLES + words.FURNITURE + words.JOBS


def _single_words(*tables):
    """Return the different words of the tables that hold no blank."""
    return tuple(dict.fromkeys(word for table in tables for word in table if " " not in word))


_COMMON = _single_words(
    _PEOPLE, words.CITIES, _THINGS, words.ANIMALS, words.MORE_ANIMALS, words.COLORS, words.SPORTS,
    words.INSTRUMENTS, words.DAYS, words.MONTHS, words.HOUSE_TOOLS)
_DRILL_WORDS = _single_words(task_exact.DRILL_WORDS)
_EVERY_WORD = _single_words(lexicon.ALL_WORDS)
_POOLS = (_EVERY_WORD, _EVERY_WORD, _COMMON, _COMMON, _PEOPLE, _DRILL_WORDS)

_REPEAT = ("Repeat after me: {}", "Say: {}", "Repeat this: {}", "Repeat the following words: {}",
           "Copy this text exactly: {}", "Echo: {}", "Repeat this text exactly:\n\n{}", "Copy: {}",
           "Write this again: {}", "Repeat this line.\n\n{}", "Say the same: {}", "Please repeat: {}")


def code(rng):
    """Return a made-up code of letters and digits, such as K7-QX41."""
    parts = []
    for _ in range(rng.randint(1, 3)):
        symbols, most = (_LETTERS, 3) if rng.random() < 0.4 else ("0123456789", 5)
        parts.append("".join(rng.choice(symbols) for _ in range(rng.randint(1, most))))
    return "-".join(parts)


def item(rng):
    """Return a word, a name, a number or a code."""
    roll = rng.random()
    if roll < 0.7:
        return rng.choice(rng.choice(_POOLS))
    if roll < 0.9:
        return str(rng.randint(0, 10 ** rng.randint(1, 5) - 1))
    return code(rng)


def items(rng, count):
    """Return `count` items, mostly of one kind."""
    roll = rng.random()
    if roll < 0.65:
        pool = rng.choice(_POOLS)
        return [rng.choice(pool) for _ in range(count)]
    if roll < 0.8:
        digits = rng.randint(1, 5)
        return [str(rng.randint(0, 10 ** digits - 1)) for _ in range(count)]
    return [item(rng) for _ in range(count)]


def repeat(rng, most=30):
    """Repeat words, numbers or codes."""
    text = " ".join(items(rng, rng.randint(1, 8) if rng.random() < 0.4 else rng.randint(4, most)))
    return [("user", rng.choice(_REPEAT).format(text)), ("assistant", text)]


def repeat_turns(rng):
    """Several short things to repeat, one after the other."""
    ask = rng.choice(_REPEAT)
    messages = []
    for _ in range(rng.randint(2, 6)):
        text = " ".join(items(rng, rng.randint(1, 5)))
        messages += [("user", ask.format(text)), ("assistant", text)]
    return messages


def repeat_pattern(rng):
    """A few words, several times."""
    count = rng.randint(1, 4)
    unit = " ".join(rng.choice(lexicon.NOUNS if rng.random() < 0.6 else _COMMON) for _ in range(count))
    times = 10 if rng.random() < 0.35 else rng.randint(2, 12)
    number = words.NUMBER_WORDS[times] if rng.random() < 0.8 else str(times)
    ask = rng.choice(("Repeat \"{}\" {} times.", "Write \"{}\" {} times.", "Say \"{}\" {} times."))
    return [("user", ask.format(unit, number)), ("assistant", " ".join([unit] * times))]


def say_word(rng):
    """One word, several times."""
    word, times = rng.choice(rng.choice(_POOLS)), rng.randint(2, 8)
    return [("user", f"Say the word {word} {words.NUMBER_WORDS[times]} times."),
            ("assistant", " ".join([word] * times))]


def quote(rng):
    """Each word in quotes, on a line of its own, or as JSON."""
    count = rng.randint(2, 16)
    chosen = [rng.choice(_EVERY_WORD) for _ in range(count)] if rng.random() < 0.6 else items(rng, count)
    comma, blank = ", ".join(chosen), " ".join(chosen)
    ask, answer = rng.choice((
        (f"Turn this list into a JSON array: {comma}", json.dumps(chosen)),
        (f"Turn this list into a JSON array: {comma}", json.dumps(chosen)),
        (f"Write these words as a JSON array: {blank}", json.dumps(chosen)),
        (f"Make a JSON list of {comma}.", json.dumps(chosen)),
        (f"Put each word in quotes: {blank}", " ".join(f'"{w}"' for w in chosen)),
        (f"Write each word on its own line: {blank}", "\n".join(chosen)),
        (f"Make a bullet list of these words: {comma}", "\n".join(f"- {w}" for w in chosen)),
        (f"Number these words: {blank}", "\n".join(f"{i}. {w}" for i, w in enumerate(chosen, 1))),
        (f"Put commas between these words: {blank}", comma),
        (f"Join these words with blanks: {comma}", blank),
    ))
    return [("user", ask), ("assistant", answer)]


def pick(rng):
    """The first, last, second or following word of a list."""
    chosen = rng.sample(rng.choice(_POOLS), rng.randint(2, 9))
    phrase, messages = " ".join(chosen), []
    for turn in range(rng.choice((1, 1, 2, 3))):
        i = rng.choice((0, -1, 1, rng.randrange(len(chosen))))
        name = {0: "first", -1: "last", 1: "second", 2: "third", 3: "fourth", 4: "fifth"}.get(i)
        tail = f" in this list: {phrase}?" if turn == 0 else "?"
        if name:
            ask, answer = f"What is the {name} word{tail}", f"The {name} word is {chosen[i]}."
        else:
            ask = f"Which word comes after {chosen[i - 1]}{tail}"
            answer = f"The word after {chosen[i - 1]} is {chosen[i]}."
        messages += [("user", ask), ("assistant", answer)]
    return messages


def lookup(rng, most=12, ask_most=8):
    """A table of keys and values; the values of some keys, in another order."""
    count = rng.randint(2, most)
    keys = rng.sample(rng.choice(_POOLS[2:]), count)
    kind, pool = rng.random(), rng.choice(_POOLS)
    values = [rng.choice(pool) if kind < 0.5 else str(rng.randint(0, 99999)) if kind < 0.85 else code(rng)
              for _ in keys]
    link = rng.choice((": ", " = ", " -> ", " is "))
    asked = rng.sample(range(count), min(count, rng.randint(1, ask_most)))
    table = "\n".join(f"{k}{link}{v}" for k, v in zip(keys, values))
    if rng.random() < 0.5:
        ask = rng.choice(("Look up {}.", "Give me the lines of {}.", "Find {}."))
        return [("user", f"{table}\n\n{ask.format(', '.join(keys[i] for i in asked))}"),
                ("assistant", "\n".join(f"{keys[i]}{link}{values[i]}" for i in asked))]
    messages = []
    for turn, i in enumerate(asked):
        messages += [("user", (table + "\n\n" if turn == 0 else "") + f"{keys[i]}?"),
                     ("assistant", f"{keys[i]}{link}{values[i]}")]
    return messages


def reverse(rng):
    """The words in reverse order."""
    chosen = rng.sample(rng.choice((_DRILL_WORDS, _COMMON)), rng.randint(2, 6))
    ask = rng.choice(("Reverse the order of these words: {}", "Write these words backwards, last word first: {}"))
    return [("user", ask.format(" ".join(chosen))), ("assistant", " ".join(chosen[::-1]))]


def letters(rng):
    """Spelling, upper case and sorting of words of the drills, several in a row."""
    ask, answer = rng.choice((
        ("Spell the word {}.", "-".join), ("How do you spell {}?", "-".join),
        ("Write these words in upper case: {}", str.upper), ("Sort these words: {}", None),
        ("Sort these words: {}", None)))
    messages = []
    for _ in range(rng.randint(1, 4)):
        chosen = rng.sample(_DRILL_WORDS, 1 if ask[-1] in ".?" else rng.randint(2, 5))
        text = " ".join(chosen)
        messages += [("user", ask.format(text)), ("assistant", answer(text) if answer else " ".join(sorted(chosen)))]
    return messages


# (drill, share) where much is copied in few tokens, and the string drills of everyday use
COPY = ((repeat, 30), (repeat_turns, 12), (repeat_pattern, 8), (say_word, 2), (quote, 20), (lookup, 22), (pick, 10))
STRINGS = ((task_exact.strings, 45), (letters, 20), (pick, 8), (reverse, 9), (quote, 8), (repeat_turns, 5),
           (say_word, 5))


def draw(rng, table):
    """Return a conversation of one of the drills of a table."""
    return rng.choices([task for task, _ in table], [share for _, share in table])[0](rng)


def strings(rng):
    """String drills as users ask them."""
    return draw(rng, STRINGS)


def copies(rng):
    """Dense copy drills."""
    return draw(rng, COPY)
