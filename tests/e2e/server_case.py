"""Test cases whose tests share one server."""
import unittest

from server import Server

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


class ServerCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()


class SurvivingServer(ServerCase):
    """The server must answer again after each test."""

    def tearDown(self):
        reply = self.server.request("POST", CHAT, {**HELLO, "max_tokens": 2})
        self.assertEqual(reply.status, 200, "the server must survive")
