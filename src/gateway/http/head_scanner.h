// The strict grammar of a request head, checked byte by byte before any other parser sees it, and
// the framing rules over its fields. Beast's parser is lax where request smuggling begins (folded
// lines, lists of lengths, unknown transfer codings), so what passes here is the intersection that
// every HTTP implementation reads the same way.
// Thread: the owner's. Ownership: keeps no reference to the bytes.
// Spec: RFC 9112 sections 2 to 7; RFC 9110 section 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/http/message.h"

namespace inferneo::gateway::http {

// Why a head or body is refused: an HTTP status and a sentence. Status 0 means no failure.
struct Refusal {
  int status = 0;
  std::string message;

  explicit operator bool() const { return status != 0; }
};

class HeadScanner {
 public:
  enum class Progress { kMore, kComplete, kRefused };

  // `bytes` begins at the first byte after the previous request and holds at least what earlier
  // calls saw; only the new bytes are looked at, so a head that arrives bytewise costs linear time.
  Progress scan(std::string_view bytes);

  // After kComplete: the head is bytes[begin, end), with its final empty line.
  [[nodiscard]] std::size_t begin() const { return begin_; }
  [[nodiscard]] std::size_t end() const { return at_; }
  // After kRefused.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }

 private:
  Progress refuse(int status, std::string message);
  Progress take_byte(std::string_view bytes);
  Progress end_line(std::string_view line);
  Progress check_size();

  std::size_t at_ = 0;          // next byte to look at
  std::size_t line_begin_ = 0;  // first byte of the current line
  std::size_t begin_ = 0;
  std::size_t field_count_ = 0;
  std::size_t field_bytes_ = 0;
  bool request_line_seen_ = false;
  bool empty_line_skipped_ = false;
  bool after_cr_ = false;
  Refusal refusal_;
};

// The grammar of a request line without its CRLF.
Refusal check_request_line(std::string_view line);
// The grammar of a field line without its CRLF.
Refusal check_field_line(std::string_view line);

struct Framing {
  enum class Kind : std::uint8_t { kNone, kLength, kChunked };
  Kind kind = Kind::kNone;
  std::uint64_t length = 0;  // of kLength
};

// Decides how the body is delimited, or refuses a head that two implementations could delimit
// differently. `headers` has lower-case names, repeated fields as they came.
Refusal decide_framing(const Headers& headers, bool is_http_1_0, Framing& framing);

}  // namespace inferneo::gateway::http
