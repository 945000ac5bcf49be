"""Every conversation of conversations.jsonl, whole, streamed, and streamed over a WebSocket: the same
text, calls, ends and usage.

A row is {"name", "path", "body"}; greedy or seeded, so that both runs say the same. A dialect adds
rows and a reader of its streams below.
"""
import json
import pathlib
import unittest

from server import Server, read_chunks
from websocket_client import WebSocket

ROWS = [json.loads(line) for line in
        open(pathlib.Path(__file__).with_name("conversations.jsonl"), encoding="utf-8")]


def stream(server, path, body):
    """The events of a streamed answer: (event name or None, data)."""
    with server.connect() as sock:
        sock.sendall(server.encode("POST", path, {**body, "stream": True}))
        reader = sock.makefile("rb")
        status = int(reader.readline().split()[1])
        while reader.readline().strip():
            pass
        raw = b"".join(read_chunks(reader))
    assert status == 200, raw
    for frame in raw.decode("utf-8").split("\n\n"):
        name, data = None, None
        for line in frame.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
        if data is not None:
            yield name, data


def websocket_stream(server, path, body):
    """The same of an answer over a WebSocket, as (event name or None, data)."""
    with WebSocket(server, path) as socket:
        if path == "/v1/responses":
            socket.send({"type": "response.create", **body})
            last = False
            while not last:
                event = socket.receive()
                last = event["type"] in LAST_EVENTS
                yield event["type"], json.dumps(event)
            return
        socket.send({"request_id": "one", **body, "stream": True})
        while True:
            message = socket.receive()
            assert message["request_id"] == "one", message
            if message["type"] == "done":
                yield None, "[DONE]"
                return
            assert message["type"] == "chunk", message
            yield None, json.dumps(message["data"])


LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed", "error")


def whole_chat(answer):
    choices = {}
    for choice in answer["choices"]:
        message = choice["message"]
        calls = [(c["function"]["name"], c["function"]["arguments"])
                 for c in message.get("tool_calls", [])]
        choices[choice["index"]] = {
            "text": message["content"] or "", "reasoning": message.get("reasoning_content", ""),
            "calls": calls, "finish": choice["finish_reason"],
            "logprobs": (choice["logprobs"] or {}).get("content")}
    return choices, answer["usage"]


def streamed_chat(server, path, body, events=stream):
    choices, usage, done = {}, None, False
    for _, data in events(server, path, {**body, "stream_options": {"include_usage": True}}):
        assert not done
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        usage = chunk["usage"] or usage
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {
                "text": "", "reasoning": "", "calls": [], "finish": None, "logprobs": None})
            delta = part["delta"]
            choice["text"] += delta.get("content") or ""
            choice["reasoning"] += delta.get("reasoning_content") or ""
            choice["finish"] = part["finish_reason"] or choice["finish"]
            if part["logprobs"]:
                choice["logprobs"] = (choice["logprobs"] or []) + part["logprobs"]["content"]
            for call in delta.get("tool_calls", []):
                if call["index"] == len(choice["calls"]):
                    choice["calls"].append((call["function"]["name"], ""))
                name, arguments = choice["calls"][call["index"]]
                choice["calls"][call["index"]] = (name, arguments + call["function"]["arguments"])
    assert done
    return choices, usage


def whole_text(answer):
    return {c["index"]: {"text": c["text"], "finish": c["finish_reason"], "logprobs": c["logprobs"]}
            for c in answer["choices"]}, answer["usage"]


def streamed_text(server, path, body, events=stream):
    choices, usage, done = {}, None, False
    for _, data in events(server, path, {**body, "stream_options": {"include_usage": True}}):
        assert not done
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        usage = chunk["usage"] or usage
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"text": "", "finish": None, "logprobs": None})
            choice["text"] += part["text"]
            choice["finish"] = part["finish_reason"] or choice["finish"]
            for name, items in (part["logprobs"] or {}).items():
                choice["logprobs"] = choice["logprobs"] or {}
                choice["logprobs"].setdefault(name, []).extend(items)
    assert done
    return choices, usage


def shown(response):
    """A response without what differs between two runs."""
    items = [{k: v for k, v in item.items() if k not in ("id", "call_id")}
             for item in response["output"]]
    return {"output": items, "status": response["status"],
            "incomplete": response["incomplete_details"]}, response["usage"]


def streamed_response(server, path, body, events=stream):
    texts, last, number = {}, None, 0
    for name, data in events(server, path, body):
        event = json.loads(data)
        assert event["type"] == name and event["sequence_number"] == number, event
        number += 1
        if name == "response.output_text.delta":
            texts[event["output_index"]] = texts.get(event["output_index"], "") + event["delta"]
        if name in LAST_EVENTS:
            last = event["response"]
    for index, text in texts.items():
        assert last["output"][index]["content"][0]["text"] == text
    return shown(last)


READERS = {
    "/v1/chat/completions": (whole_chat, streamed_chat),
    "/v1/completions": (whole_text, streamed_text),
    "/v1/responses": (shown, streamed_response),
}
# What the prefix cache had of a prompt differs between the first run and the second.
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")


def counts(usage):
    return {name: value for name, value in usage.items() if name in COUNTS}


class Conversations(unittest.TestCase):
    def test_streams_joined_equal_whole_answers(self):
        self.assertGreaterEqual(len(ROWS), 150)
        calls = 0
        with Server() as server:
            for row in ROWS:
                whole, streamed = READERS[row["path"]]
                with self.subTest(row["name"]):
                    reply = server.request("POST", row["path"], row["body"])
                    self.assertEqual(reply.status, 200, reply.body)
                    expected, usage = whole(reply.json())
                    for events in (stream, websocket_stream):
                        actual, actual_usage = streamed(server, row["path"], row["body"], events)
                        self.assertEqual(actual, expected)
                        self.assertEqual(counts(actual_usage), counts(usage))
                    if row["path"] == "/v1/chat/completions":
                        calls += sum(len(choice["calls"]) for choice in expected.values())
            server.wait_idle()
        self.assertGreaterEqual(calls, 5, "the model calls tools in some of them")


if __name__ == "__main__":
    unittest.main()
