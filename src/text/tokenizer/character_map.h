// A normalizer that maps or drops single characters.
// Thread: any.
#pragma once

#include <string>

#include "base/utf8.h"
#include "text/tokenizer/normalizer.h"

namespace inferneo::text {

// Rewrites a text character by character. `Map` appends what a character becomes.
template <void (*Map)(char32_t, std::string&)>
class CharacterMap final : public Normalizer {
 public:
  void apply(std::string& text, bool& at_start) const override {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Decoded next = utf8::decode(text, at);
      Map(next.code_point, out);
      if (at == 0 && out.empty()) at_start = false;
      at += next.size;
    }
    text = std::move(out);
  }
};

}  // namespace inferneo::text
