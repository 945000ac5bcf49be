"""The gates of the starter model: how they are counted, and that what is shipped says what was measured."""
import array
import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools" / "starter"))

import gates  # noqa: E402
import served_eval  # noqa: E402

FIXTURES = ROOT / "tests" / "starter"
PROMPTS = [json.loads(line) for line in open(FIXTURES / "eval_prompts.jsonl", encoding="utf-8")]


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


class Shipped(unittest.TestCase):
    def test_the_report_is_what_the_answers_give(self):
        with open(FIXTURES / "starter-answers.jsonl", encoding="utf-8") as file:
            results = [json.loads(line) for line in file]
        report = json.loads((FIXTURES / "starter-report.json").read_text())
        judged = gates.judge(results, [result["answer"] for result in results])
        self.assertEqual([r["passed"] for r in judged], [r["passed"] for r in results])
        kinds, found = gates.answer_gates(judged)
        self.assertEqual({k: list(v) for k, v in kinds.items()}, report["kinds"])
        for name, gate in found.items():
            self.assertEqual(gate, report["gates"][name], name)

    def test_the_cards_show_the_reports(self):
        for name in ("starter", "starter-draft"):
            card = (ROOT / "models" / name / "README.md").read_text()
            report = json.loads((FIXTURES / f"{name}-report.json").read_text())
            for kind, (good, count) in report["kinds"].items():
                self.assertIn(f"| {kind} | {good} of {count} |", card)
            for gate, found in report["gates"].items():
                self.assertRegex(card, rf"\| {gate} \|.*\| {'met' if found['passed'] else 'missed'} \|")


if __name__ == "__main__":
    unittest.main()
