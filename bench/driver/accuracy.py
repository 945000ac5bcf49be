"""How far logits are from those of the numbers in a file: figures of one engine, and of two engines
against each other. Sums over positions come from the program logit_distance."""

import math
import random

import stats

# Bounds of the perplexity of the starter model, by what tests/starter/starter-perplexity.json knows
# of its weights at as many bits; types of fewer than four bits have none.
BITS_ROW = {8: "int8_group32", 6: "int4_group32", 5: "int4_group32", 4: "int4_group32"}
# Types whose numbers are those of the shipped model, or nearly.
EXACT_TYPES = ("f32", "f16", "bf16")
# How much arithmetic may add to it.
PERPLEXITY_TOLERANCE = 1.001
RESAMPLES = 400


class Figures:
    """What one engine gives on one file: sums of each sequence as logit_distance prints them."""

    def __init__(self, sequences):
        self.sequences = sequences

    def relative_error(self, chosen=None):
        """Root mean square of the difference as a share of that of the reference."""
        chosen = self.sequences if chosen is None else chosen
        difference = sum(s["squared_difference"] for s in chosen)
        return math.sqrt(difference / sum(s["squared_reference"] for s in chosen))

    def divergence(self, chosen=None):
        """Mean of KL(reference || found), nats a position."""
        chosen = self.sequences if chosen is None else chosen
        return sum(sum(s["divergences"]) for s in chosen) / sum(
            len(s["divergences"]) for s in chosen)

    def divergence_p99(self):
        return stats.percentile([d for s in self.sequences for d in s["divergences"]], 0.99)

    def same_best(self):
        return sum(s["same_best"] for s in self.sequences) / self.positions()

    def positions(self):
        return sum(len(s["divergences"]) for s in self.sequences)

    def perplexity(self):
        return self._perplexity("loss")

    def reference_perplexity(self):
        return self._perplexity("reference_loss")

    def _perplexity(self, key):
        return math.exp(sum(s[key] for s in self.sequences)
                        / sum(s["predicted"] for s in self.sequences))

    def document(self):
        return {
            "relative_error": self.relative_error(),
            "kl_mean": self.divergence(),
            "kl_p99": self.divergence_p99(),
            "same_best": self.same_best(),
            "perplexity": self.perplexity(),
            "reference_perplexity": self.reference_perplexity(),
            "positions": self.positions(),
        }


def _quotient(a, b):
    return a / b if b else (1.0 if a == b else math.inf)


def ratio(ours, theirs, figure):
    """figure(ours) / figure(theirs), below 1 where ours is nearer to the reference, with the range
    that holds 95% of it when the sequences are drawn anew."""
    draw = random.Random(1)
    count = len(ours.sequences)
    drawn = []
    for _ in range(RESAMPLES):
        picks = [draw.randrange(count) for _ in range(count)]
        drawn.append(_quotient(figure(ours, [ours.sequences[i] for i in picks]),
                               figure(theirs, [theirs.sequences[i] for i in picks])))
    return {
        "value": _quotient(figure(ours, None), figure(theirs, None)),
        "low": stats.percentile(drawn, 0.025),
        "high": stats.percentile(drawn, 0.975),
    }


def ratios(ours, theirs):
    """Of one engine's figures and another's on the same sequences."""
    return {
        "relative_error": ratio(ours, theirs, Figures.relative_error),
        "kl_mean": ratio(ours, theirs, Figures.divergence),
    }


def verdict(found):
    """"better", "equal" or "worse" from ratios(): worse where either is above 1 whatever sequences
    are drawn."""
    if any(r["low"] > 1 for r in found.values()):
        return "worse"
    return "better" if all(r["high"] < 1 for r in found.values()) else "equal"


def bits_of(type_):
    """Bits of a type by its name: q4_k and iq4_xs have 4."""
    digits = [c for c in type_ if c.isdigit()]
    return int(digits[0]) if digits else 0


def perplexity_bound(type_, fixtures):
    """None where the fixtures state nothing for a type."""
    row = "bf16" if type_ in EXACT_TYPES else BITS_ROW.get(bits_of(type_))
    return fixtures[row]["perplexity"] * PERPLEXITY_TOLERANCE if row else None
