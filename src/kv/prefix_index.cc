#include "kv/prefix_index.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace inferneo::kv {
namespace {

// Spec: the finalizer of MurmurHash3 (Austin Appleby, public domain).
std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 33);
}

}  // namespace

PrefixIndex::PrefixIndex(std::int32_t block_count, std::uint64_t hash_seed)
    : hash_seed_(hash_seed),
      nodes_(static_cast<std::size_t>(block_count)),
      // Why twice: chains stay at half a node on average even when every block is in the tree.
      buckets_(std::bit_ceil(2 * static_cast<std::size_t>(block_count)), kNone) {}

NodeId PrefixIndex::acquire_root(std::string_view salt) {
  const auto found = salts_.find(salt);
  NodeId id = kNone;
  if (found != salts_.end()) {
    id = found->second;
  } else if (!unused_roots_.empty()) {
    id = unused_roots_.back();
    unused_roots_.pop_back();
    salts_.emplace(salt, id);
  } else {
    id = static_cast<NodeId>(nodes_.size() + roots_.size());
    roots_.emplace_back();
    // So that dropping a root in the middle of a step needs no memory.
    unused_roots_.reserve(roots_.size());
    salts_.emplace(salt, id);
  }
  Root& root = roots_[id - nodes_.size()];
  root.salt = salt;
  ++root.user_count;
  return id;
}

void PrefixIndex::release_root(NodeId root) {
  Root& entry = roots_[root - nodes_.size()];
  CHECK(entry.user_count > 0);
  --entry.user_count;
  drop_root_if_unused(root);
}

std::optional<BlockId> PrefixIndex::find(NodeId parent, BlockTokens tokens) const {
  for (NodeId at = buckets_[bucket_of(parent, tokens)]; at != kNone;
       at = nodes_[at].next_in_bucket) {
    const Node& node = nodes_[at];
    if (node.parent == parent && std::ranges::equal(node.tokens, tokens)) return at;
  }
  return std::nullopt;
}

void PrefixIndex::insert(NodeId parent, BlockTokens tokens, BlockId block) {
  Node& node = nodes_[block];
  CHECK(node.parent == kNone && node.first_child == kNone);
  CHECK(parent >= nodes_.size() || contains(parent));
  std::ranges::copy(tokens, node.tokens.begin());
  node.parent = parent;
  NodeId& first = first_child_of(parent);
  node.previous_sibling = kNone;
  node.next_sibling = first;
  if (first != kNone) nodes_[first].previous_sibling = block;
  first = block;
  NodeId& bucket = buckets_[bucket_of(parent, tokens)];
  node.next_in_bucket = bucket;
  bucket = block;
  ++size_;
}

std::size_t PrefixIndex::bucket_of(NodeId parent, BlockTokens tokens) const {
  std::uint64_t hash = mix(hash_seed_ ^ parent);
  for (std::size_t i = 0; i < tokens.size(); i += 2) {
    const auto low = static_cast<std::uint32_t>(tokens[i]);
    const auto high = static_cast<std::uint32_t>(tokens[i + 1]);
    hash = mix(hash ^ (std::uint64_t{high} << 32 | low));
  }
  return static_cast<std::size_t>(hash) & (buckets_.size() - 1);
}

NodeId& PrefixIndex::first_child_of(NodeId parent) {
  return parent < nodes_.size() ? nodes_[parent].first_child
                                : roots_[parent - nodes_.size()].first_child;
}

NodeId PrefixIndex::lowest(NodeId node) const {
  while (nodes_[node].first_child != kNone) node = nodes_[node].first_child;
  return node;
}

void PrefixIndex::detach(NodeId id) {
  Node& node = nodes_[id];
  NodeId* link = &buckets_[bucket_of(node.parent, node.tokens)];
  while (*link != id) link = &nodes_[*link].next_in_bucket;
  *link = node.next_in_bucket;

  if (node.next_sibling != kNone) {
    nodes_[node.next_sibling].previous_sibling = node.previous_sibling;
  }
  if (node.previous_sibling != kNone) {
    nodes_[node.previous_sibling].next_sibling = node.next_sibling;
  } else {
    first_child_of(node.parent) = node.next_sibling;
  }
  const NodeId parent = node.parent;
  node.parent = kNone;
  --size_;
  if (parent >= nodes_.size()) drop_root_if_unused(parent);
}

void PrefixIndex::drop_root_if_unused(NodeId root) {
  Root& entry = roots_[root - nodes_.size()];
  if (entry.user_count > 0 || entry.first_child != kNone) return;
  salts_.erase(salts_.find(entry.salt));
  unused_roots_.push_back(root);
}

}  // namespace inferneo::kv
