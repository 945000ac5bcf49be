// Writes JSON into a string that the caller reuses, so that a streamed delta costs no allocation
// once the buffer has grown. Output is always valid UTF-8.
// Thread: one owner. Ownership: borrows the string, appends to it.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/str.h"

namespace inferneo::gateway::endpoints {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view name) {
    string(name);
    out_ += ':';
    need_comma_ = false;
  }

  // Members that were written before, without braces: for what is the same in every frame.
  void members(std::string_view written) { raw(written); }

  // Invalid UTF-8 becomes U+FFFD.
  void string(std::string_view text);
  void null() { raw("null"); }
  void boolean(bool value) { raw(value ? "true" : "false"); }
  template <std::integral Integer>
  void integer(Integer value) {
    separate();
    append_piece(out_, value);
    need_comma_ = true;
  }
  // JSON has no infinities; a value that is not finite becomes null.
  template <std::floating_point Number>
  void number(Number value) {
    if (!std::isfinite(value)) return null();
    separate();
    append_piece(out_, value);
    need_comma_ = true;
  }

  void member(std::string_view name, std::string_view text) {
    key(name);
    string(text);
  }
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) void member(std::string_view name, Integer value) {
    key(name);
    integer(value);
  }
  void member_null(std::string_view name) {
    key(name);
    null();
  }

 private:
  void separate() {
    if (need_comma_) out_ += ',';
  }
  void open(char bracket) {
    separate();
    out_ += bracket;
    need_comma_ = false;
  }
  void close(char bracket) {
    out_ += bracket;
    need_comma_ = true;
  }
  void raw(std::string_view token) {
    separate();
    out_ += token;
    need_comma_ = true;
  }

  std::string& out_;
  bool need_comma_ = false;
};

}  // namespace inferneo::gateway::endpoints
