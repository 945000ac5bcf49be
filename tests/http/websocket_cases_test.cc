// RFC 6455, section by section: conversations made by rule, each on a connection of its own. What
// the server answers is an echo, a close code, or nothing; it is alive behind each.
#include <set>
#include <vector>

#include "base/str.h"
#include "base/utf8.h"
#include "server_fixture.h"
#include "websocket_client.h"

namespace inferneo::http_test {
namespace {

struct Case {
  std::string name = {};
  std::vector<std::string> sends = {};  // each written by itself
  std::vector<std::string> texts = {};  // messages that come back, in order
  std::vector<std::string> pongs = {};
  // How it ends: codes of which one is sent; 0: a close frame without code. Empty: stays open.
  std::set<unsigned> closes = {};
};

std::vector<std::string> bytewise(const std::string& bytes) {
  std::vector<std::string> pieces;
  for (const char byte : bytes) pieces.emplace_back(1, byte);
  return pieces;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

class Cases {
 public:
  void add(Case c) { cases.push_back(std::move(c)); }
  void echo(std::string name, std::vector<std::string> sends, std::string text) {
    add({.name = std::move(name), .sends = std::move(sends), .texts = {std::move(text)}});
  }
  void closes(std::string name, std::string bytes, std::set<unsigned> codes) {
    add({.name = std::move(name), .sends = {std::move(bytes)}, .closes = std::move(codes)});
  }
  std::vector<Case> cases;
};

std::string pattern(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 26);
  return text;
}

void add_sizes(Cases& cases) {
  for (const std::size_t size : {1U,
                                 2U,
                                 3U,
                                 124U,
                                 125U,
                                 126U,
                                 127U,
                                 128U,
                                 255U,
                                 256U,
                                 4095U,
                                 4096U,
                                 65534U,
                                 65535U,
                                 65536U,
                                 65537U,
                                 200000U}) {
    const std::string text = pattern(size);
    cases.echo(str("a text of ", size, " bytes"), {text_frame(text)}, text);
    const std::string bytes = text_frame(text);
    cases.echo(str("a text of ", size, " bytes, cut in its header"),
               {bytes.substr(0, 1), bytes.substr(1, 4), bytes.substr(5)},
               text);
    if (size > 300) continue;
    cases.echo(str("a text of ", size, " bytes, bytewise"), bytewise(bytes), text);
  }
  const std::string two = text_frame("one") + text_frame("two");
  cases.add({.name = "two messages in one write", .sends = {two}, .texts = {"one", "two"}});
  cases.add({.name = "ten messages at once",
             .sends = {joined(std::vector<std::string>(10, text_frame("x")))},
             .texts = std::vector<std::string>(10, "x")});
}

void add_lengths(Cases& cases) {
  // Spec: section 5.2: the shortest form must be used, and the highest bit is 0.
  for (const std::size_t size : {0U, 1U, 125U}) {
    for (const int bits : {16, 64}) {
      cases.closes(str("a length of ", size, " in ", bits, " bits"),
                   encode({.payload = pattern(size), .length_bits = bits}),
                   {1002});
    }
  }
  cases.closes("a length of 65535 in 64 bits",
               encode({.payload = pattern(65535), .length_bits = 64}),
               {1002});
  cases.closes("a length with the highest bit",
               encode({.payload = "x", .length_bits = 64, .claimed_size = 1ULL << 63U}),
               {1002, 1009});
  for (const std::uint64_t size : {std::uint64_t{8} * 1024 * 1024 + 1, std::uint64_t{1} << 40U}) {
    cases.closes(str("a message of ", size, " bytes"),
                 encode({.payload = "x", .length_bits = 64, .claimed_size = size}),
                 {1009});
  }
  cases.closes(
      "too long in fragments",
      encode({.payload = pattern(100), .fin = false}) + encode({.opcode = kContinuation,
                                                                .payload = "x",
                                                                .length_bits = 64,
                                                                .claimed_size = 8 * 1024 * 1024}),
      {1009});
}

void add_fragments(Cases& cases) {
  const std::string text = "Hello, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!";
  for (std::size_t count = 2; count <= 6; ++count) {
    std::vector<std::string> frames;
    const std::size_t size = text.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
      const bool last = i + 1 == count;
      frames.push_back(
          encode({.opcode = i == 0 ? kText : kContinuation,
                  .payload = last ? text.substr(i * size) : text.substr(i * size, size),
                  .fin = last}));
    }
    cases.echo(str(count, " fragments"), frames, text);
    cases.echo(str(count, " fragments in one write"), {joined(frames)}, text);
    cases.echo(str(count, " fragments bytewise"), bytewise(joined(frames)), text);
    std::vector<std::string> with_ping = frames;
    with_ping.insert(with_ping.begin() + 1, encode({.opcode = kPing, .payload = "p"}));
    cases.add({.name = str("a ping between ", count, " fragments"),
               .sends = with_ping,
               .texts = {text},
               .pongs = {"p"}});
    std::vector<std::string> with_empty = frames;
    with_empty.insert(with_empty.begin() + 1,
                      encode({.opcode = kContinuation, .payload = {}, .fin = false}));
    cases.echo(str("an empty one among ", count, " fragments"), with_empty, text);
    std::vector<std::string> cut(frames.begin(), frames.end() - 1);
    cut.push_back(text_frame("new"));
    cases.closes(str("a new message behind ", count - 1, " fragments"), joined(cut), {1002});
    cut.back() = encode({.opcode = kBinary, .payload = "new"});
    cases.closes(str("a binary one behind ", count - 1, " fragments"), joined(cut), {1002});
    cut.back() = close_frame(1000);
    cases.closes(str("a close behind ", count - 1, " fragments"), joined(cut), {1000});
  }
  for (const bool fin : {false, true}) {
    cases.closes(str("a continuation of nothing, fin ", fin),
                 encode({.opcode = kContinuation, .payload = "x", .fin = fin}),
                 {1002});
    cases.add(
        {.name = str("a continuation behind a whole message, fin ", fin),
         .sends = {text_frame("a") + encode({.opcode = kContinuation, .payload = "x", .fin = fin})},
         .texts = {"a"},
         .closes = {1002}});
  }
}

void add_control(Cases& cases) {
  for (const std::size_t size : {0U, 1U, 2U, 50U, 124U, 125U}) {
    const std::string ping = encode({.opcode = kPing, .payload = pattern(size)});
    const std::string pong = encode({.opcode = kPong, .payload = pattern(size)});
    cases.add({.name = str("a ping of ", size), .sends = {ping}, .pongs = {pattern(size)}});
    cases.add({.name = str("a ping of ", size, " bytewise"),
               .sends = bytewise(ping),
               .pongs = {pattern(size)}});
    cases.add({.name = str("a ping of ", size, " and a text"),
               .sends = {ping + text_frame("t")},
               .texts = {"t"},
               .pongs = {pattern(size)}});
    cases.echo(str("a pong of ", size, " that nobody asked for"), {pong + text_frame("t")}, "t");
  }
  for (const unsigned opcode : {kPing, kPong, kClose}) {
    for (const std::size_t size : {126U, 127U, 65536U}) {
      cases.closes(str("a control frame ", opcode, " of ", size),
                   encode({.opcode = opcode, .payload = pattern(size)}),
                   {1002});
    }
    cases.closes(str("a control frame ", opcode, " in fragments"),
                 encode({.opcode = opcode, .payload = "ab", .fin = false}),
                 {1002});
  }
}

void add_reserved(Cases& cases) {
  for (unsigned rsv = 1; rsv < 8; ++rsv) {
    for (const unsigned opcode : {kText, kBinary, kPing, kPong, kClose}) {
      cases.closes(str("reserved bits ", rsv, " with opcode ", opcode),
                   encode({.opcode = opcode, .payload = opcode == kClose ? "" : "x", .rsv = rsv}),
                   {1002});
    }
  }
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    for (const bool fin : {false, true}) {
      cases.closes(str("opcode ", opcode, " fin ", fin),
                   encode({.opcode = opcode, .payload = "x", .fin = fin}),
                   {1002});
    }
    cases.add({.name = str("opcode ", opcode, " behind a text"),
               .sends = {text_frame("a") + encode({.opcode = opcode, .payload = {}})},
               .texts = {"a"},
               .closes = {1002}});
  }
  for (const unsigned opcode : {kText, kBinary, kContinuation, kPing, kPong, kClose}) {
    cases.closes(
        str("opcode ", opcode, " without a mask"),
        encode({.opcode = opcode, .payload = opcode == kClose ? "" : "x", .masked = false}),
        {1002});
  }
  for (const std::size_t size : {0U, 1U, 125U, 126U, 70000U}) {
    cases.closes(str("a binary message of ", size),
                 encode({.opcode = kBinary, .payload = pattern(size)}),
                 {1003});
  }
}

