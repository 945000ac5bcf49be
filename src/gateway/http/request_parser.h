// One request out of bytes: the strict scan of the head, then Boost.Beast's parser for the fields
// and the body (length or chunks), with both required to agree on where the body ends.
// Thread: the owner's. Ownership: owns the parsed head; body bytes go to the caller's string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/http/head_scanner.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::http {

class RequestParser {
 public:
  enum class Progress { kMore, kComplete, kRefused };

  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Head. `bytes` is all that was received and not consumed; on kComplete `consumed` says how much
  // of it the head took.
  Progress parse_head(std::string_view bytes, std::size_t& consumed);

  // After the head: method, path, query and headers are set; the rest is the server's to fill.
  [[nodiscard]] RequestHead& head() { return head_; }
  [[nodiscard]] const Framing& framing() const { return framing_; }
  [[nodiscard]] bool is_http_1_0() const { return is_http_1_0_; }
  // What the client wishes; the server may still close.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  [[nodiscard]] bool has_body() const;

  // Body, when has_body(). Appends decoded bytes to `body` (or drops them when it is null) and
  // refuses with 413 as soon as it would exceed `size_max`, which is the same in every call.
  // `consumed` bytes of `bytes` are done with; the rest must be given again with more behind.
  Progress parse_body(std::string_view bytes,
                      std::size_t size_max,
                      std::string* body,
                      std::size_t& consumed);

  // After kRefused. The connection must be closed after the answer: where the next request begins
  // is not known.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }

 private:
  class Beast;

  Progress refuse(Refusal refusal);
  Progress read_head(std::string_view head);
  Refusal check_fields();

  HeadScanner scanner_;
  std::unique_ptr<Beast> beast_;
  RequestHead head_;
  Framing framing_;
  Refusal refusal_;
  bool is_http_1_0_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  bool body_begun_ = false;
};

}  // namespace inferneo::gateway::http
