"""WebSocket connections to the real program: both protocols, several requests at once, limits."""
import signal
import time
import unittest

from server import Server
from websocket_client import Closed, WebSocket

CHAT = "/v1/chat/completions"
STORY = {"messages": [{"role": "user", "content": "Tell me a story about a dog."}],
         "temperature": 0, "max_tokens": 24}
ENDLESS = {**STORY, "max_tokens": 1500, "ignore_eos": True, "stream": True}


def until(socket, *types):
    """Frames up to and with the first of one of these types."""
    frames = []
    while not frames or frames[-1]["type"] not in types:
        frames.append(socket.receive())
    return frames


class Completions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--keep-alive-timeout-s", "5")
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def test_whole_and_streamed_answers_equal_those_over_http(self):
        over_http = self.server.request("POST", CHAT, STORY).json()
        with WebSocket(self.server, CHAT) as socket:
            socket.send({"request_id": "a", **STORY})
            answer = socket.receive()
            self.assertEqual((answer["type"], answer["request_id"]), ("response", "a"))
            self.assertEqual(answer["data"]["choices"], over_http["choices"])
            socket.send({"type": "request", "request_id": "b",
                         "body": {**STORY, "stream": True}})
            frames = until(socket, "done")
            self.assertTrue(all(f["request_id"] == "b" for f in frames))
            text = "".join(c["delta"].get("content") or ""
                           for f in frames[:-1] for c in f["data"]["choices"])
            self.assertEqual(text, over_http["choices"][0]["message"]["content"])

    def test_text_completions_have_their_own_path(self):
        body = {"prompt": "The dog", "temperature": 0, "max_tokens": 8}
        with WebSocket(self.server, "/v1/completions") as socket:
            socket.send({"request_id": 7, **body})
            answer = socket.receive()
            self.assertEqual(answer["request_id"], 7)
            self.assertEqual(answer["data"]["choices"],
                             self.server.request("POST", "/v1/completions", body).json()["choices"])

    def test_requests_in_flight_are_told_apart(self):
        expected = {}
        with WebSocket(self.server, CHAT) as socket:
            for i in range(8):
                body = {**STORY, "temperature": 1, "seed": i, "stream": True}
                socket.send({"request_id": f"r{i}", **body})
                reply = self.server.request("POST", CHAT, {**body, "stream": False}).json()
                expected[f"r{i}"] = reply["choices"][0]["message"]["content"]
            texts, open_count = dict.fromkeys(expected, ""), 8
            while open_count:
                frame = socket.receive()
                open_count -= frame["type"] == "done"
                for choice in frame.get("data", {}).get("choices", []):
                    texts[frame["request_id"]] += choice["delta"].get("content") or ""
        self.assertEqual(texts, expected)

    def test_cancel_frees_the_work_and_the_name(self):
        with WebSocket(self.server, CHAT) as socket:
            socket.send({"request_id": "x", **ENDLESS})
            socket.receive()
            socket.send({"request_id": "x", **ENDLESS})
            self.assertEqual(until(socket, "error")[-1]["error"]["code"], "already_exists")
            socket.send({"type": "cancel", "request_id": "x"})
            until(socket, "cancelled")
            self.server.wait_idle()
            socket.send({"request_id": "x", **STORY})
            self.assertEqual(until(socket, "response")[-1]["request_id"], "x")
            socket.send({"type": "cancel", "request_id": "nobody"})
            self.assertEqual(socket.receive()["status"], 404)

    def test_leaving_cancels_everything(self):
        for _ in range(20):
            with WebSocket(self.server, CHAT) as socket:
                for i in range(4):
                    socket.send({"request_id": str(i), **ENDLESS})
                socket.receive()
        self.server.wait_idle()

    def test_errors_name_the_request_and_the_field(self):
        with WebSocket(self.server, CHAT) as socket:
            for message, status, param in (
                    ("not json", 400, None), ("[]", 400, None), ("{\"a\":1,\"a\":2}", 400, None),
                    ({**STORY}, 400, "request_id"), ({"request_id": "", **STORY}, 400, "request_id"),
                    ({"request_id": "x" * 200, **STORY}, 400, "request_id"),
                    ({"request_id": [1], **STORY}, 400, "request_id"),
                    ({"type": "dance", "request_id": "e"}, 400, "type"),
                    ({"request_id": "e", "body": 5}, 400, "body"),
                    ({"request_id": "e", "body": {}, "n": 1}, 400, "body"),
                    ({"request_id": "e", **STORY, "n": 99}, 400, "n"),
                    ({"request_id": "e", **STORY, "stream": True, "n": 99}, 400, "n"),
                    ({"request_id": "e", **STORY, "model": "none"}, 404, "model"),
                    ({"type": "authenticate"}, 400, "api_key")):
                socket.send(message)
                frame = socket.receive()
                self.assertEqual((frame["type"], frame["status"], frame["error"]["param"]),
                                 ("error", status, param), message)
                if isinstance(message, dict) and message.get("request_id") == "e":
                    self.assertEqual(frame["request_id"], "e")
            socket.send({"request_id": "alive", **STORY})
            self.assertEqual(socket.receive()["type"], "response")

    def test_authenticate_and_ping(self):
        with WebSocket(self.server, CHAT, ["Authorization: Bearer one"]) as socket:
            socket.send({"type": "authenticate", "api_key": "two", "request_id": "a"})
            self.assertEqual(socket.receive(), {"type": "authenticated", "request_id": "a"})
            socket.send({"type": "ping"})
            self.assertEqual(socket.receive(), {"type": "pong"})

    def test_more_than_the_most_in_flight_are_refused(self):
        with WebSocket(self.server, CHAT) as socket:
            for i in range(65):
                socket.send({"request_id": str(i), **ENDLESS})
            frame = until(socket, "error")[-1]
            self.assertEqual((frame["status"], frame["request_id"]), (429, "64"))
        self.server.wait_idle()

    def test_foreign_pages_and_other_paths_are_refused(self):
        for path, headers, status in (
                (CHAT, ["Origin: http://evil.example"], 403),
                (CHAT, [f"Origin: http://127.0.0.1:{self.server.port}"], 101),
                ("/v1/models", [], 404), ("/v1/embeddings", [], 404), ("/nowhere", [], 404)):
            with WebSocket(self.server, path, headers) as socket:
                self.assertEqual(socket.status, status, path)

    def test_slow_reader_is_dropped_and_its_work_cancelled(self):
        before = self.server.metric("inferneo_http_slow_reader_cancels_total")
        socket = WebSocket(self.server, CHAT)
        for i in range(32):
            socket.send({"request_id": str(i), **ENDLESS, "logprobs": True, "top_logprobs": 20})
        deadline = time.monotonic() + 60
        while self.server.metric("inferneo_http_slow_reader_cancels_total") == before:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.server.wait_idle()
        socket.sock.close()