void add_closes(Cases& cases) {
  for (const unsigned code : {1000U,
                              1001U,
                              1002U,
                              1003U,
                              1007U,
                              1008U,
                              1009U,
                              1010U,
                              1011U,
                              3000U,
                              3999U,
                              4000U,
                              4999U}) {
    cases.closes(str("close ", code), close_frame(code), {code});
    cases.closes(str("close ", code, " with a reason"), close_frame(code, "why \xc3\xa9"), {code});
  }
  for (const unsigned code :
       {0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U}) {
    cases.closes(str("close ", code, ", which may not be sent"), close_frame(code), {1002});
  }
  cases.closes("close without a code", encode({.opcode = kClose, .payload = {}}), {0, 1000});
  cases.closes("close with one byte", encode({.opcode = kClose, .payload = "\x03"}), {1002});
  cases.closes("close with the longest reason", close_frame(1000, pattern(123)), {1000});
  for (const char* reason : {"\xff", "\xc3", "\xed\xa0\x80", "ok\x80"}) {
    cases.closes("close with a reason that is not UTF-8", close_frame(1000, reason), {1002, 1007});
  }
  cases.add({.name = "nothing is read behind a close",
             .sends = {text_frame("a") + close_frame(1000) + text_frame("b")},
             .texts = {"a"},
             .closes = {1000}});
}

