"""How the gates of the starter model are counted."""
import array
import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools" / "starter"))

import gates  # noqa: E402
import served_eval  # noqa: E402

PROMPTS = [json.loads(line) for line in open(ROOT / "tests/starter/eval_prompts.jsonl", encoding="utf-8")]


class Gates(unittest.TestCase):
    def test_right_answers_pass_every_gate_and_wrong_ones_none(self):
        right = {"one_of": lambda e: e[0], "json": json.dumps, "prefix": str}
        prompts = [p for p in PROMPTS if p["check"] in right]
        kinds, found = gates.answer_gates(gates.judge(prompts, [right[p["check"]](p["expected"]) for p in prompts]))
        self.assertTrue(all(gate["passed"] for gate in found.values()), found)
        self.assertTrue(all(good == count for good, count in kinds.values()))
        _, found = gates.answer_gates(gates.judge(PROMPTS, ["so it goes"] * len(PROMPTS)))
        self.assertEqual(len(found), len(gates.ANSWER_GATES) + 1)
        self.assertFalse(any(gate["passed"] for gate in found.values()), found)

    def test_every_gate_has_prompts(self):
        kinds = {prompt["kind"] for prompt in PROMPTS}
        for name, (members, _) in gates.ANSWER_GATES.items():
            self.assertLessEqual(set(members), kinds, name)

    def test_draft_agreement_counts_tokens_and_passes(self):
        gate = gates.draft_gate([[True] * 5, [False, True, True]], guesses=4)["draft agreement"]
        self.assertEqual(gate["value"], 7 / 8)
        # Four guesses and the target's own token; a miss, then two that end the answer.
        self.assertEqual(gate["tokens_per_pass"], 8 / 3)

    def test_loss_gates_compare_with_the_shipped_format(self):
        found = gates.loss_gates({"bf16": 1.0, "int8_row": 1.004, "int4_group32": 1.04})
        self.assertTrue(found["int8_row loss difference"]["passed"])
        self.assertFalse(found["int4_group32 loss difference"]["passed"])


class RoundTrip(unittest.TestCase):
    def test_values_snap_to_steps_of_the_largest_of_their_group(self):
        values = array.array("f", [7.0, 0.4, -3.6, 0.0] + [0.0] * 4)
        out = served_eval.round_trip(values, 8, 4, 4)
        self.assertEqual(list(out), [7.0, 0.0, -4.0, 0.0] + [0.0] * 4)


if __name__ == "__main__":
    unittest.main()
