"""The arithmetic of bench/driver: percentiles, pairs, shares, load figures, accuracy, the chart."""

import os
import sys
import unittest
import xml.dom.minidom

DRIVER = os.path.join(os.path.dirname(__file__), "..", "..", "bench", "driver")
sys.path.insert(0, os.path.abspath(DRIVER))

import accuracy  # noqa: E402
import chart  # noqa: E402
import load  # noqa: E402
import measurements  # noqa: E402
import pairs  # noqa: E402
import report  # noqa: E402
import serving  # noqa: E402
import stats  # noqa: E402


class Clock:
    """A machine that is busy during the given probes."""

    def __init__(self, busy):
        self.busy = set(busy)
        self.probe = -1

    def wait_until_clean(self, patience_s):
        self.probe += 1
        return self.probe not in self.busy


class StatsTest(unittest.TestCase):
    def test_percentiles_are_nearest_rank(self):
        self.assertEqual(stats.percentile([5, 1, 4, 2, 3], 0.2), 1)
        self.assertEqual(stats.percentile([5, 1, 4, 2, 3], 0.8), 4)
        self.assertEqual(stats.percentile([7], 0.99), 7)
        self.assertIsNone(stats.percentile([], 0.5))
        self.assertEqual(stats.median([4, 1, 3, 2]), 2.5)


class PairsTest(unittest.TestCase):
    def setUp(self):
        pairs.SETTLE_S = 0

    def run_pairs(self, busy, ours=10.0, theirs=5.0):
        self.calls = []

        def measure(side, value):
            self.calls.append(side)
            return {"rate": value, "seconds": 1.0, "cpu_seconds": 2.0}

        return pairs.run_pairs(4, lambda: measure("a", ours), lambda: measure("b", theirs),
                               Clock(busy), 0)

    def test_sides_take_turns_in_going_first(self):
        self.run_pairs(())
        self.assertEqual("".join(self.calls), "abbaabba")

    def test_ratio_is_better_above_one_either_way(self):
        samples = self.run_pairs(())
        self.assertEqual(pairs.summary(samples, "rate")["ratio"]["median"], 2.0)
        self.assertEqual(pairs.summary(samples, "rate", True)["ratio"]["median"], 0.5)
        self.assertEqual(pairs.summary(samples, "rate")["ours"]["cpus_used"], 2.0)

    def test_pairs_beside_other_work_do_not_count(self):
        result = pairs.summary(self.run_pairs((1,)), "rate")
        self.assertEqual((result["pairs"], result["contended"]), (3, False))
        result = pairs.summary(self.run_pairs((0, 1, 2)), "rate")
        self.assertEqual((result["pairs"], result["contended"]), (4, True))

    def test_without_a_peer_there_is_no_ratio(self):
        samples = pairs.run_pairs(2, lambda: {"rate": 1.0}, None, Clock(()), 0)
        result = pairs.summary(samples, "rate")
        self.assertNotIn("ratio", result)
        self.assertNotIn("theirs", result)


class SharesTest(unittest.TestCase):
    MODEL = {"type": "q8_0", "step_bytes": 1000, "kv_bytes_per_token": 0, "layer_parameters": 500,
             "head_parameters": 0, "attention_width": 0}

    def share(self, limit, numbers, rate, ceilings):
        row = measurements.Row("id", "title", "rate", "tokens/s", limit)
        return measurements.ceiling_shares(row, self.MODEL, numbers, {"ours": rate}, ceilings)["ours"]

    def test_one_stream_is_held_against_reading(self):
        share = self.share("decode", {"batch": 1}, 8, {"read_bytes_per_s": 10000.0})
        self.assertEqual(share, {"ceiling": "read", "share": 0.8})

    def test_a_batch_is_held_against_the_nearer_limit(self):
        ceilings = {"read_bytes_per_s": 10000.0, "int8_dot_op_per_s": 100000.0}
        share = self.share("decode", {"batch": 10}, 50, ceilings)
        self.assertEqual(share, {"ceiling": "read", "share": 0.5})
        share = self.share("decode", {"batch": 100}, 50, ceilings)
        self.assertEqual(share, {"ceiling": "int8_dot", "share": 0.5})

    def test_tiles_are_the_limit_where_there_are_tiles(self):
        ceilings = {"read_bytes_per_s": 1.0, "int8_dot_op_per_s": 1e5, "int8_tiles_op_per_s": 1e6}
        share = self.share("prefill", {"tokens": 512}, 100, ceilings)
        self.assertEqual(share, {"ceiling": "int8_tiles", "share": 0.1})


