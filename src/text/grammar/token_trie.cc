#include "text/grammar/token_trie.h"

#include <algorithm>
#include <limits>
#include <string_view>

namespace inferneo::text::grammar {

std::string special_bytes(TokenId id) {
  std::string bytes(1, static_cast<char>(kSpecialEscape));
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(static_cast<std::uint32_t>(id) >> shift & 0xFFU);
  }
  return bytes;
}

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
  add_texts(tokenizer);
  std::vector<TokenId> sorted;
  for (TokenId id = 0; id < vocab_size(); ++id) {
    const std::string_view text = bytes(id);
    if (!text.empty() && text.size() < std::numeric_limits<std::uint16_t>::max()) {
      sorted.push_back(id);
    }
  }
  std::stable_sort(
      sorted.begin(), sorted.end(), [&](TokenId a, TokenId b) { return bytes(a) < bytes(b); });
  add_nodes(sorted);
  add_groups();
  add_token_order();
}

void TokenTrie::add_texts(const Tokenizer& tokenizer) {
  const auto count = static_cast<std::size_t>(std::max(tokenizer.vocab_size(), 0));
  twins_.assign(count, -1);
  offsets_.reserve(count + 1);
  offsets_.push_back(0);
  for (std::size_t i = 0; i < count; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokenizer.has_token(id)) {
      if (tokenizer.is_special(id)) {
        text_ += special_bytes(id);
      } else if (tokenizer.token_bytes(id).find(static_cast<char>(kSpecialEscape)) ==
                 std::string_view::npos) {
        text_ += tokenizer.token_bytes(id);
      }
    }
    offsets_.push_back(static_cast<std::uint32_t>(text_.size()));
  }
}

// In sorted order each text continues the path of the one before from their common prefix.
void TokenTrie::add_nodes(std::span<const TokenId> sorted) {
  nodes_.emplace_back();
  std::vector<std::uint32_t> path{0};
  std::string_view before;
  for (const TokenId id : sorted) {
    const std::string_view text = bytes(id);
    const auto split = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).second;
    const auto common = static_cast<std::size_t>(split - text.begin());
    if (common == text.size() && common == before.size()) {
      Node& node = nodes_[path.back()];
      twins_[static_cast<std::size_t>(id)] = node.token;
      node.token = id;
      continue;
    }
    while (path.size() > common + 1) {
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
    for (std::size_t i = common; i < text.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({.end = 0,
                        .token = -1,
                        .depth = static_cast<std::uint16_t>(i + 1),
                        .byte = static_cast<std::uint8_t>(text[i])});
    }
    nodes_[path.back()].token = id;
    depth_max_ = std::max(depth_max_, text.size());
    before = text;
  }
  for (const std::uint32_t node : path)
    nodes_[node].end = static_cast<std::uint32_t>(nodes_.size());
}

void TokenTrie::add_groups() {
  groups_below_.assign(nodes_.size(), 0);
  std::vector<CharacterReader> readers(depth_max_ + 1);
  std::vector<ByteGroups> own(nodes_.size(), 0);
  std::vector<bool> inside(nodes_.size(), false);
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    CharacterReader reader = readers[node.depth - 1U];
    const bool fits = reader.read(node.byte);
    readers[node.depth] = reader;
    inside[i] = !reader.at_boundary();
    own[i] = !fits ? kStrayBytes : node.byte < 0x80 ? group_of(node.byte) : kLongCharacters;
  }
  // Children come behind their parents, so from the back they are complete.
  std::vector<std::uint32_t> parents(depth_max_ + 1, 0);
  std::vector<std::uint32_t> parent_of(nodes_.size(), 0);
  for (std::uint32_t i = 1; i < nodes_.size(); ++i) {
    parent_of[i] = parents[nodes_[i].depth - 1U];
    parents[nodes_[i].depth] = i;
  }
  for (std::size_t i = nodes_.size(); i-- > 1;) {
    groups_below_[parent_of[i]] |= own[i] | groups_below_[i];
  }
  // Only now: what is inside of a character for itself is none to its parents.
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    if (inside[i]) groups_below_[i] |= kStrayBytes;
  }
}

void TokenTrie::add_token_order() {
  token_begins_.reserve(nodes_.size() + 1);
  for (const Node& node : nodes_) {
    token_begins_.push_back(static_cast<std::uint32_t>(tokens_.size()));
    for (TokenId id = node.token; id >= 0; id = twin(id)) tokens_.push_back(id);
  }
  token_begins_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

std::size_t TokenTrie::size_bytes() const {
  return nodes_.size() * (sizeof(Node) + sizeof(ByteGroups) + sizeof(std::uint32_t)) +
         (tokens_.size() + twins_.size()) * sizeof(TokenId) + text_.size() +
         offsets_.size() * sizeof(std::uint32_t);
}

}  // namespace inferneo::text::grammar
