"""The gates of the starter model: what its answers, losses and draft must reach to be shipped."""
import collections
import json

from scoring import json_parses, passed

# gate: (kinds whose prompts count, least share of passed prompts)
ANSWER_GATES = {
    "fixed answers": (("fact", "capital", "definition", "opposite", "howto", "chat"), 1.00),
    "copy and recall up to 500 tokens": (("memory", "context", "where", "recall_short", "recall_500", "repeat"), 0.90),
    "recall at 1500 tokens": (("recall_1500",), 0.80),
    "JSON values": (("json_extract", "json_request"), 0.85),
    "sums up to 20": (("sum_to_20",), 0.90),
    "sums of two digits": (("sum_to_99",), 0.70),
    "tool calls": (("tool",), 0.85),
    "fallback on odd prompts": (("fallback",), 0.90),
    "stories": (("story",), 0.90),
}
JSON_PARSE_GATE = 0.95
DRAFT_AGREEMENT_GATE = 0.75
# weight format (quantize.FORMATS): most nats an assistant token may cost more
LOSS_GATES = {"int8_row": 0.005, "int4_group32": 0.03}


def judge(prompts, answers):
    """Return the prompts with their answers and verdicts."""
    return [{**prompt, "answer": text, "passed": passed(prompt["check"], text, prompt["expected"])}
            for prompt, text in zip(prompts, answers)]


def answer_gates(results):
    """Return ({kind: [passed, all]}, gates) of judged prompts."""
    kinds, gates = collections.OrderedDict(), {}
    for result in results:
        kind = kinds.setdefault(result["kind"], [0, 0])
        kind[0] += result["passed"]
        kind[1] += 1
    for name, (members, least) in ANSWER_GATES.items():
        good, count = (sum(kinds[k][i] for k in members if k in kinds) for i in (0, 1))
        if count:
            gates[name] = {**_at_least(good / count, least), "prompts": count}
    wanted = [r for r in results if r["check"] == "json" or (r["check"] == "list" and r["expected"]["json"])]
    if wanted:
        share = sum(json_parses(r["answer"]) for r in wanted) / len(wanted)
        gates["JSON parses"] = {**_at_least(share, JSON_PARSE_GATE), "prompts": len(wanted)}
    return kinds, gates


def loss_gates(losses):
    """Return the gates of {format: nats per assistant token}; "bf16" is the shipped one."""
    gates = {}
    for name, most in LOSS_GATES.items():
        if name in losses:
            value = losses[name] - losses["bf16"]
            gates[f"{name} loss difference"] = {"value": value, "most": most, "passed": value < most}
    return gates


def draft_gate(same, guesses=4):
    """Return the gate of lists of booleans: whether the draft's greedy token was the target's."""
    equal, tokens, passes = sum(map(sum, same)), sum(map(len, same)), 0
    for answer in same:
        at = 0
        while at < len(answer):
            run = 0
            while run < guesses and at + run < len(answer) and answer[at + run]:
                run += 1
            at += run + 1
            passes += 1
    return {"draft agreement": {**_at_least(equal / tokens, DRAFT_AGREEMENT_GATE),
                                "tokens_per_pass": tokens / passes}}


def _at_least(value, least):
    return {"value": value, "least": least, "passed": value >= least}


def print_report(report):
    """Print the kinds, the gates and the losses."""
    for kind, (good, count) in report["kinds"].items():
        print(f"{kind:14} {good:3}/{count}")
    for name, gate in report["gates"].items():
        wanted = f"at least {gate['least']:.0%}" if "least" in gate else f"below {gate['most']}"
        value = f"{gate['value']:.1%}" if "least" in gate else f"{gate['value']:.4f}"
        print(f"{'ok  ' if gate['passed'] else 'MISS'} {name}: {value} ({wanted})")
    print("assistant loss", {k: round(v, 4) for k, v in report["assistant_loss"].items()})


def write_report(report, results, path, answers_path):
    """Print a report; write it, and the answers, to the files that are given."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    if answers_path:
        with open(answers_path, "w", encoding="utf-8") as file:
            for result in results:
                file.write(json.dumps(result, ensure_ascii=False) + "\n")
    print_report(report)
