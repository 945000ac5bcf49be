"""Knowledge drills: the closed tables asked in more ways, several questions to a conversation."""
from textgen import task_chat, task_knowledge, words
from textgen.phrasing import casual, join_words

# another way to ask a fact: the question of task_knowledge.FACTS
_OTHER_QUESTIONS = dict(line.split(" = ") for line in """
How many days does a week have? = How many days are in a week?
How many months does a year have? = How many months are in a year?
How many hours does a day have? = How many hours are in a day?
How many minutes does an hour have? = How many minutes are in an hour?
How many seconds does a minute have? = How many seconds are in a minute?
How many weeks does a year have? = How many weeks are in a year?
How many letters does the alphabet have? = How many letters are in the alphabet?
How many continents does the Earth have? = How many continents are there?
How many planets are there? = How many planets are in the solar system?
How many sides are in a triangle? = How many sides does a triangle have?
How many sides are in a square? = How many sides does a square have?
How many legs are on a spider? = How many legs does a spider have?
What is made by bees? = What do bees make?
What do we get from cows? = What do cows give us?
What does a hen lay? = What do hens lay?
Why does the sky look blue? = Why is the sky blue?
Where does rain come from? = Why does it rain?
Why do trees lose their leaves? = Why do leaves fall in autumn?
Why do people need sleep? = Why do we sleep?
Which planet is the largest? = What is the largest planet?
Which planet is the smallest? = What is the smallest planet?
What is the hottest planet? = Which planet is the hottest?
What is the planet with the large rings? = Which planet has large rings?
Which star is closest to the Earth? = What is the closest star to the Earth?
Which ocean is the largest? = What is the largest ocean?
Which animal is the largest? = What is the largest animal?
Which animal is the tallest? = What is the tallest animal?
Which land animal is the fastest? = What is the fastest land animal?
Which mountain is the highest? = What is the highest mountain?
Which river is the longest in Africa? = What is the longest river in Africa?
What does ice consist of? = What is ice?
What does steam consist of? = What is steam?
What does snow consist of? = What is snow made of?
When does water boil? = At what temperature does water boil?
When does water freeze? = At what temperature does water freeze?
What does a plant need to grow? = What do plants need to grow?
In which direction does the sun rise? = Where does the sun rise?
In which direction does the sun set? = Where does the sun set?
Which color does grass have? = What color is grass?
Which color does the sky have? = What color is the sky?
Which color does snow have? = What color is snow?
What do blue and yellow make? = What color do you get from blue and yellow?
What do red and yellow make? = What color do you get from red and yellow?
What do red and blue make? = What color do you get from red and blue?
How is bread made? = What is bread made of?
How is paper made? = What is paper made of?
How is glass made? = What is glass made of?
How is cheese made? = What is cheese made of?
What is the shortest month? = Which month has 28 days?
Which month is the first of the year? = What is the first month of the year?
Which month is the last of the year? = What is the last month of the year?
Who is the author of Romeo and Juliet? = Who wrote Romeo and Juliet?
Who made the Mona Lisa? = Who painted the Mona Lisa?
What does a computer do? = What is a computer?
What does the word internet mean? = What is the internet?
What does a language model do? = What is a language model?
What does a neural network do? = What is a neural network?
How does speculative decoding work? = What is speculative decoding?
What does a prefix cache do? = What is a prefix cache?
What does quantization do? = What is quantization?
What does a GPU do? = What is a GPU?
What does a CPU do? = What is a CPU?
How does continuous batching work? = What is continuous batching?
What does a KV cache do? = What is a KV cache?
What does JSON mean? = What is JSON?
What does an API do? = What is an API?
What does open source mean? = What is open source software?
""".strip().split("\n"))
_ANSWERS = dict(task_knowledge.FACTS)

