"""What users tell about themselves, in many ways, and what the assistant remembers or was never told."""
from textgen import words
from textgen.phrasing import casual
from textgen.stories import article, capitalize

NOT_TOLD = "You have not told me that."
_PEOPLE = words.GIRL_NAMES + words.BOY_NAMES
_PETS = tuple(words.ANIMALS) + words.MORE_ANIMALS[:16]
_HOBBIES = ("reading", "painting", "dancing", "singing", "baking", "fishing", "hiking", "sewing", "drawing",
            "gardening", "chess", "cooking") + words.SPORTS

# (values, statements, reply, questions, answer); {v} is the value, {a} the value with its article,
# {V} and {A} the same with a capital letter
_FACTS = (
    (_PEOPLE, ("My name is {v}.", "I'm {v}.", "I am {v}.", "Call me {v}.", "People call me {v}.", "I am called {v}.",
               "Hey, it's {v} here.", "This is {v}."), "Nice to meet you, {v}! How can I help you?",
     ("What is my name?", "Who am I?", "Do you know my name?", "What am I called?", "Can you tell me my name?"),
     "Your name is {v}."),
    (words.COLORS[:12],
     ("My favorite color is {v}.", "I like {v} best of all colors.", "{V} is my favorite color."),
     "{V} is a nice color.", ("What is my favorite color?", "Which color do I like best?"),
     "Your favorite color is {v}."),
    (words.CITIES, ("I live in {v}.", "My home is in {v}.", "I am from {v}.", "I moved to {v}."),
     "{v} is an interesting place.", ("Where do I live?", "In which city do I live?", "What is my city?"), "You live in {v}."),
    (words.JOBS, ("I work as {a}.", "I am {a}.", "My job is {v}.", "I'm {a} by trade."),
     "It must be interesting to work as {a}.", ("What is my job?", "What do I work as?", "What do I do for a living?"), "You work as {a}."),
    (tuple(range(6, 90)), ("I am {v} years old.", "My age is {v}.", "I turned {v} this year."),
     "Thank you for telling me.", ("How old am I?", "What is my age?", "Do you remember my age?"), "You are {v} years old."),
    (_HOBBIES, ("My hobby is {v}.", "I like {v}.", "I enjoy {v}."), "{V} is a good hobby.",
     ("What is my hobby?", "What do I like to do?", "What do I enjoy?"), "Your hobby is {v}."),
    (words.FRUITS + words.VEGETABLES, ("My favorite food is {v}.", "I like to eat {v}."), "{V} tastes good.",
     ("What is my favorite food?", "What do I like to eat?"), "Your favorite food is {v}."),
    (words.DRINKS, ("My favorite drink is {v}.", "I like to drink {v}."), "{V} is a good drink.",
     ("What is my favorite drink?", "What do I like to drink?"), "Your favorite drink is {v}."),
    (words.BOY_NAMES, ("My brother is called {v}.", "I have a brother named {v}."), "Say hello to {v} from me.",
     ("What is my brother called?", "What is the name of my brother?"), "Your brother is called {v}."),
    (words.GIRL_NAMES, ("My sister is called {v}.", "I have a sister named {v}."), "Say hello to {v} from me.",
     ("What is my sister called?", "What is the name of my sister?"), "Your sister is called {v}."),
    (_PEOPLE, ("My best friend is {v}.", "{v} is my best friend."), "It is good to have a friend like {v}.",
     ("Who is my best friend?", "What is the name of my best friend?"), "Your best friend is {v}."),
    (words.MONTHS, ("My birthday is in {v}.", "I was born in {v}."), "{v} is a good month for a birthday.",
     ("When is my birthday?", "In which month is my birthday?"), "Your birthday is in {v}."),
    (words.VEHICLES, ("I have {a}.", "I drive {a}."), "{A} is useful.",
     ("What do I drive?", "Which vehicle do I have?"), "You have {a}."),
    (words.INSTRUMENTS, ("I play the {v}.", "I am learning to play the {v}."), "The {v} sounds nice.",
     ("Which instrument do I play?", "What do I play?"), "You play the {v}."),
    (_PETS, ("I have {a} as a pet.", "My pet is {a}."), "{A} is a nice pet.",
     ("Which pet do I have?", "What is my pet?"), "You have {a}."),
)


def _fill(template, value):
    text = str(value)
    one = article(text)
    return template.format(v=text, V=capitalize(text), a=one, A=capitalize(one))


def memory(rng, between=None):
    """The user tells one to four things and asks for some, or for one that was never told.

    between: optional function rng -> messages that fills the middle of the talk.
    """
    facts = rng.sample(_FACTS, rng.randint(1, 4))
    told = [(fact, rng.choice(fact[0])) for fact in facts]
    statements = [_fill(rng.choice(fact[1]), value) for fact, value in told]
    messages = []
    if len(told) > 1 and rng.random() < 0.4:
        messages += [("user", " ".join(statements)), ("assistant", _fill(told[0][0][2], told[0][1]))]
    else:
        for (fact, value), statement in zip(told, statements):
            messages += [("user", casual(rng, statement)), ("assistant", _fill(fact[2], value))]
    if between and rng.random() < 0.4:
        messages += between(rng)
    for fact, value in rng.sample(told, rng.randint(1, len(told))):
        messages += [("user", casual(rng, rng.choice(fact[3]))), ("assistant", _fill(fact[4], value))]
    if rng.random() < 0.15:
        messages += not_told(rng, [fact for fact, _ in told])
    return messages


def not_told(rng, told=()):
    """A question about the user that nothing in the talk answers."""
    fact = rng.choice([fact for fact in _FACTS if fact not in told])
    return [("user", casual(rng, rng.choice(fact[3]))), ("assistant", NOT_TOLD)]
