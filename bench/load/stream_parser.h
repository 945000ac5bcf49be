// Reads a streamed HTTP answer piece by piece: status, chunked framing, server-sent events. Knows
// just what a completion stream needs.
// Thread: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inferneo::bench {

class StreamParser {
 public:
  // Takes what has arrived. Returns the number of events with text in it.
  int feed(std::string_view bytes);

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool done() const { return done_; }
  // As the server counted them at the end; -1 until then.
  [[nodiscard]] std::int64_t completion_tokens() const { return completion_tokens_; }
  // The beginning of an answer that is not a stream of events.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  void take_head();
  void take_chunks();
  int take_lines();
  bool take_event(std::string_view event);

  bool in_head_ = true;
  bool chunked_ = false;
  bool done_ = false;
  int status_ = 0;
  std::int64_t completion_tokens_ = -1;
  std::size_t chunk_left_ = 0;
  std::string raw_;   // not yet unframed
  std::string body_;  // unframed, not yet a whole line
  std::string refusal_;
};

}  // namespace inferneo::bench