class Responses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def create(self, socket, **body):
        socket.send({"type": "response.create", "temperature": 0, "max_output_tokens": 16, **body})
        events = until(socket, "response.completed", "response.incomplete", "error")
        self.assertNotEqual(events[-1]["type"], "error", events[-1])
        return events

    def test_events_are_those_of_the_stream_over_http(self):
        with WebSocket(self.server, "/v1/responses") as socket:
            events = self.create(socket, input="Hello")
        over_http = self.server.request(
            "POST", "/v1/responses", {"input": "Hello", "temperature": 0, "max_output_tokens": 16})
        self.assertEqual([e["sequence_number"] for e in events], list(range(len(events))))
        self.assertEqual(events[0]["type"], "response.created")
        self.assertEqual(events[-1]["response"]["output"][0]["content"],
                         over_http.json()["output"][0]["content"])

    def test_turns_go_on_from_the_connection_s_memory(self):
        with WebSocket(self.server, "/v1/responses") as socket:
            first = self.create(socket, input="My name is Ada.", store=False)[-1]["response"]
            second = self.create(socket, input="What is my name?", store=False,
                                 previous_response_id=first["id"])[-1]["response"]
            self.assertGreater(second["usage"]["input_tokens"], first["usage"]["input_tokens"])
        with WebSocket(self.server, "/v1/responses") as other:
            other.send({"type": "response.create", "input": "x",
                        "previous_response_id": first["id"]})
            frame = other.receive()
            self.assertEqual(frame["error"]["code"], "previous_response_not_found")
        self.assertEqual(self.server.request("GET", f"/v1/responses/{first['id']}").status, 404)

    def test_stored_ones_are_there_for_all(self):
        with WebSocket(self.server, "/v1/responses") as socket:
            response = self.create(socket, input="Hello")[-1]["response"]
        self.assertEqual(self.server.request("GET", f"/v1/responses/{response['id']}").status, 200)

    def test_one_at_a_time_unless_streams_are_named(self):
        endless = {"type": "response.create", "input": "x", "ignore_eos": True,
                   "max_output_tokens": 1500}
        with WebSocket(self.server, "/v1/responses") as socket:
            socket.send(endless)
            socket.receive()
            socket.send(endless)
            self.assertEqual(until(socket, "error")[-1]["status"], 409)
            socket.send({**endless, "stream_id": "s2", "max_output_tokens": 4})
            frames = until(socket, "response.incomplete")
            self.assertEqual(frames[-1]["stream_id"], "s2")
            socket.send({"type": "response.cancel"})
            until(socket, "response.cancelled")
        self.server.wait_idle()

    def test_background_is_refused(self):
        with WebSocket(self.server, "/v1/responses") as socket:
            socket.send({"type": "response.create", "input": "x", "background": True})
            self.assertEqual(socket.receive()["error"]["param"], "background")


class Stopping(unittest.TestCase):
    def test_work_ends_and_idle_connections_hear_it(self):
        with Server() as server:
            with WebSocket(server, CHAT) as idle, WebSocket(server, CHAT) as busy:
                busy.send({"request_id": "a", **ENDLESS, "max_tokens": 200})
                busy.receive()
                server.process.send_signal(signal.SIGTERM)
                frames = until(busy, "done")
                self.assertGreater(len(frames), 100)
                with self.assertRaises(Closed) as closed:
                    idle.receive()
                self.assertEqual(closed.exception.code, 1001)
                with self.assertRaises(Closed):
                    busy.receive()


if __name__ == "__main__":
    unittest.main()
