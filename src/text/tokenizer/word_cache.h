// Remembers the tokens of short words: direct-mapped, one cache line a word, 512 KiB in all. A word
// that maps to a taken line replaces it, so the size is fixed whatever the text.
// Thread: one owner.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "request/token.h"

namespace inferneo::text {

class WordCache {
 public:
  static constexpr std::size_t kWordSizeMax = 24;
  static constexpr std::size_t kTokenCountMax = 9;

  // The whole word, so that equal keys mean equal words. Precondition: size <= kWordSizeMax.
  struct Key {
    explicit Key(std::string_view word);
    [[nodiscard]] std::uint64_t hash() const;

    std::uint64_t first = 0;
    std::uint64_t middle = 0;
    std::uint64_t last = 0;
    std::uint16_t size = 0;
  };

  // The tokens of the word, or null data when it is not here.
  [[nodiscard]] std::span<const TokenId> find(const Key& key) const {
    if (lines_.empty()) return {};
    const Line& line = lines_[key.hash() >> kIndexShift];
    if (line.first != key.first || line.last != key.last || line.middle != key.middle ||
        line.size != key.size || line.count == 0) {
      return {};
    }
    return {line.ids, line.count};
  }
  // Ignored when there are no tokens or too many for a line.
  void insert(const Key& key, std::span<const TokenId> ids);

 private:
  static constexpr int kIndexBits = 13;
  static constexpr int kIndexShift = 64 - kIndexBits;

  struct alignas(64) Line {
    std::uint64_t first = 0;
    std::uint64_t middle = 0;
    std::uint64_t last = 0;
    std::uint16_t size = 0;
    std::uint16_t count = 0;
    TokenId ids[kTokenCountMax] = {};
  };
  static_assert(sizeof(Line) == 64);

  std::vector<Line> lines_;
};

inline WordCache::Key::Key(std::string_view word) : size(static_cast<std::uint16_t>(word.size())) {
  const char* data = word.data();
  const std::size_t n = word.size();
  if (n >= 8) {
    std::memcpy(&first, data, 8);
    std::memcpy(&last, data + n - 8, 8);
    if (n > 16) std::memcpy(&middle, data + 8, 8);
  } else if (n >= 4) {
    std::uint32_t low;
    std::uint32_t high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + n - 4, 4);
    first = low;
    last = high;
  } else if (n > 0) {
    first = static_cast<std::uint8_t>(data[0]);
    middle = static_cast<std::uint8_t>(data[n / 2]);
    last = static_cast<std::uint8_t>(data[n - 1]);
  }
}

inline std::uint64_t WordCache::Key::hash() const {
  std::uint64_t hash = (first ^ size) * 0x9E3779B97F4A7C15u;
  hash = (hash ^ (hash >> 32) ^ middle) * 0xD6E8FEB86659FD93u;
  hash = (hash ^ (hash >> 32) ^ last) * 0x9E3779B97F4A7C15u;
  return hash;
}

inline void WordCache::insert(const Key& key, std::span<const TokenId> ids) {
  if (ids.empty() || ids.size() > kTokenCountMax) return;
  if (lines_.empty()) lines_.resize(std::size_t{1} << kIndexBits);
  Line& line = lines_[key.hash() >> kIndexShift];
  line.first = key.first;
  line.middle = key.middle;
  line.last = key.last;
  line.size = key.size;
  line.count = static_cast<std::uint16_t>(ids.size());
  std::memcpy(line.ids, ids.data(), ids.size_bytes());
}

}  // namespace inferneo::text
