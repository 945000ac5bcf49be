// Finds blocks by what they hold: a tree whose nodes are full blocks, keyed by parent and the 16
// token ids of the block, one root per salt.
// Why exact: a look-up compares the parent and all token ids, and salts by their text, so the hash
// only picks a bucket. Whoever can make hashes collide gains nothing, which a 128-bit hash would
// have to promise; it costs 64 bytes a block, less than a thousandth of the block itself.
// Invariant: a node's parent is in the tree.
// Thread: engine. find, insert and remove allocate nothing; roots do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "kv/block_id.h"

namespace inferneo::kv {

// A block that is in the tree, or a root (ids from the block count on).
using NodeId = std::uint32_t;
// Token ids; kv does not know what they mean.
using BlockTokens = std::span<const std::int32_t, limits::kKvBlockSizeTokens>;

class PrefixIndex {
 public:
  // `hash_seed` keeps outsiders from choosing prompts that share a bucket.
  PrefixIndex(std::int32_t block_count, std::uint64_t hash_seed);

  // The root of `salt`, made when there is none. It lives until released by all who acquired it and
  // without children.
  NodeId acquire_root(std::string_view salt);
  void release_root(NodeId root);

  [[nodiscard]] std::optional<BlockId> find(NodeId parent, BlockTokens tokens) const;
  // Precondition: `parent` is in the tree, `block` is not, and find(parent, tokens) is empty.
  void insert(NodeId parent, BlockTokens tokens, BlockId block);
  [[nodiscard]] bool contains(BlockId block) const { return nodes_[block].parent != kNone; }

  // Takes `block` and all below it out of the tree and calls `removed` with each. Nothing happens
  // when it is not in the tree.
  template <typename Removed>
  void remove(BlockId block, Removed&& removed) {
    if (!contains(block)) return;
    // The lowest node first, so that what is left is a tree at each moment.
    for (NodeId at = lowest(block);; at = lowest(block)) {
      detach(at);
      removed(at);
      if (at == block) return;
    }
  }

  [[nodiscard]] std::int32_t size() const { return size_; }
  [[nodiscard]] std::int32_t root_count() const { return static_cast<std::int32_t>(salts_.size()); }
  [[nodiscard]] bool has_children(BlockId block) const {
    return nodes_[block].first_child != kNone;
  }

 private:
  static constexpr NodeId kNone = ~NodeId{0};

  struct Node {
    std::array<std::int32_t, limits::kKvBlockSizeTokens> tokens{};
    NodeId parent = kNone;  // kNone: not in the tree
    NodeId first_child = kNone;
    NodeId previous_sibling = kNone;
    NodeId next_sibling = kNone;
    NodeId next_in_bucket = kNone;
  };

 public:
  // Of the nodes, and of the buckets, which are twice as many, rounded up to a power of two.
  static constexpr std::size_t kBytesPerBlockMax = sizeof(Node) + 4 * sizeof(NodeId);

 private:
  struct Root {
    std::string salt;
    NodeId first_child = kNone;
    std::int32_t user_count = 0;
  };

  [[nodiscard]] std::size_t bucket_of(NodeId parent, BlockTokens tokens) const;
  [[nodiscard]] NodeId& first_child_of(NodeId parent);
  [[nodiscard]] NodeId lowest(NodeId node) const;
  void detach(NodeId node);
  void drop_root_if_unused(NodeId root);

  std::uint64_t hash_seed_;
  std::vector<Node> nodes_;      // by block id
  std::vector<NodeId> buckets_;  // first node of each chain
  std::vector<Root> roots_;
  std::vector<NodeId> unused_roots_;
  std::map<std::string, NodeId, std::less<>> salts_;
  std::int32_t size_ = 0;
};

}  // namespace inferneo::kv
