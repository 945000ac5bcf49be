// A set of byte strings with a number each, searched by prefix: from a place in a text, all members
// that begin there. Nodes of one parent lie together, so that a step is a short search.
// Thread: any for const members. Ownership: owns everything.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace inferneo::text {

class ByteTrie {
 public:
  static constexpr std::int32_t kNone = -1;

  ByteTrie();
  // Of equal keys the last counts; empty ones are left out. Precondition: values are not negative.
  explicit ByteTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries);

  [[nodiscard]] bool empty() const { return nodes_.size() == 1; }

  // Calls found(size, value) for each member that `text` begins with, the shortest first.
  template <typename Found>
  void for_each_prefix(std::string_view text, Found&& found) const {
    if (text.empty()) return;
    std::uint32_t node = first_[static_cast<std::uint8_t>(text[0])];
    for (std::size_t size = 1; node != 0; ++size) {
      if (nodes_[node].value != kNone) found(size, nodes_[node].value);
      if (size == text.size()) return;
      node = child(node, static_cast<std::uint8_t>(text[size]));
    }
  }

  struct Match {
    std::size_t size = 0;  // 0: none
    std::int32_t value = kNone;
  };
  [[nodiscard]] Match longest_prefix(std::string_view text) const {
    Match best;
    for_each_prefix(text, [&](std::size_t size, std::int32_t value) { best = {size, value}; });
    return best;
  }

 private:
  struct Node {
    std::uint32_t children = 0;  // index of the first
    std::uint16_t child_count = 0;
    std::uint8_t label = 0;
    std::int32_t value = kNone;
  };

  // The child of a node for a byte, or 0: the root is nobody's child.
  [[nodiscard]] std::uint32_t child(std::uint32_t node, std::uint8_t label) const {
    std::uint32_t low = nodes_[node].children;
    std::uint32_t high = low + nodes_[node].child_count;
    const std::uint32_t end = high;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (nodes_[middle].label < label) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < end && nodes_[low].label == label ? low : 0;
  }

  std::vector<Node> nodes_;                 // breadth first
  std::array<std::uint32_t, 256> first_{};  // the root's children by byte
};

}  // namespace inferneo::text
