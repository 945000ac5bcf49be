// The compiled normalization rules of a SentencePiece model: a double-array trie of byte strings
// and what each becomes. Reads the bytes as they are; a broken trie finds too little, never
// reads outside.
// Spec: SentencePiece, normalizer.cc (DecodePrecompiledCharsMap); Darts-clone for the units.
// Thread: any; immutable after parse. Ownership: owns a copy of the rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::text {

class Charsmap {
 public:
  // No rules.
  Charsmap() = default;
  // Failures: corrupt_data when sizes do not fit.
  static Result<Charsmap> parse(std::string_view bytes);

  [[nodiscard]] bool empty() const { return units_.empty(); }

  struct Match {
    std::size_t size = 0;  // bytes of the text; 0: no rule
    std::string_view content;
  };
  // The rule for the shortest, or the longest, prefix of `text` that has one.
  [[nodiscard]] Match shortest(std::string_view text) const { return find(text, false); }
  [[nodiscard]] Match longest(std::string_view text) const { return find(text, true); }

 private:
  [[nodiscard]] Match find(std::string_view text, bool longest) const;

  std::vector<std::uint32_t> units_;
  std::string contents_;  // each ends with a zero byte
};

}  // namespace inferneo::text
