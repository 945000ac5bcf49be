"""The served starter model answers its fixtures token for token, alone and among others."""
import concurrent.futures
import json
import pathlib
import unittest

from server import ROOT, Server

FIXTURES = ROOT / "tests" / "starter"
PROMPTS = [json.loads(line) for line in open(FIXTURES / "starter-logits.jsonl")]


def complete(server, fixture, **extra):
    body = {
        "prompt": fixture["ids"], "max_tokens": 48, "temperature": 0, "ignore_eos": True,
        "skip_special_tokens": False, **extra,
    }
    reply = server.request("POST", "/v1/completions", body)
    assert reply.status == 200, reply.body
    return reply.json()


class Fixtures(unittest.TestCase):
    def test_greedy_text_equals_the_reference_in_f32(self):
        with Server("--dtype", "f32") as server:
            for fixture in PROMPTS:
                answer = complete(server, fixture)
                wanted = server.request(
                    "POST", "/detokenize", {"tokens": fixture["greedy"]}).json()["prompt"]
                self.assertEqual(answer["choices"][0]["text"], wanted, fixture["index"])
                self.assertEqual(answer["usage"]["completion_tokens"], 48)

    def test_text_is_the_same_alone_and_among_31_others(self):
        # A small step budget makes prompts arrive in chunks; a small pool forces preemption.
        settings = ("--step-token-count-max", "64", "--kv-cache-mib", "12")
        with Server() as roomy, Server(*settings) as tight:
            alone = [complete(roomy, fixture)["choices"][0]["text"] for fixture in PROMPTS]
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                for server in (roomy, tight):
                    answers = list(pool.map(lambda f: complete(server, f), PROMPTS * 2))
                    texts = [answer["choices"][0]["text"] for answer in answers]
                    self.assertEqual(texts, alone * 2)
            cached = complete(roomy, PROMPTS[-1])
            self.assertEqual(cached["choices"][0]["text"], alone[-1])
            self.assertGreater(roomy.metric("vllm:prefix_cache_hits_total"), 0)

    def test_text_does_not_depend_on_the_number_of_threads(self):
        texts = []
        for threads in ("1", "2"):
            with Server("--threads", threads) as server:
                texts.append([complete(server, f)["choices"][0]["text"] for f in PROMPTS])
        self.assertEqual(texts[0], texts[1])

    def test_stream_and_whole_answer_agree(self):
        question = {"messages": [{"role": "user", "content": "Tell me a story about a dog."}],
                    "temperature": 0, "max_tokens": 120}
        with Server() as server:
            whole = server.request("POST", "/v1/chat/completions", question).json()
            events = list(server.events(
                "/v1/chat/completions", {**question, "stream_options": {"include_usage": True}}))
            self.assertEqual(events[-1], "[DONE]")
            chunks = [json.loads(event) for event in events[:-1]]
            text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
            self.assertEqual(text, whole["choices"][0]["message"]["content"])
            self.assertEqual(chunks[-1]["choices"], [])
            self.assertEqual(chunks[-1]["usage"]["completion_tokens"],
                             whole["usage"]["completion_tokens"])
            self.assertEqual({c["id"] for c in chunks}, {chunks[0]["id"]})


if __name__ == "__main__":
    unittest.main()
