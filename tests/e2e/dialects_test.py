"""Each conversation of conversations.jsonl in every dialect, whole and streamed: the same text, reasoning,
calls, end and usage."""
import json
import unittest

from conversations_test import READERS, ROWS, counts, stream
from server import Server, read_chunks


def text_of(content):
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(part.get("text", "") for part in content)


def turns(row):
    """What a row asks, as (role, text) of system, user and assistant, and its tools."""
    body = row["body"]
    if "messages" in body:
        roles = {"developer": "system", "tool": "user"}
        said = [(roles.get(m["role"], m["role"]), text_of(m.get("content"))) for m in body["messages"]]
    else:
        source = body.get("prompt", body.get("input", ""))
        while isinstance(source, list) and source and not isinstance(source[0], int):
            source = source[0]
        if isinstance(source, dict):
            source = text_of(source.get("content"))
        said = [("user", source if isinstance(source, str) else "Tell me a story.")]
    said = [(role, text) for role, text in said if text]
    if not any(role == "user" for role, _ in said):
        said.append(("user", "Hello"))
    tools = [tool["function"] for tool in body.get("tools") or [] if "function" in tool]
    return said, tools


def limits(row):
    body = row["body"]
    count = body.get("max_tokens") or body.get("max_completion_tokens") or body.get("max_output_tokens")
    seed = body.get("seed", 7)
    return min(count or 24, 64), seed


def anthropic_body(row):
    said, tools = turns(row)
    count, _ = limits(row)
    body = {"max_tokens": count, "temperature": 0,
            "messages": [{"role": role, "content": text} for role, text in said if role != "system"]}
    system = "\n".join(text for role, text in said if role == "system")
    if system:
        body["system"] = system
    if tools:
        body["tools"] = [{"name": tool["name"], "description": tool.get("description", ""),
                          "input_schema": tool.get("parameters") or {"type": "object"}} for tool in tools]
    return "/v1/messages", body


def anthropic_whole(answer):
    blocks = []
    for block in answer["content"]:
        value = block.get("text", block.get("thinking", block.get("input")))
        blocks.append((block["type"], block.get("name"), value))
    usage = answer["usage"]
    return blocks, answer["stop_reason"], answer["stop_sequence"], (
        usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"])


def anthropic_streamed(server, path, body):
    answer = None
    pieces = {}
    for name, data in stream(server, path, body):
        event = json.loads(data)
        assert event["type"] == name
        if name == "message_start":
            answer = event["message"]
        elif name == "content_block_start":
            assert event["index"] == len(answer["content"])
            answer["content"].append(event["content_block"])
            pieces[event["index"]] = ""
        elif name == "content_block_delta":
            delta = event["delta"]
            pieces[event["index"]] += delta.get("text", delta.get("thinking", delta.get("partial_json")))
        elif name == "content_block_stop":
            block = answer["content"][event["index"]]
            whole = pieces[event["index"]]
            if block["type"] == "tool_use":
                block["input"] = json.loads(whole)
            else:
                block["text" if block["type"] == "text" else "thinking"] = whole
        elif name == "message_delta":
            answer.update(event["delta"])
            answer["usage"] = event["usage"]
    assert name == "message_stop"
    return anthropic_whole(answer)


def ollama_body(row):
    said, tools = turns(row)
    count, seed = limits(row)
    body = {"stream": False, "options": {"num_predict": count, "temperature": 1, "seed": seed},
            "messages": [{"role": role, "content": text} for role, text in said]}
    if tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools]
    return "/api/chat", body


def ollama_whole(answer):
    message = answer["message"]
    return (message["content"], message.get("thinking", ""), message.get("tool_calls", []),
            answer["done_reason"], answer["prompt_eval_count"], answer["eval_count"])


def ollama_streamed(server, path, body):
    with server.connect() as sock:
        sock.sendall(server.encode("POST", path, {**body, "stream": True}))
        reader = sock.makefile("rb")
        assert int(reader.readline().split()[1]) == 200
        while reader.readline().strip():
            pass
        lines = [json.loads(line) for line in b"".join(read_chunks(reader)).splitlines()]
    last = lines[-1]
    assert last["done"] and not any(line["done"] for line in lines[:-1])
    message = {"content": "", "thinking": "", "tool_calls": []}
    for line in lines:
        for name in message:
            message[name] += line["message"].get(name, type(message[name])())
    return ollama_whole({**last, "message": message})


def kserve_body(row):
    said, _ = turns(row)
    count, seed = limits(row)
    return "/v2/models/starter/generate", {
        "text_input": said[-1][1], "parameters": {"max_tokens": count, "seed": seed, "temperature": 1}}


def kserve_whole(answer):
    return answer["text_output"], answer["finish_reason"]


def kserve_streamed(server, path, body):
    text, finish = "", None
    for _, data in stream(server, path + "_stream", body):
        event = json.loads(data)
        text += event["text_output"]
        finish = event["finish_reason"] or finish
    return text, finish


def openai_body(path):
    def make(row):
        said, tools = turns(row)
        count, seed = limits(row)
        messages = [{"role": role, "content": text} for role, text in said]
        if path == "/v1/completions":
            return path, {"prompt": said[-1][1], "max_tokens": count, "seed": seed, "temperature": 1}
        if path == "/v1/responses":
            return path, {"input": messages, "max_output_tokens": count, "temperature": 0, "store": False}
        body = {"messages": messages, "max_tokens": count, "seed": seed, "temperature": 1}
        if tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in tools]
        return path, body
    return make


def openai(path):
    read_whole, read_stream = READERS[path]

    def whole(answer):
        shown, usage = read_whole(answer)
        return shown, counts(usage)

    def streamed(server, path, body):
        shown, usage = read_stream(server, path, body)
        return shown, counts(usage)
    return openai_body(path), whole, streamed


DIALECTS = {"chat": openai("/v1/chat/completions"), "completions": openai("/v1/completions"),
            "responses": openai("/v1/responses"),
            "anthropic": (anthropic_body, anthropic_whole, anthropic_streamed),
            "ollama": (ollama_body, ollama_whole, ollama_streamed),
            "kserve": (kserve_body, kserve_whole, kserve_streamed)}


class Dialects(unittest.TestCase):
    def test_streams_joined_equal_whole_answers(self):
        self.assertGreaterEqual(len(ROWS), 150)
        with Server() as server:
            for dialect, (make, whole, streamed) in DIALECTS.items():
                for row in ROWS:
                    path, body = make(row)
                    with self.subTest(f"{dialect} {row['name']}"):
                        reply = server.request("POST", path, body)
                        self.assertEqual(reply.status, 200, reply.body)
                        self.assertEqual(streamed(server, path, body), whole(reply.json()))
            server.wait_idle()


if __name__ == "__main__":
    unittest.main()
