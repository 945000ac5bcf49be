"""JSON objects made from lines, sentences and requests, with many keys and values."""
import json

from textgen import lexicon, task_copy, words
from textgen.stories import article

_JSON_ONLY = ("Reply with JSON only.", "Answer with JSON only.", "Output only JSON.", "Return only the JSON.")
_PEOPLE = words.GIRL_NAMES + words.BOY_NAMES
_COUNTS = ("age", "count", "price", "year", "hour", "minutes", "size", "weight", "page", "seats", "score", "level",
           "port", "id", "width", "height", "amount", "total", "stock", "speed")
_FLAGS = ("active", "open", "paid", "ready", "new", "public", "done", "available", "locked", "valid")
# key: pool of its values
_WORDS = {
    "name": _PEOPLE, "friend": _PEOPLE, "owner": _PEOPLE, "author": _PEOPLE, "city": words.CITIES, "from": words.CITIES,
    "to": words.CITIES, "country": tuple(words.CAPITALS), "color": words.COLORS, "item": words.OBJECTS,
    "animal": tuple(words.ANIMALS), "pet": tuple(words.ANIMALS) + words.MORE_ANIMALS, "job": words.JOBS,
    "sport": words.SPORTS, "instrument": words.INSTRUMENTS, "fruit": words.FRUITS, "drink": words.DRINKS,
    "day": words.DAYS, "month": words.MONTHS, "place": words.PLACES, "tool": words.HOUSE_TOOLS,
    "vehicle": words.VEHICLES, "mood": words.MOODS, "room": words.FURNITURE, "title": lexicon.NOUNS,
    "word": lexicon.ALL_WORDS, "topic": lexicon.NOUNS, "type": lexicon.NOUNS, "key": lexicon.TECHNICAL,
    "status": lexicon.ADJECTIVES_WIDE, "category": tuple(words.CATEGORIES), "surname": words.LAST_NAMES,
}
_KEYS = tuple(_WORDS) * 2 + _COUNTS + _FLAGS + ("code",)


def value(rng, key):
    """Return a value that fits a key."""
    if key in _FLAGS:
        return rng.random() < 0.5
    if key in _COUNTS:
        return rng.randint(0, 10 ** rng.randint(1, 4) - 1)
    if key == "code":
        return task_copy.code(rng)
    return rng.choice(_WORDS[key])


def fields(rng, least, most):
    """Return a dict of random keys and values that fit them."""
    keys = list(dict.fromkeys(rng.choice(_KEYS) for _ in range(rng.randint(least, most))))
    return {key: value(rng, key) for key in keys}


def _plain(thing):
    return str(thing).lower() if isinstance(thing, bool) else str(thing)


def given(rng):
    """The keys and values stand in the request."""
    messages = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        values = fields(rng, 1, 5)
        parts = ", ".join(f"{key} {_plain(v)}" for key, v in values.items())
        ask = rng.choice(("Write a JSON object with {}.", "Make a JSON object with {}.", "Return JSON with {}.",
                          "Give me this as a JSON object: {}.", "Create JSON: {}.", "Turn this into JSON: {}.",
                          "Write {} as a JSON object."))
        tail = " " + rng.choice(_JSON_ONLY) if rng.random() < 0.5 else ""
        messages += [("user", ask.format(parts) + tail), ("assistant", json.dumps(values))]
    return messages


def from_lines(rng):
    """Some keys of a list of lines."""
    values = fields(rng, 2, 9)
    link = rng.choice((": ", " = ", " - "))
    text = "\n".join(f"{key}{link}{_plain(v)}" for key, v in values.items())
    keys = list(values)
    if rng.random() < 0.5:
        ask = rng.choice(("Turn this into a JSON object.", "Write this as JSON.", "Convert the lines to JSON."))
    else:
        keys = rng.sample(keys, rng.randint(1, len(keys)))
        ask = rng.choice(("Return a JSON object with the keys {}.", "Write a JSON object with the keys {}.",
                          "Extract {} as JSON.")).format(", ".join(keys))
    return [("user", f"{text}\n\n{ask} {rng.choice(_JSON_ONLY)}"),
            ("assistant", json.dumps({key: values[key] for key in keys}))]


def _order(rng):
    who, count, item, city = rng.choice(_PEOPLE), rng.randint(2, 99), rng.choice(
        tuple(words.COUNTABLES.values())), rng.choice(words.CITIES)
    day, price = rng.choice(words.DAYS), rng.randint(1, 500)
    return (f"{who} ordered {count} {item} on {day}. The price is {price} dollars. They go to {city}.",
            {"name": who, "count": count, "item": item, "day": day, "price": price, "city": city})


def _trip(rng):
    who, (start, end) = rng.choice(_PEOPLE), rng.sample(words.CITIES, 2)
    vehicle, day, hours = rng.choice(words.VEHICLES), rng.choice(words.DAYS), rng.randint(2, 30)
    return (f"{who} goes from {start} to {end} by {vehicle} on {day}. The trip takes {hours} hours.",
            {"person": who, "from": start, "to": end, "vehicle": vehicle, "day": day, "hours": hours})


def _product(rng):
    thing, color, price = rng.choice(words.OBJECTS), rng.choice(words.COLORS[:12]), rng.randint(1, 999)
    stock, code = rng.randint(2, 400), task_copy.code(rng)
    return (f"The {thing} is {color} and costs {price} dollars. There are {stock} of them. The code is {code}.",
            {"item": thing, "color": color, "price": price, "stock": stock, "code": code})


def _member(rng):
    first, last, job = rng.choice(_PEOPLE), rng.choice(words.LAST_NAMES), rng.choice(words.JOBS)
    age, city, number = rng.randint(18, 90), rng.choice(words.CITIES), rng.randint(100, 9999)
    return (f"{first} {last} is {article(job)} of {age} years from {city}. The number of the card is {number}.",
            {"name": first, "surname": last, "job": job, "age": age, "city": city, "card": number})


def from_sentences(rng):
    """Some keys of a short notice: an order, a trip, a product or a member."""
    text, values = rng.choice((_order, _trip, _product, _member))(rng)
    keys = rng.sample(tuple(values), rng.randint(1, len(values)))
    ask = rng.choice(("Return a JSON object with the keys {}.", "Write a JSON object with the keys {}.",
                      "Extract {} as JSON.")).format(", ".join(keys)) + " " + rng.choice(_JSON_ONLY)
    prompt = f"{text}\n\n{ask}" if rng.random() < 0.75 else f"{ask}\n\n{text}"
    return [("user", prompt), ("assistant", json.dumps({key: values[key] for key in keys}))]


def read_back(rng):
    """Questions about the values of a JSON object."""
    values = fields(rng, 2, 7)
    messages = []
    for turn, key in enumerate(rng.sample(tuple(values), rng.randint(1, min(3, len(values))))):
        lead = json.dumps(values) + "\n\n" if turn == 0 else ""
        messages += [("user", f"{lead}What is the value of {key}?"),
                     ("assistant", f"The value of {key} is {_plain(values[key])}.")]
    return messages


def objects(rng):
    """One conversation of this family."""
    return rng.choices((given, from_lines, from_sentences, read_back), (36, 24, 30, 10))[0](rng)
