// Character classes of code points as Hugging Face tokenizers sees them (Unicode 16 in its regular
// expressions, other versions elsewhere), one bit a class. The table is generated.
// Thread: any (immutable after first use).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace inferneo::text {

// Bits of a code point's class.
enum CharClass : std::uint16_t {
  kUpper = 1 << 0,          // Lu
  kTitle = 1 << 1,          // Lt
  kLower = 1 << 2,          // Ll
  kModifier = 1 << 3,       // Lm
  kOtherLetter = 1 << 4,    // Lo
  kMark = 1 << 5,           // M
  kNumber = 1 << 6,         // N
  kSpace = 1 << 7,          // White_Space
  kNumeric = 1 << 8,        // what Digits splits off
  kWord = 1 << 9,           // \w of Whitespace and of single-word tokens
  kPunctuation = 1 << 10,   // what Punctuation splits off
  kAccent = 1 << 11,        // what StripAccents removes
  kUndecomposed = 1 << 12,  // has a decomposition that the reference does not know
  kControl = 1 << 13,       // what BertNormalizer takes for control characters
  kNonspacing = 1 << 14,    // what BertNormalizer takes for accents
  kLetter = kUpper | kTitle | kLower | kModifier | kOtherLetter,
};

class UnicodeClasses {
 public:
  // The table, built on first use.
  static const UnicodeClasses& get();

  [[nodiscard]] std::uint16_t of(char32_t code_point) const {
    if (code_point > 0x10FFFF) return 0;
    return bits_[block_[code_point / kBlockSize] * kBlockSize + code_point % kBlockSize];
  }
  // Shape: [128], the classes of ASCII.
  [[nodiscard]] const std::uint16_t* ascii() const { return &bits_[block_[0] * kBlockSize]; }
  [[nodiscard]] bool is(char32_t code_point, std::uint16_t classes) const {
    return (of(code_point) & classes) != 0;
  }

 private:
  static constexpr std::uint32_t kBlockSize = 128;

  UnicodeClasses();

  std::array<std::uint32_t, 0x110000 / kBlockSize> block_{};
  std::unique_ptr<std::uint16_t[]> bits_;
};

// Start of each run of equal class, ascending: first code point << 15 | bits.
std::span<const std::uint64_t> unicode_runs();

}  // namespace inferneo::text