void add_utf8(Cases& cases) {
  const std::vector<std::string> valid{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xef\xbf\xbf",
                                       "\xef\xbf\xbd",
                                       "\xef\xbf\xbe",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xf0\x9f\x98\x80",
                                       std::string("\0a", 2),
                                       "\x7f",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"};
  for (const std::string& text : valid) {
    const std::string name = str("valid UTF-8 of ", text.size(), " bytes");
    cases.echo(name, {text_frame(text)}, text);
    std::string frames;
    for (std::size_t i = 0; i < text.size(); ++i) {
      frames += encode({.opcode = i == 0 ? kText : kContinuation,
                        .payload = text.substr(i, 1),
                        .fin = i + 1 == text.size()});
    }
    cases.echo(name + ", a byte a fragment", {frames}, text);
  }
  const std::vector<std::string> invalid{"\x80",
                                         "\xbf",
                                         "\xc0\x80",
                                         "\xc1\xbf",
                                         "\xe0\x80\x80",
                                         "\xe0\x9f\xbf",
                                         "\xf0\x80\x80\x80",
                                         "\xf0\x8f\xbf\xbf",
                                         "\xed\xa0\x80",
                                         "\xed\xad\xbf",
                                         "\xed\xb0\x80",
                                         "\xed\xbf\xbf",
                                         "\xf4\x90\x80\x80",
                                         "\xf5\x80\x80\x80",
                                         "\xf8\x88\x80\x80\x80",
                                         "\xfc\x84\x80\x80\x80\x80",
                                         "\xfe",
                                         "\xff",
                                         "\xfe\xff",
                                         "\xc3",
                                         "\xe2\x82",
                                         "\xf0\x9f\x98",
                                         "\xc3\x28",
                                         "\xe2\x28\xa1",
                                         "\xf0\x28\x8c\xbc",
                                         "a\xff z",
                                         "\xce\xba\xe1\xbd\xb9\xed\xa0\x80\x65"};
  for (const std::string& text : invalid) {
    cases.closes("invalid UTF-8", text_frame(text), {1007});
    cases.closes("invalid UTF-8 in fragments",
                 encode({.payload = text.substr(0, 1), .fin = false}) +
                     encode({.opcode = kContinuation, .payload = text.substr(1)}),
                 {1007});
    cases.closes("invalid UTF-8 behind valid", text_frame("valid " + text), {1007});
  }
}

std::vector<Case> all_cases() {
  Cases cases;
  add_sizes(cases);
  add_lengths(cases);
  add_fragments(cases);
  add_control(cases);
  add_reserved(cases);
  add_closes(cases);
  add_utf8(cases);
  return cases.cases;
}

class WebSocketCases : public ServerFixture {
 protected:
  void run(const Case& c) {
    SCOPED_TRACE(c.name);
    WebSocketClient client(server->port());
    ASSERT_TRUE(client.open("/ws/echo"));
    // A server that has closed takes no more: what is sent then is lost, as it should be.
    for (const std::string& bytes : c.sends) {
      if (!client.send(bytes)) break;
    }
    std::vector<std::string> texts;
    std::vector<std::string> pongs;
    std::optional<Received> close;
    while (!close &&
           (texts.size() < c.texts.size() || pongs.size() < c.pongs.size() || !c.closes.empty())) {
      Received received = client.receive();
      ASSERT_FALSE(received.ended) << "ended without a close frame";
      if (received.opcode == kText) texts.push_back(received.payload);
      if (received.opcode == kPong) pongs.push_back(received.payload);
      if (received.opcode == kClose) close = std::move(received);
    }
    EXPECT_EQ(texts, c.texts);
    EXPECT_EQ(pongs, c.pongs);
    ASSERT_EQ(close.has_value(), !c.closes.empty());
    if (close) {
      EXPECT_TRUE(c.closes.contains(close->close_code())) << close->close_code();
      client.send(close_frame(1000));
      EXPECT_TRUE(client.receive().ended);
      return;
    }
    // Still open: it answers, and ends as it is asked to.
    ASSERT_TRUE(client.send(text_frame("alive")));
    EXPECT_EQ(client.receive_text(), "alive");
    ASSERT_TRUE(client.send(close_frame(1000, "bye")));
    EXPECT_EQ(client.receive().close_code(), 1000U);
    EXPECT_TRUE(client.receive().ended);
  }
};

TEST_F(WebSocketCases, are_at_least_250) { EXPECT_GE(all_cases().size(), 250U); }

TEST_F(WebSocketCases, follow_the_rfc) {
  start();
  for (const Case& c : all_cases()) run(c);
  EXPECT_TRUE(eventually([&] { return metrics.connections.value() == 0; }));
}

TEST_F(WebSocketCases, handshakes) {
  start({.allowed_origins = {"https://chat.example.org"}});
  struct Handshake {
    std::string request;
    int status;
  };
  const auto request = [](std::string_view lines) {
    return str("GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n", lines, "\r\n");
  };
  const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::vector<Handshake> handshakes{
      {request(upgrade + key + version), 101},
      {request("upgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n" + key + version), 101},
      {request(upgrade + key), 426},
      {request(upgrade + key + "Sec-WebSocket-Version: 8\r\n"), 426},
      {request(upgrade + version), 400},
      {request(upgrade + key + key + version), 400},
      {request(upgrade + version + "Sec-WebSocket-Key: short\r\n"), 400},
      {request(upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!!\r\n"), 400},
      {request(upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n"), 400},
      {request("Upgrade: websocket\r\n" + key + version), 400},
      {request("Upgrade: websocket\r\nConnection: keep-alive\r\n" + key + version), 400},
      {request(upgrade + key + version) + text_frame("early"), 400},
      {handshake("/hello"), 400},
      {handshake("/nowhere"), 400},
      {handshake("/ws/echo", "Origin: http://127.0.0.1\r\n"), 101},
      {handshake("/ws/echo", "Origin: https://chat.example.org\r\n"), 101},
      {handshake("/ws/echo", "Origin: HTTPS://CHAT.example.org\r\n"), 101},
      {handshake("/ws/echo", "Origin: http://evil.example\r\n"), 403},
      {handshake("/ws/echo", "Origin: http://127.0.0.1.evil.example\r\n"), 403},
      {handshake("/ws/echo", "Origin: http://127.0.0.1:81\r\n"), 403},
      {handshake("/ws/echo", "Origin: null\r\n"), 403},
      {handshake("/ws/echo", "Origin: \r\n"), 403},
      {handshake("/ws/echo", "Origin: 127.0.0.1\r\n"), 403},
      {handshake("/ws/echo", "Origin: http://127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"), 403},
      {"POST /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n" + upgrade + key +
           version + "\r\n",
       400},
      {"GET /ws/echo HTTP/1.0\r\nHost: 127.0.0.1\r\n" + upgrade + key + version + "\r\n", 400},
  };
  for (const Handshake& c : handshakes) {
    SCOPED_TRACE(c.request);
    Client client = connect();
    client.send(c.request);
    const auto reply = client.read_head();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, c.status);
    if (c.status == 426) {
      EXPECT_EQ(reply->header("sec-websocket-version"), "13");
    }
    if (c.status != 101) continue;
    // Spec: section 1.3, the example.
    EXPECT_EQ(reply->header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(reply->header("sec-websocket-extensions"), "");
    EXPECT_NE(reply->header("x-request-id"), "");
  }
}

}  // namespace
}  // namespace inferneo::http_test
