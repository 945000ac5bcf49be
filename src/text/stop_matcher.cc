#include "text/stop_matcher.h"

#include "base/check.h"

namespace inferneo::text {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include_stop)
    : nodes_(1), include_stop_(include_stop) {
  for (const std::string& stop : stops) {
    if (!stop.empty()) insert(stop);
  }
  link();
}

void StopMatcher::insert(std::string_view stop) {
  std::int32_t at = 0;
  for (const char c : stop) {
    const auto byte = static_cast<unsigned char>(c);
    std::int32_t next = child(at, byte);
    if (next < 0) {
      next = static_cast<std::int32_t>(nodes_.size());
      Node node;
      node.byte = byte;
      node.depth = nodes_[static_cast<std::size_t>(at)].depth + 1;
      node.next_sibling = nodes_[static_cast<std::size_t>(at)].first_child;
      nodes_.push_back(node);
      nodes_[static_cast<std::size_t>(at)].first_child = next;
    }
    at = next;
  }
  nodes_[static_cast<std::size_t>(at)].match_size = static_cast<std::int32_t>(stop.size());
}

// Breadth first, so that the fail node of a shorter prefix is known before it is needed.
void StopMatcher::link() {
  std::vector<std::int32_t> queue = {0};
  for (std::size_t head = 0; head < queue.size(); ++head) {
    const std::int32_t parent = queue[head];
    for (std::int32_t at = nodes_[static_cast<std::size_t>(parent)].first_child; at >= 0;
         at = nodes_[static_cast<std::size_t>(at)].next_sibling) {
      Node& node = nodes_[static_cast<std::size_t>(at)];
      node.fail = parent == 0 ? 0 : step(nodes_[static_cast<std::size_t>(parent)].fail, node.byte);
      if (node.match_size == 0) {
        node.match_size = nodes_[static_cast<std::size_t>(node.fail)].match_size;
      }
      queue.push_back(at);
    }
  }
}

std::int32_t StopMatcher::child(std::int32_t node, unsigned char byte) const {
  std::int32_t at = nodes_[static_cast<std::size_t>(node)].first_child;
  while (at >= 0 && nodes_[static_cast<std::size_t>(at)].byte != byte) {
    at = nodes_[static_cast<std::size_t>(at)].next_sibling;
  }
  return at;
}

std::int32_t StopMatcher::step(std::int32_t node, unsigned char byte) const {
  while (true) {
    const std::int32_t next = child(node, byte);
    if (next >= 0) return next;
    if (node == 0) return 0;
    node = nodes_[static_cast<std::size_t>(node)].fail;
  }
}

// Takes the stop string that ends at the last held byte when it wins over the best one so far.
void StopMatcher::note_match() {
  const auto size = static_cast<std::size_t>(nodes_[static_cast<std::size_t>(state_)].match_size);
  if (size == 0) return;
  const std::size_t begin = held_.size() - size;
  if (match_size_ == 0 || begin < match_begin_ || (begin == match_begin_ && size > match_size_)) {
    match_begin_ = begin;
    match_size_ = size;
  }
}

bool StopMatcher::push(std::string_view piece, std::string& out) {
  CHECK(matched_.empty());
  for (const char c : piece) {
    held_ += c;
    state_ = step(state_, static_cast<unsigned char>(c));
    note_match();
    if (match_size_ == 0) continue;
    // The longest prefix still alive starts first; only a start at or before the match can win.
    const Node& node = nodes_[static_cast<std::size_t>(state_)];
    const std::size_t alive_begin = held_.size() - static_cast<std::size_t>(node.depth);
    if (node.first_child < 0 || alive_begin > match_begin_) {
      settle(out);
      return true;
    }
  }
  if (match_size_ == 0) {
    const auto depth = static_cast<std::size_t>(nodes_[static_cast<std::size_t>(state_)].depth);
    out.append(held_, 0, held_.size() - depth);
    held_.erase(0, held_.size() - depth);
  }
  return false;
}

void StopMatcher::settle(std::string& out) {
  matched_ = held_.substr(match_begin_, match_size_);
  out.append(held_, 0, match_begin_ + (include_stop_ ? match_size_ : 0));
  held_.clear();
}

void StopMatcher::finish(std::string& out) {
  if (!matched_.empty()) return;
  if (match_size_ != 0) {
    settle(out);
    return;
  }
  out += held_;
  held_.clear();
}

}  // namespace inferneo::text
