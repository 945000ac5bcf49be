#include "text/tokenizer/byte_trie.h"

#include <algorithm>

namespace inferneo::text {

ByteTrie::ByteTrie() : nodes_(1) {}

// Level by level: a node stands for a range of the sorted keys that share its prefix.
ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries) : nodes_(1) {
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.first < b.first;
  });
  struct Range {
    std::uint32_t node;
    std::uint32_t begin;
    std::uint32_t end;
  };
  std::vector<Range> level = {{0, 0, static_cast<std::uint32_t>(entries.size())}};
  for (std::size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Range> below;
    for (const Range& range : level) {
      std::uint32_t at = range.begin;
      // Keys that end here sort first.
      for (; at < range.end && entries[at].first.size() == depth; ++at) {
        nodes_[range.node].value = entries[at].second;
      }
      nodes_[range.node].children = static_cast<std::uint32_t>(nodes_.size());
      std::uint16_t count = 0;
      while (at < range.end) {
        const char label = entries[at].first[depth];
        std::uint32_t stop = at;
        while (stop < range.end && entries[stop].first[depth] == label) ++stop;
        below.push_back({static_cast<std::uint32_t>(nodes_.size()), at, stop});
        nodes_.push_back({.label = static_cast<std::uint8_t>(label)});
        ++count;
        at = stop;
      }
      nodes_[range.node].child_count = count;
    }
    level = std::move(below);
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    first_[byte] = child(0, static_cast<std::uint8_t>(byte));
  }
}

}  // namespace inferneo::text
