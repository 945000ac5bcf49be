#include "text/tokenizer/known_split.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/utf8.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

constexpr std::uint16_t kPlain = 0xFFFF & (kLetter | kNumber | kSpace);  // what "other" excludes

// Eight bytes at a time, one bit (the highest) a byte. Why: words are short, and a loop over their
// bytes ends in a mispredicted branch for most of them.
constexpr std::uint64_t kEach = 0x0101010101010101u;

std::uint64_t load_eight(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  static_assert(std::endian::native == std::endian::little);
  return word;
}

// Marks the bytes from `low` to `high`, both ASCII.
std::uint64_t in_range(std::uint64_t word, std::uint8_t low, std::uint8_t high) {
  const std::uint64_t ascii = word & 0x7F * kEach;
  const std::uint64_t from_low = ascii + (0x80u - low) * kEach;
  const std::uint64_t above_high = ascii + (0x7Fu - high) * kEach;
  return from_low & ~above_high & ~word & 0x80 * kEach;
}

// How many bytes from the first on are marked, 8 at most.
std::size_t leading_count(std::uint64_t marked) {
  return static_cast<std::size_t>(std::countr_zero(~marked & 0x80 * kEach)) / 8;
}

struct Char {
  std::uint16_t cls = 0;
  std::uint8_t size = 0;  // 0 behind the end of the text
};

