"""Many streamed completions at a steady rate on one thread, with the time of each first token.

One thread and a selector: as many threads would take the processor from the server that is measured.
"""
import json
import re
import selectors
import socket
import threading
import time

# Events arrive whole or in pieces; a stream is over with its last chunk.
END = b"\r\n0\r\n\r\n"
TOKEN = re.compile(rb'"text":"[^"]')
DATA = re.compile(rb"^data: (\{.*\})\r?$", re.M)


class Answer:
    """One request: when it was sent, when its first token and its end came, what it said."""

    __slots__ = ("sent", "first", "ended", "status", "text", "failure")

    def __init__(self, sent):
        self.sent, self.first, self.ended = sent, None, None
        self.status, self.text, self.failure = 0, "", None


class Client:
    """One connection that asks, reads the stream to its end, and asks again when it is due."""

    def __init__(self, due):
        self.due, self.sock, self.answer, self.received = due, None, None, b""


class Streams:
    """`with Streams(server, body, count, rate) as streams`: `count` connections together ask `rate`
    times a second; without a rate each asks again at once. Every failure is kept in `failures`."""

    def __init__(self, server, body, count, rate=None, path="/v1/completions"):
        self.server, self.count = server, count
        self.request = server.encode("POST", path, {**body, "stream": True})
        self.interval = 0 if rate is None else count / rate
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.answers, self.failures = [], []
        self.open_sum = self.open_samples = 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def answered(self):
        with self.lock:
            return len(self.answers)

    def mean_open(self):
        """How many streams were open at the same time, on average."""
        return self.open_sum / max(self.open_samples, 1)

    def run(self):
        self.selector = selectors.DefaultSelector()
        begin = time.monotonic()
        clients = [Client(begin + self.interval * i / self.count) for i in range(self.count)]
        while True:
            now = time.monotonic()
            idle = [client for client in clients if client.answer is None]
            if self.stopping.is_set() and len(idle) == len(clients):
                break
            self.open_sum += len(clients) - len(idle)
            self.open_samples += 1
            wait = 0.05
            for client in idle if not self.stopping.is_set() else ():
                if client.due <= now:
                    self.ask(client, now)
                else:
                    wait = min(wait, client.due - now)
            for key, _ in self.selector.select(wait):
                self.read(key.data)
        for client in clients:
            self.close(client)
        self.selector.close()

    def ask(self, client, now):
        # Late ones are not made up for: a client has one request at a time.
        client.due = max(client.due + self.interval, now)
        client.answer = Answer(now)
        try:
            if client.sock is None:
                client.sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
                self.selector.register(client.sock, selectors.EVENT_READ, client)
            client.sock.sendall(self.request)
        except OSError as error:
            self.end(client, repr(error))

    def read(self, client):
        try:
            data = client.sock.recv(65536)
        except OSError as error:
            return self.end(client, repr(error))
        if not data:
            return self.end(client, "the connection was closed")
        now = time.monotonic()
        client.received += data
        answer = client.answer
        if answer is None:
            return self.end(client, f"unasked: {data[:100]}")
        if answer.first is None and TOKEN.search(client.received):
            answer.first = now
        head, separator, body = client.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        if b"chunked" not in head.lower():  # an error, whole
            length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
            return self.end(client, client.received[:300]) if len(body) >= length else None
        return self.end(client) if client.received.endswith(END) else None

    def end(self, client, failure=None):
        answer, received = client.answer, client.received
        client.answer, client.received = None, b""
        if answer is None:
            answer = Answer(time.monotonic())
        answer.ended = time.monotonic()
        if failure is None:
            events = [json.loads(text) for text in DATA.findall(received)]
            answer.status = int(received.split(b" ", 2)[1])
            answer.text = "".join(e["choices"][0]["text"] for e in events if e.get("choices"))
            if answer.status != 200 or b"data: [DONE]" not in received or answer.first is None:
                failure = received[-300:]
            if b"connection: close" in received.partition(b"\r\n\r\n")[0].lower():
                self.close(client)
        if failure is not None:
            answer.failure = failure
            self.close(client)
        with self.lock:
            self.answers.append(answer)
            if failure is not None:
                self.failures.append(failure)

    def close(self, client):
        if client.sock is not None:
            self.selector.unregister(client.sock)
            client.sock.close()
            client.sock = None


def capacity(server, body, count, seconds=2.0):
    """Answers a second when `count` streams ask one after the other."""
    with Streams(server, body, count) as streams:
        time.sleep(seconds / 2)  # until all are under way
        before, began = streams.answered(), time.monotonic()
        time.sleep(seconds)
        rate = (streams.answered() - before) / (time.monotonic() - began)
    if streams.failures:
        raise AssertionError(streams.failures[:3])
    return max(rate, 1)


def percentile(values, share):
    """0 for no values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0