# more ways to say what task_chat.FIXED holds, by its first question
_OTHER_TALK = {
    "Hello!": ("Hey!", "hi", "hello there", "Greetings!", "Hi Starter!", "Good day!", "Hello, anyone there?"),
    "Who are you?": ("Who is this?", "What's your name?", "Do you have a name?", "Can you introduce yourself?",
                     "Please tell me who you are.", "So who are you?"),
    "What can you do?": ("What can you help me with?", "Can you help me?", "I need help.", "Tell me what you can do.",
                         "What kind of questions can you answer?", "How can I use you?"),
    "Who made you?": ("Who built you?", "Who is your maker?", "How did you learn to talk?",
                      "What were you trained on?"),
    "How big are you?": ("How large are you?", "What is your size?", "How many parameters are in your model?"),
    "Thank you!": ("Thank you so much!", "thx", "Many thanks!", "Thanks for your help.", "Perfect, thanks!"),
    "Goodbye!": ("See you!", "Bye bye!", "Goodbye for now.", "Have a nice day!", "I am leaving now."),
    "How are you?": ("How are you doing?", "Are you well?", "Is everything fine?", "How is your day?"),
    "I am sad.": ("I feel sad.", "I am not happy today.", "I feel lonely.", "My day was terrible."),
    "I am happy today!": ("I feel great!", "I am so happy.", "I passed my exam!", "It is a wonderful day!"),
    "I am bored.": ("I don't know what to do.", "What could I do now?", "I need something to do."),
    "You are wrong.": ("That's wrong.", "No, that is not right.", "Your answer is wrong.", "This is false."),
    "Good job!": ("Great answer!", "You are smart.", "Very good!", "I like your answer.", "That was great."),
    "Do you dream?": ("Can you feel anything?", "Are you a person?", "Do you get tired?", "Do you have a body?"),
    "Do you speak German?": ("Can you speak French?", "Do you know Spanish?", "Can you talk in Italian?"),
    "Yes.": ("yes", "no", "Sure.", "Okay then.", "Fine."),
}


def fact(rng):
    """A fact, half of the time asked in another way."""
    if rng.random() < 0.5:
        return task_knowledge.fact(rng)
    question, known = rng.choice(tuple(_OTHER_QUESTIONS.items()))
    return [("user", casual(rng, question)), ("assistant", _ANSWERS[known])]


def small_talk(rng):
    """A fixed answer to one more way of saying the same."""
    questions, answers = rng.choice(task_chat.FIXED)
    question = rng.choice(_OTHER_TALK[questions[0]] + questions)
    return [("user", casual(rng, question)), ("assistant", rng.choice(answers))]


def capitals_sheet(rng):
    """The capitals of several countries at once."""
    chosen = rng.sample(tuple(words.CAPITALS.items()), rng.randint(2, 5))
    names = join_words([country for country, _ in chosen])
    ask = rng.choice(("What are the capitals of {}?", "Name the capitals of {}.", "Tell me the capitals of {}."))
    return [("user", casual(rng, ask.format(names))),
            ("assistant", "\n".join(f"The capital of {country} is {city}." for country, city in chosen))]


def words_sheet(rng):
    """Opposites, plurals or past tenses of several words at once."""
    name, table = rng.choice((("opposite", words.OPPOSITES), ("opposite", words.OPPOSITES),
                              ("plural", words.IRREGULAR_PLURALS), ("past tense", words.PAST_TENSES)))
    chosen = rng.sample(tuple(table.items()), rng.randint(2, 5))
    if rng.random() < 0.3:
        word, other = chosen[0]
        return [("user", casual(rng, f"{word}: what is the {name}?")),
                ("assistant", f"The {name} of {word} is {other}.")]
    names = join_words([word for word, _ in chosen])
    ask = rng.choice((f"What are the {name}s of {names}?", f"Tell me the {name}s of {names}."))
    return [("user", casual(rng, ask)),
            ("assistant", "\n".join(f"The {name} of {word} is {other}." for word, other in chosen))]


_QUESTIONS = (task_knowledge.capital, fact, task_knowledge.animal, task_knowledge.sequence, task_knowledge.opposite,
              task_knowledge.definition, small_talk, capitals_sheet, words_sheet)
_SHARES = (17, 22, 9, 6, 15, 22, 4, 4, 7)   # about equal use of each row of the tables


def quiz(rng):
    """One question or several in a row."""
    messages = []
    for _ in range(rng.choice((1, 1, 2, 3, 4, 5))):
        messages += rng.choices(_QUESTIONS, _SHARES)[0](rng)
    return messages
