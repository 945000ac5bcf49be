"""Embeddings of the starter model equal what transformers computes (starter-vectors.jsonl)."""
import json
import math
import unittest

from server import ROOT, Server

CASES = [json.loads(line) for line in
         (ROOT / "tests/starter/starter-vectors.jsonl").read_text().splitlines()]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


class Vectors(unittest.TestCase):
    def ask(self, server, **body):
        reply = server.request("POST", "/v1/embeddings", {"normalize": False, **body})
        self.assertEqual(reply.status, 200, reply.body[:300])
        return [entry["embedding"] for entry in reply.json()["data"]]

    def test_equal_in_f32(self):
        with Server("--dtype", "f32") as server:
            for pooling in ("last", "mean", "cls"):
                found = self.ask(server, input=[case["text"] for case in CASES], pooling=pooling)
                by_ids = self.ask(server, input=[case["ids"] for case in CASES], pooling=pooling)
                self.assertEqual(found, by_ids)
                for vector, case in zip(found, CASES):
                    largest = max(abs(x) for x in case[pooling])
                    worst = max(abs(x - y) for x, y in zip(vector, case[pooling]))
                    self.assertLess(worst / largest, 2e-5, (pooling, case["text"][:30]))

    def test_near_with_rounded_arithmetic(self):
        with Server() as server:
            for pooling in ("last", "mean", "cls"):
                found = self.ask(server, input=[case["text"] for case in CASES], pooling=pooling)
                for vector, case in zip(found, CASES):
                    self.assertGreater(cosine(vector, case[pooling]), 0.999)

    def test_the_same_alone_and_among_others(self):
        with Server() as server:
            texts = [case["text"] for case in CASES] * 8
            together = self.ask(server, input=texts)
            for text, vector in zip(texts[:4], together):
                self.assertEqual(self.ask(server, input=text)[0], vector)


if __name__ == "__main__":
    unittest.main()
