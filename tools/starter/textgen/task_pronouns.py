"""Names and their pronouns: he, she and they in short sentences."""
from textgen import words
from textgen.phrasing import casual
from textgen.stories import article

_BOTH = ((words.GIRL_NAMES, ("She", "her", "her")), (words.BOY_NAMES, ("He", "his", "him")))


def _person(rng):
    names, pronouns = rng.choice(_BOTH)
    return rng.choice(names), pronouns


def _sentence(rng):
    """Return a sentence as a template of subject and possessive."""
    thing, place = rng.choice(words.OBJECTS), rng.choice(words.PLACES)
    animal = rng.choice(tuple(words.ANIMALS))
    return rng.choice((
        "{0} lost {1} %s." % thing, "{0} found {1} %s." % thing, "{0} has %s." % article(animal),
        "{0} went home with {1} %s." % animal, "{0} saw the %s." % place, "{0} likes {1} %s." % thing,
        "{0} put {1} %s on the table." % thing, "{0} walked to the %s." % place, "{0} smiled and took {1} %s." % thing,
        "{0} looked for {1} %s." % animal,
    ))


def replace(rng):
    """Sentences with names, written again with pronouns."""
    asked, answered = [], []
    for _ in range(rng.randint(1, 4)):
        name, (he, his, _) = _person(rng)
        sentence = _sentence(rng)
        asked.append(sentence.format(name, his))
        answered.append(sentence.format(he, his))
    ask = rng.choice(("Write this with he or she instead of the name: {}", "Replace the names by pronouns: {}",
                      "Use he or she instead of names.\n\n{}"))
    return [("user", ask.format(" ".join(asked))), ("assistant", " ".join(answered))]


def about(rng):
    """Two people, one sentence with a pronoun for each; who did what."""
    girl, boy = rng.choice(words.GIRL_NAMES), rng.choice(words.BOY_NAMES)
    first, second = rng.sample(words.OBJECTS, 2)
    facts = [(girl, "She", first), (boy, "He", second)]
    rng.shuffle(facts)
    verb = rng.choice(("has", "found", "lost", "likes", "bought"))
    asked_verb = {"has": "have", "found": "find", "lost": "lose", "likes": "like", "bought": "buy"}[verb]
    helper = "does" if verb in ("has", "likes") else "did"
    text = f"{girl} and {boy} are friends. " + " ".join(f"{he} {verb} the {thing}." for _, he, thing in facts)
    name, _, thing = rng.choice(facts)
    if rng.random() < 0.5:
        return [("user", f"{text} Who {verb} the {thing}?"), ("assistant", f"{name} {verb} the {thing}.")]
    return [("user", f"{text} What {helper} {name} {asked_verb}?"), ("assistant", f"{name} {verb} the {thing}.")]


def which(rng):
    """The pronoun of a name, for some names in a row."""
    messages = []
    for _ in range(rng.randint(1, 5)):
        name, (he, his, him) = _person(rng)
        question, answer = rng.choice((
            (f"Do I say he or she for {name}?", f"You say {he.lower()} for {name}."),
            (f"Is it his or her book if the book belongs to {name}?", f"It is {his} book."),
            (f"Do I help him or her if I help {name}?", f"You help {him}."),
        ))
        messages += [("user", casual(rng, question)), ("assistant", answer)]
    return messages


def pronouns(rng):
    """One conversation of this family."""
    return rng.choices((replace, about, which), (50, 30, 20))[0](rng)
