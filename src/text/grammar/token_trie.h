// The vocabulary as a prefix tree over bytes, so that a mask comes from one walk that drops whole
// branches. Special tokens have no text; a grammar names one by its escape, a byte that no text
// holds followed by the id. Thread: any; immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "request/token.h"
#include "text/grammar/byte_groups.h"
#include "text/tokenizer.h"

namespace inferneo::text::grammar {

// Never part of UTF-8, so no grammar over characters can ask for it.
inline constexpr std::uint8_t kSpecialEscape = 0xFF;

// The bytes that stand for a special token.
std::string special_bytes(TokenId id);

class TokenTrie {
 public:
  // Nodes in the order of a walk, parents first. Node 0 is the root.
  struct Node {
    std::uint32_t end = 0;  // one past the last node below this one
    TokenId token = -1;     // that ends here, or -1
    std::uint16_t depth = 0;
    std::uint8_t byte = 0;
  };

  // Tokens without bytes, and texts with kSpecialEscape in them, are left out.
  explicit TokenTrie(const Tokenizer& tokenizer);

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }
  // What the bytes below a node are; of a node inside of a character, with kStrayBytes.
  [[nodiscard]] ByteGroups groups_below(std::uint32_t node) const { return groups_below_[node]; }
  // The tokens that end at a node or below it, twins included.
  [[nodiscard]] std::span<const TokenId> tokens_from(std::uint32_t node) const {
    const std::uint32_t end = nodes_[node].end;
    return std::span(tokens_).subspan(token_begins_[node],
                                      token_begins_[end] - token_begins_[node]);
  }
  [[nodiscard]] std::size_t depth_max() const { return depth_max_; }
  // Tokens with the same bytes as `id`: the next one, or -1.
  [[nodiscard]] TokenId twin(TokenId id) const { return twins_[static_cast<std::size_t>(id)]; }
  // Bytes as the tree has them; empty for tokens that it does not have.
  [[nodiscard]] std::string_view bytes(TokenId id) const {
    const auto index = static_cast<std::size_t>(id);
    return std::string_view(text_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
  }
  [[nodiscard]] std::int32_t vocab_size() const { return static_cast<std::int32_t>(twins_.size()); }
  [[nodiscard]] std::size_t mask_word_count() const { return (twins_.size() + 63) / 64; }
  [[nodiscard]] std::size_t size_bytes() const;

 private:
  void add_texts(const Tokenizer& tokenizer);
  void add_nodes(std::span<const TokenId> sorted);

  void add_groups();
  void add_token_order();

  std::vector<Node> nodes_;
  std::vector<ByteGroups> groups_below_;     // by node
  std::vector<TokenId> tokens_;              // in the order of their nodes
  std::vector<std::uint32_t> token_begins_;  // by node, into tokens_, and one behind the last
  std::vector<TokenId> twins_;
  std::string text_;
  std::vector<std::uint32_t> offsets_;
  std::size_t depth_max_ = 0;
};

}  // namespace inferneo::text::grammar
