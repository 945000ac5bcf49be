#include "text/tokenizer/charsmap.h"

#include <cstring>

#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::text {
namespace {

// Bound: a longer content is not used, so that a text cannot grow without limit. Why 256: the
// longest compatibility decomposition has 33 bytes.
constexpr std::size_t kContentSizeMax = 256;

// The fields of a unit of the double array.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFu; }
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); }

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  }
  return value;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  if (bytes.size() < 4) return corrupt_data("the character map has fewer than 4 bytes");
  const std::uint32_t trie_size = read_u32(bytes, 0);
  if (trie_size % 4 != 0 || trie_size > bytes.size() - 4) {
    return corrupt_data(str(
        "the character map has ", bytes.size(), " bytes, but says that its trie has ", trie_size));
  }
  map.units_.reserve(trie_size / 4);
  for (std::size_t at = 4; at < 4 + std::size_t{trie_size}; at += 4) {
    map.units_.push_back(read_u32(bytes, at));
  }
  map.contents_ = bytes.substr(4 + std::size_t{trie_size});
  if (!utf8::is_valid(map.contents_)) {
    return corrupt_data("the character map has contents that are not UTF-8");
  }
  // A final zero byte, so that every content ends.
  map.contents_ += '\0';
  return map;
}

Charsmap::Match Charsmap::find(std::string_view text, bool longest) const {
  Match best;
  if (units_.empty()) return best;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    const std::uint32_t content = value_of(units_[node]);
    // Contents may share their ends, but begin at a character.
    if (content >= contents_.size() ||
        (static_cast<std::uint8_t>(contents_[content]) & 0xC0) == 0x80) {
      continue;
    }
    const std::size_t end = contents_.find('\0', content);
    if (end - content > kContentSizeMax) continue;
    best = {i + 1, std::string_view(contents_).substr(content, end - content)};
    if (!longest) break;
  }
  // A rule of a broken trie may end inside a character.
  if (best.size < text.size() && best.size > 0 &&
      (static_cast<std::uint8_t>(text[best.size]) & 0xC0) == 0x80) {
    return {};
  }
  return best;
}

}  // namespace inferneo::text
