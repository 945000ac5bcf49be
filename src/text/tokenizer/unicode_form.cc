// NFC, NFD, NFKC, NFKD. Spec: Unicode Standard Annex 15. Tables come from utf8proc; the reordering
// of combining marks is ours, because the library's is quadratic in a run of marks.
#include <utf8proc.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/utf8.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

// Marks newer than the reference's table do not combine there.
bool is_unknown_mark(utf8proc_int32_t code_point) {
  const std::uint16_t cls = UnicodeClasses::get().of(static_cast<char32_t>(code_point));
  return (cls & (kMark | kAccent)) == kMark;
}

int combining_class(utf8proc_int32_t code_point) {
  if (code_point < 0x300 || is_unknown_mark(code_point)) return 0;
  return utf8proc_get_property(code_point)->combining_class;
}

class Form final : public Normalizer {
 public:
  explicit Form(UnicodeForm form)
      : compose_(form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc),
        compatible_(form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd),
        // Below these code points every character is its own normal form and never joins the
        // character before it.
        simple_end_(form == UnicodeForm::kNfc ? 0x300 : 0x80) {}

  // Only stretches with other characters are worked on, each with the character before it.
  void apply(std::string& text, bool&) const override {
    std::size_t at = next_complex(text, 0);
    if (at == text.size()) return;
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    std::size_t done = 0;
    std::vector<utf8proc_int32_t> points;
    while (at < text.size()) {
      const std::size_t start = at > 0 ? character_before(text, at) : at;
      out.append(text, done, start - done);
      points.clear();
      done = decompose(text, start, points);
      put(points, out);
      at = next_complex(text, done);
    }
    out.append(text, done);
    text = std::move(out);
  }

 private:
  [[nodiscard]] std::size_t next_complex(std::string_view text, std::size_t at) const {
    while (at < text.size()) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte < 0x80) {
        ++at;
        continue;
      }
      const utf8::Decoded next = utf8::decode(text, at);
      if (next.code_point >= simple_end_) return at;
      at += next.size;
    }
    return text.size();
  }

  static std::size_t character_before(std::string_view text, std::size_t at) {
    do {
      --at;
    } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
  }

  // Takes the character at `at` and all others up to the next simple one; returns where that is.
  std::size_t decompose(std::string_view text,
                        std::size_t at,
                        std::vector<utf8proc_int32_t>& points) const {
    bool first = true;
    while (at < text.size()) {
      const utf8::Decoded next = utf8::decode(text, at);
      if (!first && next.code_point < simple_end_) break;
      append_decomposed(static_cast<utf8proc_int32_t>(next.code_point), points);
      at += next.size;
      first = false;
    }
    return at;
  }

  void append_decomposed(utf8proc_int32_t code_point, std::vector<utf8proc_int32_t>& points) const {
    if (UnicodeClasses::get().is(static_cast<char32_t>(code_point), kUndecomposed)) {
      points.push_back(code_point);
      return;
    }
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
                                                        (compatible_ ? UTF8PROC_COMPAT : 0));
    utf8proc_int32_t parts[32];
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(code_point, parts, std::size(parts), options, &boundary);
    if (count <= 0 || count > static_cast<utf8proc_ssize_t>(std::size(parts))) {
      points.push_back(code_point);
    } else {
      points.insert(points.end(), parts, parts + count);
    }
  }

  void put(std::vector<utf8proc_int32_t>& points, std::string& out) const {
    for (auto from = points.begin(); from != points.end();) {
      if (combining_class(*from) == 0) {
        ++from;
        continue;
      }
      const auto to =
          std::find_if(from, points.end(), [](auto c) { return combining_class(c) == 0; });
      std::stable_sort(
          from, to, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
      from = to;
    }
    // Why in parts: utf8proc would move and join marks across one that the reference takes for a
    // letter.
    for (auto from = points.begin(); from != points.end();) {
      const auto to = std::find_if(from + 1, points.end(), is_unknown_mark);
      append_composed(std::span(from, to), out);
      from = to;
    }
  }

  void append_composed(std::span<utf8proc_int32_t> points, std::string& out) const {
    auto count = static_cast<utf8proc_ssize_t>(points.size());
    if (compose_) {
      const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
      count = utf8proc_normalize_utf32(points.data(), count, options);
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      utf8::append(out, static_cast<char32_t>(points[static_cast<std::size_t>(i)]));
    }
  }

  bool compose_;
  bool compatible_;
  char32_t simple_end_;
};

}  // namespace

NormalizerPtr make_unicode_form(UnicodeForm form) { return std::make_unique<Form>(form); }

}  // namespace inferneo::text
