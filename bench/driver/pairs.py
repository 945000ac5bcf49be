"""Interleaved pairs: A B, B A, A B, ... so that what changes on the machine hits both alike."""

import time

from stats import median, spread

# Idle threads of an engine may spin for a while before they sleep.
SETTLE_S = 0.05


class Pair:
    def __init__(self, ours, theirs, clean):
        self.ours = ours
        self.theirs = theirs
        self.clean = clean


def run_pairs(count, measure_ours, measure_theirs, machine, patience_s):
    """Calls the two functions in turn; each returns a dictionary of figures. The second
    may be None: then only ours is measured. Without a machine no pair is judged."""
    pairs = []
    for index in range(count):
        clean = machine is None or machine.wait_until_clean(patience_s)
        first_is_ours = index % 2 == 0
        results = {}
        for ours in (first_is_ours, not first_is_ours):
            function = measure_ours if ours else measure_theirs
            results[ours] = function() if function else None
            if function:
                time.sleep(SETTLE_S)
        pairs.append(Pair(results[True], results[False], clean))
    return pairs


def summary(pairs, key, lower_is_better=False):
    """One figure of all pairs. Pairs in which something else was running count only when too few
    clean ones are left."""
    clean = [pair for pair in pairs if pair.clean]
    contended = len(clean) < min(3, len(pairs))
    used = pairs if contended else clean
    result = {
        "pairs": len(used),
        "contended": contended,
        "ours": _side([pair.ours for pair in used], key),
    }
    if all(pair.theirs and key in pair.theirs for pair in used):
        result["theirs"] = _side([pair.theirs for pair in used], key)
        both = [(pair.ours[key], pair.theirs[key]) for pair in used]
        # A gap that is too short to see is 0; it has no ratio.
        if all(ours > 0 and theirs > 0 for ours, theirs in both):
            result["ratio"] = spread(
                [theirs / ours if lower_is_better else ours / theirs for ours, theirs in both])
    return result


def _side(samples, key):
    side = spread([sample[key] for sample in samples])
    shares = [s["cpu_seconds"] / s["seconds"] for s in samples if s.get("cpu_seconds")]
    if shares:
        side["cpus_used"] = median(shares)
    return side