class LoadTest(unittest.TestCase):
    def test_arrivals_repeat_by_seed_and_keep_their_bounds(self):
        plan = load.poisson(10, 20, seed=3)
        self.assertEqual(plan, load.poisson(10, 20, seed=3))
        self.assertNotEqual(plan, load.poisson(10, 20, seed=4))
        self.assertTrue(100 < len(plan) < 300, len(plan))
        for client, (number, at, shared, prompt, output) in enumerate(plan):
            self.assertEqual((client, shared), (number, 0))
            self.assertTrue(0 < at < 20 and 16 <= prompt <= 1024 and 8 <= output <= 256)

    def test_first_tokens_count_from_when_they_were_due(self):
        requests = [
            {"due_s": 1.0, "sent_s": 1.0, "end_s": 4.0, "tokens": 3, "event_s": [2.0, 2.5, 4.0]},
            {"due_s": 0.0, "sent_s": 2.0, "end_s": 3.0, "tokens": 1, "event_s": [3.0]},
        ]
        figures = load.figures(requests)
        self.assertEqual(figures["ttft_p50_s"], 1.0)
        self.assertEqual((figures["gap_p50_s"], figures["gap_max_s"]), (0.5, 1.5))
        self.assertEqual(figures["total_s"], 3.0)

    def test_goodput_counts_runs_within_the_peers_gap(self):
        def sweep(_, server, *__):
            return server

        original, serving._sweep = serving._sweep, sweep
        self.addCleanup(setattr, serving, "_sweep", original)
        point = lambda rate, gap, kept: {"tokens_per_s": rate, "gap_p99_s": gap, "kept_up": kept}
        result = serving.goodput(None, {
            "ours": [point(10, 0.1, True), point(40, 0.2, True), point(60, 0.5, True)],
            "theirs": [point(10, 0.15, True), point(20, 0.3, True), point(25, 0.9, False)],
        }, 0)
        self.assertEqual(result["gap_p99_s"], 0.3)
        self.assertEqual(result["ratio"]["median"], 2.0)


def sequence(squared_difference, divergences):
    return {"squared_difference": squared_difference, "squared_reference": 100.0, "loss": 1.0,
            "reference_loss": 1.0, "predicted": 1, "same_best": 1, "divergences": divergences}


class AccuracyTest(unittest.TestCase):
    FIXTURES = {"bf16": {"perplexity": 1.5}, "int8_group32": {"perplexity": 1.6},
                "int4_group32": {"perplexity": 1.7}}

    def test_figures_are_over_all_sequences(self):
        figures = accuracy.Figures([sequence(1.0, [0.0, 0.3]), sequence(7.0, [0.3])])
        self.assertAlmostEqual(figures.relative_error(), 0.2)
        self.assertAlmostEqual(figures.divergence(), 0.2)
        self.assertEqual(figures.divergence_p99(), 0.3)
        self.assertAlmostEqual(figures.same_best(), 2 / 3)
        self.assertAlmostEqual(figures.perplexity(), 2.718281828)

    def verdict(self, ours, theirs):
        found = accuracy.ratios(*(accuracy.Figures([sequence(e, [e / 100]) for e in side])
                                  for side in (ours, theirs)))
        return accuracy.verdict(found)

    def test_worse_is_what_no_choice_of_sequences_changes(self):
        self.assertEqual(self.verdict([1, 2, 3, 4], [2, 4, 6, 8]), "better")
        self.assertEqual(self.verdict([2, 4, 6, 8], [1, 2, 3, 4]), "worse")
        self.assertEqual(self.verdict([1, 9, 1, 9], [9, 1, 9, 1]), "equal")
        self.assertEqual(self.verdict([1, 2, 3, 4], [1, 2, 3, 4]), "equal")

    def test_ratio_is_below_one_where_ours_is_nearer(self):
        sides = [accuracy.Figures([sequence(e, [0.0])]) for e in (1.0, 4.0)]
        self.assertEqual(accuracy.ratios(*sides)["relative_error"]["value"], 0.5)
        self.assertEqual(accuracy.ratios(*sides)["kl_mean"]["value"], 1.0)

    def test_bound_of_a_type_is_that_of_its_bits(self):
        bounds = {t: accuracy.perplexity_bound(t, self.FIXTURES) for t in
                  ("bf16", "q8_0", "q5_k", "iq4_xs", "q3_k")}
        allowed = accuracy.PERPLEXITY_TOLERANCE
        self.assertEqual(bounds, {"bf16": 1.5 * allowed, "q8_0": 1.6 * allowed,
                                  "q5_k": 1.7 * allowed, "iq4_xs": 1.7 * allowed, "q3_k": None})


class ReportTest(unittest.TestCase):
    def test_verdict(self):
        row = measurements.Row("id", "title", "rate", "tokens/s", commit=2, aim=3)
        for ratio, word in ((1.9, "short"), (2.0, "commit"), (3.5, "aim")):
            self.assertEqual(report.verdict(row, {"ratio": {"median": ratio}}), word)
        bound = measurements.Row("id", "title", "x", "", bound=1.1)
        self.assertEqual(report.verdict(bound, {"ours": {"median": 1.2}}), "short")

    def test_chart_is_well_formed_and_shows_ratios(self):
        row = {"title": "a < b", "unit": "tokens/s", "ours": {"median": 20.0},
               "theirs": {"median": 10.0}, "ratio": {"median": 2.0}}
        svg = chart.draw({"rows": [row], "machine": {"processor": "X"}, "threads": 2, "peer": "Y"})
        xml.dom.minidom.parseString(svg)
        self.assertIn("2.00x", svg)
        self.assertIn("a &lt; b", svg)

    def test_ids_are_unique(self):
        rows = [r.id for m in measurements.MEASUREMENTS for r in m.rows]
        rows += [r.id for c in serving.CASES for r in c.rows]
        self.assertEqual(len(rows), len(set(rows)))


if __name__ == "__main__":
    unittest.main()
