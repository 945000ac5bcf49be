// Remembers the tokens of short words, in two tables of fixed size. The first holds what nearly all
// words are, at most 16 bytes and three tokens: sets of two in one cache line, the later used one
// in front; 4 MiB. Why so many: an English text of megabytes has some 70,000 different words, and
// each that is not here costs as much as ten that are. The second holds longer ones, directly
// mapped; 256 KiB. A word that finds its places taken replaces one. Thread: one owner.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/anonymous_memory.h"
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
    std::uint64_t last = 0;
    std::uint64_t middle = 0;
    std::uint16_t size = 0;
  };

  // The tokens of the word, or null data when it is not here. Valid until the next call.
  [[nodiscard]] std::span<const TokenId> find(const Key& key) {
    if (sets_ == nullptr) return {};
    const std::uint64_t hash = key.hash();
    if (key.size <= kSmallWordSizeMax) {
      Set& set = sets_[hash >> kSetShift];
      if (set.ways[0].holds(key)) return {set.ways[0].ids, set.ways[0].count};
      if (set.ways[1].holds(key)) {
        std::swap(set.ways[0], set.ways[1]);
        return {set.ways[0].ids, set.ways[0].count};
      }
    }
    return find_line(key, hash);
  }
  // Ignored when there are no tokens or too many for a line, and without memory for the tables.
  void insert(const Key& key, std::span<const TokenId> ids);

 private:
  static constexpr std::size_t kSmallWordSizeMax = 16;
  static constexpr std::size_t kSmallTokenCountMax = 3;
  static constexpr int kSetBits = 16;
  static constexpr int kSetShift = 64 - kSetBits;
  static constexpr int kLineBits = 12;
  static constexpr int kLineShift = 64 - kLineBits;

  struct Entry {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint16_t size = 0;
    std::uint16_t count = 0;  // 0: free
    TokenId ids[kSmallTokenCountMax] = {};

    [[nodiscard]] bool holds(const Key& key) const {
      return first == key.first && last == key.last && size == key.size && count != 0;
    }
  };
  struct alignas(64) Set {
    Entry ways[2];
  };
  static_assert(sizeof(Set) == 64);

  struct alignas(64) Line {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t middle = 0;
    std::uint16_t size = 0;
    std::uint16_t count = 0;
    TokenId ids[kTokenCountMax] = {};
  };
  static_assert(sizeof(Line) == 64);

  [[nodiscard]] std::span<const TokenId> find_line(const Key& key, std::uint64_t hash) const {
    const Line& line = lines_[hash >> kLineShift];
    const bool found = line.first == key.first && line.last == key.last &&
                       line.middle == key.middle && line.size == key.size;
    return found ? std::span<const TokenId>(line.ids, line.count) : std::span<const TokenId>();
  }

  bool allocate();

  // Both tables, zeroed; pages that no word falls on stay untouched.
  AnonymousMemory memory_;
  Set* sets_ = nullptr;
  Line* lines_ = nullptr;
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
    first = static_cast<std::uint64_t>(static_cast<std::uint8_t>(data[0])) |
            static_cast<std::uint64_t>(static_cast<std::uint8_t>(data[n / 2])) << 8 |
            static_cast<std::uint64_t>(static_cast<std::uint8_t>(data[n - 1])) << 16;
  }
}

// One multiplication to 128 bits, whose halves mix.
inline std::uint64_t WordCache::Key::hash() const {
  const std::uint64_t a = first ^ 0x9E3779B97F4A7C15u;
  const std::uint64_t b = last ^ (middle * 0xA0761D6478BD642Fu) ^ (0xD6E8FEB86659FD93u + size);
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64)) *
         0x9E3779B97F4A7C15u;
}

inline bool WordCache::allocate() {
  constexpr std::size_t kSetsSize = sizeof(Set) << kSetBits;
  constexpr std::size_t kLinesSize = sizeof(Line) << kLineBits;
  Result<AnonymousMemory> memory = AnonymousMemory::allocate(kSetsSize + kLinesSize, "word cache");
  if (!memory) return false;
  memory_ = std::move(memory).value();
  sets_ = reinterpret_cast<Set*>(memory_.data());
  lines_ = reinterpret_cast<Line*>(memory_.data() + kSetsSize);
  return true;
}

inline void WordCache::insert(const Key& key, std::span<const TokenId> ids) {
  if (ids.empty() || ids.size() > kTokenCountMax) return;
  if (sets_ == nullptr && !allocate()) return;
  const std::uint64_t hash = key.hash();
  const auto put = [&](auto& place) {
    place.first = key.first;
    place.last = key.last;
    place.size = key.size;
    place.count = static_cast<std::uint16_t>(ids.size());
    std::memcpy(place.ids, ids.data(), ids.size_bytes());
  };
  if (key.size <= kSmallWordSizeMax && ids.size() <= kSmallTokenCountMax) {
    Set& set = sets_[hash >> kSetShift];
    set.ways[1] = set.ways[0];
    put(set.ways[0]);
    return;
  }
  Line& line = lines_[hash >> kLineShift];
  line.middle = key.middle;
  put(line);
}

}  // namespace inferneo::text