// Reads characters of one text together with their class.
class Reader {
 public:
  explicit Reader(std::string_view text)
      : text_(text), classes_(UnicodeClasses::get()), ascii_(classes_.ascii()) {}

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::size_t end() const { return text_.size(); }
  [[nodiscard]] char byte(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  [[nodiscard]] Char at(std::size_t at) const {
    if (at >= text_.size()) return {};
    const auto first = static_cast<std::uint8_t>(text_[at]);
    if (first < 0x80) return {ascii_[first], 1};
    const utf8::Decoded next = utf8::decode(text_, at);
    return {classes_.of(next.code_point), static_cast<std::uint8_t>(next.size)};
  }

  // The end of the run of characters from `at` that have one of `classes`.
  [[nodiscard]] std::size_t run(std::size_t at, std::uint16_t classes) const {
    for (Char c = this->at(at); c.size > 0 && (c.cls & classes) != 0; c = this->at(at)) {
      at += c.size;
    }
    return at;
  }
  // The end of the run of letters from `at`.
  [[nodiscard]] std::size_t letters(std::size_t at) const {
    while (at + 8 <= text_.size()) {
      const std::uint64_t word = load_eight(text_.data() + at);
      const std::size_t count = leading_count(in_range(word | 0x20 * kEach, 'a', 'z'));
      at += count;
      if (count == 8) continue;
      // Of the byte that stopped the run: nothing more to read when it is ASCII.
      if (static_cast<std::uint8_t>(text_[at]) < 0x80) return at;
      break;
    }
    return run(at, kLetter);
  }
  // The end of the run of bytes from `low` to `high`.
  [[nodiscard]] std::size_t bytes(std::size_t at, std::uint8_t low, std::uint8_t high) const {
    while (at + 8 <= text_.size()) {
      const std::size_t count = leading_count(in_range(load_eight(text_.data() + at), low, high));
      at += count;
      if (count < 8) return at;
    }
    const auto inside = [&](char c) {
      return static_cast<std::uint8_t>(c) >= low && static_cast<std::uint8_t>(c) <= high;
    };
    while (at < text_.size() && inside(text_[at])) ++at;
    return at;
  }
  [[nodiscard]] bool is_ascii_letter(std::size_t at) const {
    return at < text_.size() &&
           static_cast<std::uint8_t>((static_cast<std::uint8_t>(text_[at]) | 0x20) - 'a') < 26;
  }

  // As run(), of characters that have none of `classes`.
  [[nodiscard]] std::size_t run_without(std::size_t at, std::uint16_t classes) const {
    for (Char c = this->at(at); c.size > 0 && (c.cls & classes) == 0; c = this->at(at)) {
      at += c.size;
    }
    return at;
  }
  [[nodiscard]] std::size_t newlines(std::size_t at, bool with_slash) const {
    while (at < end() && (is_newline(at) || (with_slash && text_[at] == '/'))) ++at;
    return at;
  }
  [[nodiscard]] bool is_newline(std::size_t at) const {
    return at < end() && (text_[at] == '\n' || text_[at] == '\r');
  }
  // Up to three numbers from `at`.
  [[nodiscard]] std::size_t numbers(std::size_t at, int count_max) const {
    for (int count = 0; count < count_max; ++count) {
      const Char c = this->at(at);
      if (c.size == 0 || (c.cls & kNumber) == 0) break;
      at += c.size;
    }
    return at;
  }
  // \s+(?!\S)|\s+ at a run of white space: all of it at the end of the text, else all but the last
  // character, unless that is the only one.
  [[nodiscard]] std::size_t spaces(std::size_t at) const {
    std::size_t last = at;
    std::size_t stop = at;
    for (Char c = this->at(at); c.size > 0 && (c.cls & kSpace) != 0; c = this->at(stop)) {
      last = stop;
      stop += c.size;
    }
    return stop == end() || last == at ? stop : last;
  }
  // \s*[\r\n]+ : the end of the last line break of the run of white space, or `at` without one.
  [[nodiscard]] std::size_t line_breaks(std::size_t at) const {
    std::size_t stop = at;
    std::size_t i = at;
    for (Char c = this->at(i); c.size > 0 && (c.cls & kSpace) != 0; c = this->at(i)) {
      const bool newline = is_newline(i);
      i += c.size;
      if (newline) stop = i;
    }
    return stop;
  }

 private:
  std::string_view text_;
  const UnicodeClasses& classes_;
  const std::uint16_t* ascii_;
};

// 's 't 're 've 'm 'll 'd ; returns `at` when there is none.
std::size_t contraction(std::string_view text, std::size_t at, bool any_case) {
  if (at + 1 >= text.size() || text[at] != '\'') return at;
  const auto letter = [&](std::size_t i) -> char {
    if (i >= text.size()) return '\0';
    const char c = text[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char first = letter(at + 1);
  const char second = letter(at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
  if (first == 'l' && second == 'l') return at + 3;
  // U+017F, the long s, is an s when case does not matter.
  if (any_case && text.substr(at + 1).starts_with("\xC5\xBF")) return at + 3;
  return at;
}

// What cl100k, Qwen 2 and o200k share after words: numbers, other characters, white space.
std::size_t rest_step(const Reader& in, std::size_t at, Char first, int digits, bool with_slash) {
  if ((first.cls & kNumber) != 0) return in.numbers(at, digits);
  const std::size_t body = in.byte(at) == ' ' ? at + 1 : at;
  const Char c = in.at(body);
  if (c.size > 0 && (c.cls & kPlain) == 0) {
    return in.newlines(in.run_without(body, kPlain), with_slash);
  }
  if (const std::size_t stop = in.line_breaks(at); stop > at) return stop;
  return in.spaces(at);
}

// (?i:'s|..)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|..
std::size_t words_step(const Reader& in, std::size_t at, int digits) {
  // A space and a word, which most pieces are.
  if (in.byte(at) == ' ' && in.is_ascii_letter(at + 1)) return in.letters(at + 1);
  if (const std::size_t stop = contraction(in.text(), at, true); stop > at) return stop;
  const Char first = in.at(at);
  if ((first.cls & kLetter) != 0) return in.letters(at);
  if ((first.cls & kNumber) == 0 && !in.is_newline(at)) {
    const std::size_t stop = in.letters(at + first.size);
    if (stop > at + first.size) return stop;
  }
  return rest_step(in, at, first, digits, false);
}

std::size_t cl100k_step(const Reader& in, std::size_t at) { return words_step(in, at, 3); }
std::size_t qwen2_step(const Reader& in, std::size_t at) { return words_step(in, at, 1); }

// The two halves of a word in o200k; they share what has no case.
constexpr std::uint16_t kNotLower = kUpper | kTitle | kModifier | kOtherLetter | kMark;
constexpr std::uint16_t kNotUpper = kLower | kModifier | kOtherLetter | kMark;

// [kNotLower]*[kNotUpper]+ from `at`, or 0. The first set is greedy and gives back as little as it
// can: up to the last character that both sets hold.
std::size_t lower_word(const Reader& in, std::size_t at) {
  std::size_t stop = at;
  std::size_t shared_end = 0;
  for (Char c = in.at(at); c.size > 0 && (c.cls & kNotLower) != 0; c = in.at(stop)) {
    stop += c.size;
    if ((c.cls & kNotUpper) != 0) shared_end = stop;
  }
  const std::size_t tail = in.run(stop, kNotUpper);
  return tail > stop ? tail : shared_end;
}

// [kNotLower]+[kNotUpper]* from `at`, or 0.
std::size_t upper_word(const Reader& in, std::size_t at) {
  const std::size_t stop = in.run(at, kNotLower);
  return stop > at ? in.run(stop, kNotUpper) : 0;
}

// The end of [A-Z]*[a-z]* from `at`.
std::size_t capitals_then_small(const Reader& in, std::size_t at) {
  if (at + 8 <= in.end()) {
    const std::uint64_t word = load_eight(in.text().data() + at);
    const std::size_t capitals = leading_count(in_range(word, 'A', 'Z'));
    if (capitals < 8) {
      const std::size_t count =
          capitals + leading_count(in_range(word, 'a', 'z') >> (8 * capitals));
      return count < 8 ? at + count : in.bytes(at + 8, 'a', 'z');
    }
  }
  return in.bytes(in.bytes(at, 'A', 'Z'), 'a', 'z');
}

// A word of ASCII with a space in front of it or without, or `at`: what lower_word and upper_word
// give when no other letter follows.
std::size_t plain_word(const Reader& in, std::size_t at) {
  const std::size_t body = in.byte(at) == ' ' ? at + 1 : at;
  const std::size_t stop = capitals_then_small(in, body);
  const bool ends = stop == in.end() || static_cast<std::uint8_t>(in.text()[stop]) < 0x80;
  return stop > body && ends ? stop : at;
}

std::size_t o200k_step(const Reader& in, std::size_t at) {
  if (const std::size_t end = plain_word(in, at); end > at) {
    return in.byte(end) == '\'' ? contraction(in.text(), end, true) : end;
  }
  const Char first = in.at(at);
  const bool prefix = (first.cls & (kLetter | kNumber)) == 0 && !in.is_newline(at);
  std::size_t stop = 0;
  if (prefix) stop = lower_word(in, at + first.size);
  if (stop == 0) stop = lower_word(in, at);
  if (stop == 0 && prefix) stop = upper_word(in, at + first.size);
  if (stop == 0) stop = upper_word(in, at);
  if (stop > 0) return contraction(in.text(), stop, true);
  return rest_step(in, at, first, 3, true);
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t gpt2_step(const Reader& in, std::size_t at) {
  if (const std::size_t stop = contraction(in.text(), at, false); stop > at) return stop;
  const std::size_t body = in.byte(at) == ' ' ? at + 1 : at;
  if (in.is_ascii_letter(body)) return in.letters(body);
  const Char c = in.at(body);
  if ((c.cls & kLetter) != 0) return in.run(body, kLetter);
  if ((c.cls & kNumber) != 0) return in.run(body, kNumber);
  if (c.size > 0 && (c.cls & kSpace) == 0) return in.run_without(body, kPlain);
  return in.spaces(at);
}

// `step` gives the end of the piece that begins at a place.
template <std::size_t (*step)(const Reader& in, std::size_t at)>
void split_all(std::string_view text, bool at_start, PieceSink& sink) {
  const Reader in(text);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = step(in, at);
    sink.piece(text.substr(at, end - at), at_start && at == 0);
    at = end;
  }
}

struct Known {
  std::string_view pattern;
  SplitAll split;
};

constexpr Known kKnown[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     split_all<gpt2_step>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
     R"(\s*[\r\n]+|\s+(?!\S)|\s+)",
     split_all<cl100k_step>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
     R"(\s*[\r\n]+|\s+(?!\S)|\s+)",
     split_all<qwen2_step>},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)"
     R"(\s+(?!\S)|\s+)",
     split_all<o200k_step>},
};

}  // namespace

void split_gpt2(std::string_view text, bool at_start, PieceSink& sink) {
  split_all<gpt2_step>(text, at_start, sink);
}

SplitAll find_known_split(std::string_view pattern) {
  for (const Known& known : kKnown) {
    if (known.pattern == pattern) return known.split;
  }
  return nullptr;
}

}  // namespace inferneo::text
