// Lowercase, Nmt and StripAccents: normalizers that map or drop single characters; Strip, which
// drops white space at the ends.
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/tokenizer/character_map.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

// Capitals that are newer than the tables of utf8proc 2.8 (Unicode 15), with their lower case.
struct NewCapitals {
  char32_t first;
  char32_t last;
  char32_t lower_of_first;
};
constexpr NewCapitals kNewCapitals[] = {
    {0x1C89, 0x1C89, 0x1C8A},
    {0xA7CB, 0xA7CB, 0x264},
    {0xA7CC, 0xA7CC, 0xA7CD},
    {0xA7CE, 0xA7CE, 0xA7CF},
    {0xA7D2, 0xA7D2, 0xA7D3},
    {0xA7D4, 0xA7D4, 0xA7D5},
    {0xA7DA, 0xA7DA, 0xA7DB},
    {0xA7DC, 0xA7DC, 0x19B},
    {0x10D50, 0x10D65, 0x10D70},
    {0x16EA0, 0x16EB8, 0x16EBB},
};

char32_t to_lower(char32_t c) {
  for (const NewCapitals& range : kNewCapitals) {
    if (c >= range.first && c <= range.last) return range.lower_of_first + (c - range.first);
  }
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

void map_lowercase(char32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  } else if (c == 0x130) {  // the only letter whose lower case is two characters
    out += "i\xCC\x87";
  } else {
    utf8::append(out, to_lower(c));
  }
}

void map_accent(char32_t c, std::string& out) {
  if (!UnicodeClasses::get().is(c, kAccent)) utf8::append(out, c);
}

// Spec: the NMT rules of SentencePiece: control characters go, odd white space becomes a space.
void map_nmt(char32_t c, std::string& out) {
  const bool drop = (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F ||
                    c == 0x8F || c == 0x9F;
  if (drop) return;
  const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                     (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xFEFF || c == 0xFFFD;
  utf8::append(out, space ? U' ' : c);
}

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void apply(std::string& text, bool& at_start) const override {
    const UnicodeClasses& classes = UnicodeClasses::get();
    std::size_t first = std::string::npos;
    std::size_t last_end = 0;
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Decoded next = utf8::decode(text, at);
      if (!classes.is(next.code_point, kSpace)) {
        if (first == std::string::npos) first = at;
        last_end = at + next.size;
      }
      at += next.size;
    }
    if (first == std::string::npos && (left_ || right_)) {
      text.clear();
      return;
    }
    if (right_) text.resize(last_end);
    if (left_ && first > 0) {
      text.erase(0, first);
      at_start = false;
    }
  }

 private:
  bool left_;
  bool right_;
};

}  // namespace

NormalizerPtr make_lowercase() { return std::make_unique<CharacterMap<map_lowercase>>(); }

Result<NormalizerPtr> parse_lowercase(const JsonView&) { return make_lowercase(); }

Result<NormalizerPtr> parse_nmt(const JsonView&) {
  return NormalizerPtr(std::make_unique<CharacterMap<map_nmt>>());
}

Result<NormalizerPtr> parse_strip_accents(const JsonView&) {
  return NormalizerPtr(std::make_unique<CharacterMap<map_accent>>());
}

Result<NormalizerPtr> parse_strip(const JsonView& entry) {
  ASSIGN_OR_RETURN(const bool left, entry.bool_member("strip_left", true));
  ASSIGN_OR_RETURN(const bool right, entry.bool_member("strip_right", true));
  return NormalizerPtr(std::make_unique<Strip>(left, right));
}

}  // namespace inferneo::text
