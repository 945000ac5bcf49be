"""Print sampled conversations with a served model as they came over HTTP, for the README."""
import argparse

from served_eval import ROOT, Served

CONVERSATIONS = (
    ("Hello!", "Who are you?"),
    ("My name is Mia.", "What is the capital of Japan?", "What is my name?"),
    ("Tell me a short story about a fox and a lantern.",),
    ("What is 7 + 8?", "What is 46 + 27?"),
    ("The code of the blue box is 4172. The code of the red box is 9035.\n\nWhat is the code of the blue box?",),
    ("Tom is 34 years old. Tom lives in Rome.\n\nReturn a JSON object about Tom with the keys name, age and city. "
     "Reply with JSON only.",),
    ("Name three fruits.", "What is the opposite of cold?"),
    ("Repeat after me: kite drum fox", "Spell the word lamp."),
    ("How do I make tea?",),
    ("Who will win the next election?",),
)


def converse(server, turns, seed, temperature):
    """Return [(role, text), ...] of a conversation; each turn has a seed of its own."""
    messages = []
    for number, turn in enumerate(turns):
        messages.append({"role": "user", "content": turn})
        reply = server.post("/v1/chat/completions", {
            "model": "starter", "messages": messages, "temperature": temperature, "seed": seed + number,
            "max_tokens": 300})
        messages.append({"role": "assistant", "content": reply["choices"][0]["message"]["content"]})
    return [(message["role"], message["content"]) for message in messages]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build/release/inferneo"), help="the server")
    parser.add_argument("--model", default=str(ROOT / "models/starter"), help="model folder")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with Served(args.program, {"starter": args.model}) as server:
        for index, turns in enumerate(CONVERSATIONS):
            for role, text in converse(server, turns, args.seed + 100 * index, args.temperature):
                mark = "> " if role == "user" else ""
                print("\n".join(mark + line for line in text.splitlines()))
            print()


if __name__ == "__main__":
    main()
