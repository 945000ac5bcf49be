"""Sums, differences, products and counting problems.

Pairs of numbers come from three ranges, so that every pair with a sum up to twenty is seen some
hundred times in a run and two-digit pairs come with and without a carry.
"""
from textgen import words
from textgen.phrasing import casual

_ADD = ("What is {x} + {y}?", "What is {x} plus {y}?", "Add {x} and {y}.", "Calculate {x} + {y}.",
        "{x} + {y} = ?", "How much is {x} + {y}?", "{x}+{y}", "{x} + {y}", "What's {x} + {y}?",
        "What is the sum of {x} and {y}?", "How much is {x} and {y}?", "Compute {x} + {y}.",
        "Can you add {x} and {y}?", "What do you get if you add {y} to {x}?", "{x} plus {y} is?", "{x}+{y}=",
        "Please work out {x} + {y}.", "Solve {x} + {y}.", "What does {x} + {y} make?")
_SUBTRACT = ("What is {x} - {y}?", "What is {x} minus {y}?", "Subtract {y} from {x}.", "Calculate {x} - {y}.",
             "{x} - {y} = ?", "How much is {x} - {y}?", "{x}-{y}", "{x} - {y}", "What's {x} - {y}?",
             "Take {y} away from {x}.", "Compute {x} - {y}.", "What is left if you take {y} from {x}?",
             "{x} minus {y} is?", "{x}-{y}=", "Please work out {x} - {y}.", "Solve {x} - {y}.",
             "What is the difference between {x} and {y}?")
_MULTIPLY = ("What is {x} times {y}?", "What is {x} * {y}?", "Multiply {x} by {y}.", "Calculate {x} * {y}.",
             "{x} * {y} = ?", "{x}*{y}", "How much is {x} times {y}?")
_SHEET = ("Solve these:\n{}", "Calculate:\n{}", "Work these out.\n\n{}", "{}\n\nSolve all of them.",
          "What are the results?\n{}", "Do these sums:\n{}")


# every pair of numbers with a sum up to twenty
_SMALL = tuple((x, y) for x in range(21) for y in range(21 - x))


def operands(rng):
    """Return two numbers: a sum up to twenty, single digits, tens, or any two numbers below a hundred."""
    roll = rng.random()
    if roll < 0.30:
        return rng.choice(_SMALL)
    if roll < 0.36:
        return rng.randint(0, 9), rng.randint(0, 9)
    if roll < 0.42:
        tens = 10 * rng.randint(1, 9)
        pair = [tens, rng.choice((10 * rng.randint(1, 9), rng.randint(0, 9)))]
        rng.shuffle(pair)
        return tuple(pair)
    return rng.randint(0, 99), rng.randint(0, 99)


def problem(rng):
    """Return (x, sign, y, result) of an addition (two thirds) or a difference that is not negative."""
    x, y = operands(rng)
    if rng.random() < 0.62:
        return x, "+", y, x + y
    if x + y <= 20 and rng.random() < 0.5:
        return x + y, "-", y, x
    x, y = max(x, y), min(x, y)
    return x, "-", y, x - y


def _question(rng, x, sign, y):
    if max(x, y) <= 20 and rng.random() < 0.06:
        x, y = words.NUMBER_WORDS[x], words.NUMBER_WORDS[y]
        forms = _ADD[1:3] if sign == "+" else _SUBTRACT[1:3]
    else:
        forms = _ADD if sign == "+" else _SUBTRACT
    # The plainest form is asked most, as people do.
    form = forms[0] if rng.random() < 0.4 else rng.choice(forms)
    return casual(rng, form.format(x=x, y=y)).rstrip()


def single(rng):
    """One question, or some in a row."""
    messages = []
    for _ in range(1 if rng.random() < 0.6 else rng.randint(2, 5)):
        x, sign, y, result = problem(rng)
        messages += [("user", _question(rng, x, sign, y)), ("assistant", f"{x} {sign} {y} = {result}.")]
    return messages


def sheet(rng):
    """Several sums in one message, one to a line."""
    problems = [problem(rng) for _ in range(rng.randint(3, 12))]
    if rng.random() < 0.15:   # a part of the table of one number
        x, start = rng.randint(0, 99), rng.randint(0, 9)
        if x < start + 8 or rng.random() < 0.5:
            problems = [(x, "+", y, x + y) for y in range(start, start + 8)]
        else:
            problems = [(x, "-", y, x - y) for y in range(start, start + 8)]
    ask = "\n".join(f"{x} {sign} {y}" for x, sign, y, _ in problems)
    answer = "\n".join(f"{x} {sign} {y} = {result}" for x, sign, y, result in problems)
    return [("user", rng.choice(_SHEET).format(ask)), ("assistant", answer)]


def worked(rng):
    """A two-digit addition by tens and ones."""
    x, y = rng.randint(10, 99), rng.randint(10, 99)
    tens, ones = x // 10 * 10 + y // 10 * 10, x % 10 + y % 10
    ask = rng.choice(("Show your work: {} + {}", "How do I add {} and {} step by step?",
                      "Add {} and {} and show the steps.", "Explain how to add {} and {}."))
    steps = (f"{x // 10 * 10} + {y // 10 * 10} = {tens}\n{x % 10} + {y % 10} = {ones}\n"
             f"{tens} + {ones} = {x + y}\nSo {x} + {y} = {x + y}.")
    return [("user", ask.format(x, y)), ("assistant", steps)]


def product(rng):
    """A product of the small multiplication table."""
    x, y = rng.randint(0, 10), rng.randint(0, 10)
    return [("user", casual(rng, rng.choice(_MULTIPLY).format(x=x, y=y)).rstrip()),
            ("assistant", f"{x} * {y} = {x * y}.")]


def comparison(rng):
    """Which of two numbers is larger or smaller."""
    x, y = rng.sample(range(100 if rng.random() < 0.7 else 21), 2)
    if rng.random() < 0.6:
        ask = rng.choice(("Which number is larger, {} or {}?", "Which is bigger, {} or {}?", "Is {} or {} larger?"))
        return [("user", casual(rng, ask.format(x, y))), ("assistant", f"{max(x, y)} is larger than {min(x, y)}.")]
    ask = rng.choice(("Which number is smaller, {} or {}?", "Which is smaller, {} or {}?"))
    return [("user", casual(rng, ask.format(x, y))), ("assistant", f"{min(x, y)} is smaller than {max(x, y)}.")]


def word_problem(rng):
    """Things gained or lost by a person."""
    name = rng.choice(words.GIRL_NAMES + words.BOY_NAMES)
    things = rng.choice(tuple(words.COUNTABLES.values()))
    x = rng.randint(2, 20)
    y = rng.randint(2, x)
    if rng.random() < 0.5:
        verb = rng.choice(("gets {} more", "finds {} more", "buys {} more"))
        return [("user", f"{name} has {x} {things} and {verb.format(y)}. How many {things} does {name} have now?"),
                ("assistant", f"{name} has {x} + {y} = {x + y} {things} now.")]
    verb = rng.choice(("gives away {}", "loses {}", "sells {}"))
    return [("user", f"{name} has {x} {things} and {verb.format(y)}. How many {things} are left?"),
            ("assistant", f"{name} has {x} - {y} = {x - y} {things} left.")]


def arithmetic(rng):
    """One conversation of this family."""
    return rng.choices((single, sheet, worked, product, comparison, word_problem), (42, 42, 4, 4, 3, 5))[0](rng)
