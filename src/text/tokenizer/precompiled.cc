// Precompiled: the character map of a SentencePiece model, as Hugging Face tokenizers applies it: a
// short grapheme as a whole by the rule of its shortest prefix, else character by character.
// Spec: Hugging Face tokenizers, normalizers/precompiled.rs, and the crate spm_precompiled.
#include <utf8proc.h>

#include "base/base64.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/normalizer.h"

namespace inferneo::text {
namespace {

constexpr std::size_t kGraphemeSizeMax = 5;  // longer ones are taken character by character

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}

  void apply(std::string& text, bool&) const override {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = grapheme_end(text, at);
      put_grapheme(std::string_view(text).substr(at, end - at), out);
      at = end;
    }
    text = std::move(out);
  }

 private:
  static std::size_t grapheme_end(std::string_view text, std::size_t at) {
    utf8::Decoded last = utf8::decode(text, at);
    at += last.size;
    utf8proc_int32_t state = 0;
    while (at < text.size()) {
      const utf8::Decoded next = utf8::decode(text, at);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.code_point),
                                           static_cast<utf8proc_int32_t>(next.code_point),
                                           &state)) {
        break;
      }
      at += next.size;
      last = next;
    }
    return at;
  }

  void put_grapheme(std::string_view grapheme, std::string& out) const {
    if (grapheme.size() <= kGraphemeSizeMax && put_rule(grapheme, out)) return;
    for (std::size_t at = 0; at < grapheme.size();) {
      const std::string_view character = grapheme.substr(at, utf8::decode(grapheme, at).size);
      if (!put_rule(character, out)) out += character;
      at += character.size();
    }
  }

  // The rule of the shortest prefix stands for the whole chunk, as in the reference.
  bool put_rule(std::string_view chunk, std::string& out) const {
    const Charsmap::Match match = map_.shortest(chunk);
    if (match.size == 0) return false;
    out += match.content;
    return true;
  }

  Charsmap map_;
};

}  // namespace

Result<NormalizerPtr> parse_precompiled(const JsonView& entry) {
  ASSIGN_OR_RETURN(const JsonView place, entry.member("precompiled_charsmap"));
  ASSIGN_OR_RETURN(const std::string_view encoded, place.string());
  const auto bytes = decode_base64(encoded);
  if (!bytes) return place.corrupt("is not base64");
  Result<Charsmap> map = Charsmap::parse(*bytes);
  if (!map) return std::move(map).error().with_where(place.where());
  return NormalizerPtr(std::make_unique<Precompiled>(std::move(map).value()));
}

}  // namespace inferneo::text
