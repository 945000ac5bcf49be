#!/usr/bin/env python3
"""Generated training text is right: sums, copies, JSON, tool calls, recall and stories are checked
by other means than those that wrote them. Also: documents are distinct, the held-out prompts come out
of their seed as they are stored, and rows are packed from whole documents."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOOLS = os.path.join(ROOT, "tools", "starter")
sys.path.insert(0, TOOLS)

import data                                                         # noqa: E402
import scoring                                                      # noqa: E402
from textgen import mixture, rendering, task_calls, task_memory, task_text, words  # noqa: E402
from textgen.stories import Story                                   # noqa: E402
from tokenizer import Tokenizer                                     # noqa: E402

TOKENIZER = os.path.join(ROOT, "models", "starter", "tokenizer.json")
DOCUMENTS = 10000
SIGNS = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}


def draws(draw, seed, count, *room):
    return [draw(mixture.document_rng(seed, i), *room) for i in range(count)]


def answers(messages):
    """Yield (text before the turn, last user text, answer) of each turn of the assistant."""
    before, asked = "", ""
    for role, text in messages:
        if role == "assistant":
            yield before, asked, text
        if role == "user":
            asked = text
        before += text + "\n"


class GeneratedText(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plain = draws(mixture.sample, "test", DOCUMENTS)
        cls.all = (cls.plain + draws(mixture.copy_sample, "test copies", 3000)
                   + draws(mixture.long_sample, "test long", 300))

    def turns(self):
        for name, messages in self.all:
            for before, asked, text in answers(messages):
                yield name, messages, before, asked, text

    def test_more_than_97_percent_of_documents_are_distinct(self):
        distinct = {rendering.render(messages) for _, messages in self.plain}
        self.assertGreater(len(distinct), 0.97 * DOCUMENTS)

    def test_documents_are_the_same_for_a_seed(self):
        again = draws(mixture.sample, "test", 200)
        self.assertEqual(again, self.plain[:200])

    def test_text_is_printable_ascii(self):
        for _, messages in self.all:
            for _, text in messages:
                self.assertTrue(text and text.isascii() and text.replace("\n", "").isprintable(), text)
                self.assertEqual(text, text.strip())

    def test_talks_end_with_the_assistant_and_take_turns(self):
        for name, messages in self.all:
            roles = [role for role, _ in messages]
            if roles == ["text"]:
                continue
            self.assertEqual(roles[-1], "assistant", name)
            for role, following in zip(roles, roles[1:]):
                self.assertIn((role, following), (("system", "user"), ("user", "assistant"), ("assistant", "user"),
                                                  ("assistant", "tool"), ("tool", "assistant")))
            self.assertNotIn("system", roles[1:])

    def test_sums_are_right(self):
        seen = collections.Counter()
        for name, _, _, asked, text in self.turns():
            for x, sign, y, result in re.findall(r"(?<![\d.x])(\d+) ([-+*]) (\d+) = (\d+)(?!\d)", text):
                self.assertEqual(SIGNS[sign](int(x), int(y)), int(result), text)
                seen[sign] += 1
            plain = re.fullmatch(r"(\d+) ([-+*]) (\d+) = \d+\.", text)
            if plain and re.search(r"\d", asked):   # the operands are those of the question
                self.assertEqual(sorted(map(int, plain.group(1, 3))), sorted(map(int, re.findall(r"\d+", asked)[-2:])))
            larger = re.fullmatch(r"(\d+) is (larger|smaller) than (\d+)\.", text)
            if larger:
                x, y = int(larger[1]), int(larger[3])
                self.assertTrue(x > y if larger[2] == "larger" else x < y, text)
        self.assertTrue(all(seen[sign] > 40 for sign in SIGNS), seen)

    def test_every_small_sum_is_common(self):
        pairs = collections.Counter(
            pair for _, _, _, _, text in self.turns() for pair in re.findall(r"(?<!\d)(\d+) \+ (\d+) =", text))
        missing = [(x, y) for x in range(21) for y in range(21 - x) if not pairs[str(x), str(y)]]
        self.assertLess(len(missing), 12, missing)   # of 231 pairs in 13,300 documents

    def test_json_answers_parse_and_hold_values_of_the_prompt(self):
        count = 0
        for name, _, before, asked, text in self.turns():
            if text[0] not in "[{" or name == "copy" and "JSON" not in asked:
                continue
            count += 1
            parsed = json.loads(text)
            if isinstance(parsed, list) and re.search(r"Turn this list|Write these words|Make a JSON list", asked):
                self.assertEqual(parsed, re.split(r",? ", re.split(r"array: |list of ", asked)[-1].rstrip(".")), asked)
            if isinstance(parsed, dict):
                for key, value in parsed.items():
                    shown = str(value).lower() if isinstance(value, bool) else str(value)
                    self.assertIn(shown, before, asked)
        self.assertGreater(count, 500)

    def test_copies_are_exact(self):
        count = 0
        for _, _, _, asked, text in self.turns():
            match = re.fullmatch(
                r"(?:Repeat after me:|Say:|Repeat this:|Repeat the following words:|Copy this text exactly:|Echo:|Copy:"
                r"|Repeat this text exactly:|Write this again:|Repeat this line\.|Say the same:|Please repeat:"
                r"|Repeat these numbers:)\s+(.*)", asked)
            if match:
                count += 1
                self.assertEqual(match[1], text)
            match = re.fullmatch(r"(?:Repeat|Write|Say) \"(.*)\" (\w+) times\.", asked)
            if match:
                count += 1
                times = int(match[2]) if match[2].isdigit() else words.NUMBER_WORDS.index(match[2])
                self.assertEqual(" ".join([match[1]] * times), text)
        self.assertGreater(count, 1000)

    def test_string_drills_are_right(self):
        rules = (
            (r"Sort these words: (.*)", lambda w: " ".join(sorted(w))),
            (r"Reverse the order of these words: (.*)", lambda w: " ".join(reversed(w))),
            (r"Write these words backwards, last word first: (.*)", lambda w: " ".join(reversed(w))),
            (r"Write these words in upper case: (.*)", lambda w: " ".join(w).upper()),
            (r"Spell the word (\w+)\.", lambda w: "-".join(w[0])),
            (r"How do you spell (\w+)\?", lambda w: "-".join(w[0])),
            (r"What is the first word in this list: (.*)\?", lambda w: f"The first word is {w[0]}."),
            (r"What is the last word in this list: (.*)\?", lambda w: f"The last word is {w[-1]}."),
            (r"What is the second word in this list: (.*)\?", lambda w: f"The second word is {w[1]}."),
            (r"Write each word on its own line: (.*)", "\n".join),
            (r"Put commas between these words: (.*)", ", ".join),
            (r"How many words are in this list: (.*)\?",
             lambda w: f"There are {words.NUMBER_WORDS[len(w)]} words in the list."),
        )
        count = 0
        for _, _, _, asked, text in self.turns():
            for pattern, rule in rules:
                match = re.fullmatch(pattern, asked)
                if match:
                    count += 1
                    self.assertEqual(rule(match[1].split()), text, asked)
        self.assertGreater(count, 500)

    def test_tools_are_called_only_when_offered_and_with_arguments_of_the_message(self):
        types = {"string": str, "integer": int}
        calls = refusals = 0
        for name, messages, _, asked, text in self.turns():
            system = messages[0][1] if messages[0][0] == "system" else ""
            offered = {tool["name"]: tool for tool in map(json.loads, re.findall(
                r"^\{\"name\": \".*\}$", system, re.M))}
            self.assertEqual("You can call these tools" in system, bool(offered))
            if text == task_calls.NO_TOOL:
                refusals += 1
            if "<tool_call>" not in text:
                continue
            calls += 1
            call = json.loads(re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", text)[1])
            self.assertEqual(list(call), ["name", "arguments"])
            parameters = offered[call["name"]]["parameters"]
            self.assertEqual(list(call["arguments"]), parameters["required"])
            for key, value in call["arguments"].items():
                self.assertIs(type(value), types[parameters["properties"][key]["type"]])
                self.assertRegex(asked, rf"(?<!\w){re.escape(str(value))}(?!\w)")
        self.assertGreater(calls, 500)
        self.assertGreater(refusals, 50)

    def test_recall_answers_stand_in_the_prompt(self):
        pattern = re.compile(r"The (?:code|number|password|key|word|friend|price) of .* is .*\.|The room of .*|"
                             r"The .* is (?:in|on|under|behind|next to|in front of) the .*\.")
        count = 0
        for name, _, before, asked, text in self.turns():
            if name in ("recall", "copy", "context") and pattern.fullmatch(text) and "not in" not in text:
                if re.search(r"at the|o'clock", text):
                    continue
                count += 1
                self.assertIn(text, before)
                key = re.match(r"The (?:\w+ of )?(?:the )?(.*?) (?:is|has) ", text)[1]
                if not re.search(r"what is (?:on|under|behind|next to|in front of) the", asked.lower()):
                    self.assertIn(key.lower(), asked.lower())
        self.assertGreater(count, 1500)

    def test_what_is_remembered_was_told_and_what_was_not_told_is_not_made_up(self):
        remembered = unknown = 0
        for _, _, before, _, text in self.turns():
            match = re.fullmatch(r"Your (?!answer).* is (?:called |in )?([\w ]+)\.|"
                                 r"You (?:live in|work as|like|play the|have an?|are) ([\w ]+?)(?: years old| juice)?\.",
                                 text)
            if match:
                remembered += 1
                value = match[1] or match[2]
                for part in re.sub(r"^an? ", "", value).split(" and "):
                    self.assertIn(part.lower(), before.lower())
            unknown += text == task_memory.NOT_TOLD
        self.assertGreater(remembered, 500)
        self.assertGreater(unknown, 30)

    def test_keys_of_a_table_are_asked_only_where_they_stand_once(self):
        for name, messages in self.all:
            for role, text in messages:
                lines = re.findall(r"^(The (?:code|number|password|key|word) of .* is) .*\.$", text, re.M)
                self.assertEqual(len(lines), len(set(lines)))


class Stories(unittest.TestCase):
    def test_a_story_names_what_was_asked_for(self):
        for i in range(3000):
            messages = task_text.story(mixture.document_rng("stories", i))
            asked, tale = messages[0][1], messages[1][1]
            subject = re.search(r"about (?:a child named )?(.*?)[.?]?$", asked)
            for part in re.split(r" and ", subject[1]) if subject else ():
                part = re.sub(r"^(?:an?|the) ", "", part)
                self.assertRegex(tale.lower(), rf"\b{re.escape(part.lower())}\b", asked)

    def test_pronouns_fit_the_people(self):
        """Where all people of a story are girls, no pronoun of a boy stands in it, and the other way round."""
        girl, boy = re.compile(r"\b(she|her|hers)\b", re.I), re.compile(r"\b(he|his|him)\b", re.I)
        count = 0
        for i in range(5000):
            tale = Story(mixture.document_rng("pronouns", i), careful=True)
            if tale.plot["title"] in ("the bad dream", "the train trip", "the lost letter"):
                continue   # a mother or grandmother
            self.assertTrue(scoring.passed("story", tale.text, [tale.hero]), tale.text)
            girls = [name in words.GIRL_NAMES for name in (tale.hero, tale.friend)]
            if girls[0] == girls[1]:
                count += 1
                self.assertIsNone((boy if girls[0] else girl).search(tale.text), tale.text)
        self.assertGreater(count, 1000)

    def test_sentences_begin_upper_case_and_articles_fit(self):
        for i in range(3000):
            text = Story(mixture.document_rng("grammar", i), careful=True).text
            self.assertIsNone(re.search(r"[.!?] [a-z]", re.sub(r"[.!?,]\" [a-z]", "", text)), text)
            self.assertIsNone(re.search(r"\ba [aeio]", text), text)
            self.assertIsNone(re.search(r"\ban [^aeiouh]", text), text)
            self.assertIsNone(re.search(r"\b[Ii]n the (?:beach|mountain|hill|island|bridge|farm|field)\b", text), text)
            self.assertNotIn("{", text)


class Scoring(unittest.TestCase):
    STORY = ("Anna went to the lake with her dog. She had a red kite and took it everywhere. "
             "One day the kite was gone. Vera said that she would help. They looked behind the door and under the bed and saw the kite on a tree. "
             "{} climbed up and brought it down. It was a very good day.")

    def test_a_story_passes_with_its_subject_and_fitting_pronouns(self):
        self.assertTrue(scoring.passed("story", self.STORY.format("She"), ["Anna", "kite"]))
        self.assertFalse(scoring.passed("story", self.STORY.format("She"), ["Anna", "drum"]))
        self.assertFalse(scoring.passed("story", self.STORY.format("He"), ["Anna", "kite"]))
        self.assertTrue(scoring.passed("story", self.STORY.format("Ben was there. He"), ["Anna", "kite"]))

    def test_a_story_that_loops_or_breaks_off_fails(self):
        self.assertFalse(scoring.passed("story", self.STORY.format("She") + " She had a red kite." * 4, ["Anna"]))
        self.assertFalse(scoring.passed("story", self.STORY.format("She")[:-1], ["Anna"]))

    def test_lists_need_the_count_and_different_members(self):
        wanted = {"category": "fruits", "count": 3, "json": False}
        self.assertTrue(scoring.passed("list", "Apple, plum and pear.", wanted))
        self.assertFalse(scoring.passed("list", "Apple, plum and plum.", wanted))
        self.assertFalse(scoring.passed("list", "Apple and plum.", wanted))
        self.assertFalse(scoring.passed("list", "Apple, plum and hammer.", wanted))
        self.assertTrue(scoring.passed("list", "[\"apple\", \"pear\"]", {**wanted, "count": 2, "json": True}))

    def test_generated_answers_pass_as_answers(self):
        """What training teaches for a prompt is what the check accepts."""
        for i in range(500):
            messages = mixture.TASKS["lists"][0](mixture.document_rng("scored lists", i))
            asked, text = messages[0][1], messages[1][1]
            match = re.fullmatch(r"Name (\w+) (.*)\.", asked)
            if match and match[1] in words.NUMBER_WORDS:
                expected = {"category": match[2], "count": words.NUMBER_WORDS.index(match[1]), "json": False}
                self.assertTrue(scoring.passed("list", text, expected), text)


class HeldOut(unittest.TestCase):
    def test_prompts_come_out_of_their_seed_as_stored(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "prompts.jsonl")
            subprocess.run([sys.executable, "make_eval.py", "--out", path], cwd=TOOLS, check=True)
            with open(path, "rb") as made, open(os.path.join(HERE, "eval_prompts.jsonl"), "rb") as stored:
                self.assertEqual(made.read(), stored.read())

    def test_open_prompts_are_not_in_the_training_text(self):
        kinds = {"context", "recall_short", "recall_500", "recall_1500", "json_extract", "summary"}
        with open(os.path.join(HERE, "eval_prompts.jsonl"), encoding="utf-8") as file:
            held = {p["messages"][0]["content"] for p in map(json.loads, file) if p["kind"] in kinds}
        for _, messages in draws(mixture.sample, 1, DOCUMENTS):
            self.assertTrue(held.isdisjoint(text for _, text in messages))


class Rows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = Tokenizer.load(TOKENIZER)

    def test_rows_hold_whole_documents(self):
        for length, long_share, copy_share in ((257, 0, 0.5), (513, 0.1, 0.1), (2049, 0.2, 0.1)):
            rows = data.PackedRows(self.tokenizer, "test", long_share, copy_share).rows(40, length)
            end, pad, padded = self.tokenizer.added[rendering.END_OF_TEXT], self.tokenizer.added["<|pad|>"], 0
            cut = 0
            for ids, weights in rows:
                self.assertEqual((len(ids), len(weights)), (length, length))
                padded += ids.count(pad)
                self.assertTrue(all(weight == 0 for i, weight in zip(ids, weights) if i == pad))
                cut += [i for i in ids if i != pad][-1] != end
            self.assertLess(padded, 0.04 * 40 * length)
            self.assertLessEqual(cut, 2)

    def test_weights_mark_what_the_assistant_writes(self):
        ids, weights = data.encode_document(self.tokenizer, [("user", "Hello!"), ("assistant", "Hi there.")])
        written = self.tokenizer.decode([i for i, weight in zip(ids, weights) if weight == 1])
        self.assertEqual(written, "Hi there.<|im_end|>")

    def test_the_tokenizer_fits_the_text(self):
        size = tokens = 0
        for _, messages in draws(mixture.sample, "fit", 1000):
            text = rendering.render(messages)
            size += len(text)
            tokens += len(self.tokenizer.encode(text))
        self.assertGreater(size / tokens, 3.5)


if __name__ == "__main__":
    unittest.main()
