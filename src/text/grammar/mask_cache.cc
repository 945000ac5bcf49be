#include "text/grammar/mask_cache.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::uint32_t kRoot = 0;
// Tables of a walker besides its bits, about.
constexpr std::size_t kScratchSize = 16 * 1024;

// A node with fewer below it is read as quickly as it is skipped.
constexpr std::uint32_t kSkipSizeMin = 4;
// No set of groups: closed states never have stray bytes.
constexpr ByteGroups kUnknownGroups = kStrayBytes;

using Bits = std::span<std::uint64_t>;

void set_bit(Bits bits, TokenId id) {
  const auto index = static_cast<std::size_t>(id);
  bits[index / 64] |= std::uint64_t{1} << (index % 64);
}
void clear_bit(Bits bits, TokenId id) {
  const auto index = static_cast<std::size_t>(id);
  bits[index / 64] &= ~(std::uint64_t{1} << (index % 64));
}

// Keys met in the walk of one mask. Cleared by counting up a generation.
class WalkMemo {
 public:
  struct Slot {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    std::uint32_t generation = 0;
    std::uint32_t begin = 0;  // of the value, in the owner's arena
    std::uint32_t count = 0;
  };

  WalkMemo() : slots_(256) {}
  void clear() {
    ++generation_;
    used_ = 0;
  }
  // The slot of a key and whether it is new. Valid until the next find.
  std::pair<Slot*, bool> find(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    if (used_ * 2 >= slots_.size()) grow();
    Slot& slot = slots_[probe(a, b, c)];
    if (slot.generation == generation_) return {&slot, false};
    slot = {a, b, c, generation_, 0, 0};
    ++used_;
    return {&slot, true};
  }

 private:
  [[nodiscard]] std::size_t probe(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    std::uint64_t hash = (std::uint64_t{a} << 32U | b) * 0x9e3779b97f4a7c15ULL;
    hash = (hash ^ (hash >> 29U) ^ c) * 0xbf58476d1ce4e5b9ULL;
    std::size_t at = hash >> 24U & (slots_.size() - 1);
    for (;; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.generation != generation_ || (slot.a == a && slot.b == b && slot.c == c)) return at;
    }
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.generation == generation_) slots_[probe(slot.a, slot.b, slot.c)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::uint32_t generation_ = 1;
  std::size_t used_ = 0;
};

// A token or a node that reaches the closing byte of a counted rule after `count` characters.
struct Closing {
  std::uint32_t what = 0;
  std::uint32_t count = 0;
};

}  // namespace

struct MaskCache::Entry {
  // Tokens that stay within the rule or end with it: a set of bits, or a list when they are few.
  std::vector<std::uint64_t> bits;
  std::vector<TokenId> ids;
  // Nodes of the tree where the rule ends and tokens go on.
  std::vector<std::uint32_t> escapes;

  // Of a counted rule: `bits` and `ids` have all tokens that stay inside, `ids` in order of the
  // characters that they begin; those of up to n characters are the first need_ends[n].
  std::vector<std::uint32_t> need_ends;
  std::vector<Closing> closing_tokens;
  std::vector<Closing> closing_nodes;

  [[nodiscard]] std::size_t size_bytes() const {
    return sizeof(Entry) + bits.size() * sizeof(std::uint64_t) + ids.size() * sizeof(TokenId) +
           escapes.size() * sizeof(std::uint32_t) + need_ends.size() * sizeof(std::uint32_t) +
           (closing_tokens.size() + closing_nodes.size()) * sizeof(Closing);
  }

  // Adds the tokens to `mask`, and to `out` the nodes where the rule ends.
  void apply(Bits mask,
             const Loop* loop,
             std::uint32_t count,
             std::vector<std::uint32_t>& out) const {
    if (loop != nullptr) {
      apply_counted(mask, *loop, count, out);
      return;
    }
    for (std::size_t i = 0; i < bits.size(); ++i) mask[i] |= bits[i];
    for (const TokenId id : ids) set_bit(mask, id);
    out.insert(out.end(), escapes.begin(), escapes.end());
  }

 private:
  void apply_counted(Bits mask,
                     const Loop& loop,
                     std::uint32_t count,
                     std::vector<std::uint32_t>& out) const {
    const std::size_t left = loop.max - count;
    const std::size_t fitting = left < need_ends.size() ? need_ends[left] : ids.size();
    // All and take away, or none and add: what touches fewer tokens.
    if (fitting * 2 >= ids.size()) {
      for (std::size_t i = 0; i < bits.size(); ++i) mask[i] |= bits[i];
      for (std::size_t i = fitting; i < ids.size(); ++i) clear_bit(mask, ids[i]);
    } else {
      for (std::size_t i = 0; i < fitting; ++i) set_bit(mask, ids[i]);
    }
    const auto closes = [&](const Closing& closing) {
      const std::uint64_t read = std::uint64_t{count} + closing.count;
      return read >= loop.min && read <= loop.max;
    };
    for (const Closing& closing : closing_tokens) {
      if (closes(closing)) set_bit(mask, static_cast<TokenId>(closing.what));
    }
    for (const Closing& closing : closing_nodes) {
      if (closes(closing)) out.push_back(closing.what);
    }
  }
};

class MaskCache::Walker {
 public:
  Walker(MaskCache& cache)
      : cache_(cache),
        automaton_(cache.automaton_),
        trie_(cache.trie_),
        at_(cache.trie_.depth_max() + 1),
        bits_(cache.trie_.mask_word_count()) {}

  // Adds what one place allows to `mask`.
  bool fill(const Position& position, const Place& place, Bits mask) {
    reset(mask);
    std::vector<std::uint32_t>& nodes = fill_nodes_;
    nodes.clear();
    apply_entry(place.state, place.count, nodes);
    FrameId parent = place.parent;
    while (!nodes.empty() && parent != kBottom && !failed_) {
      const Frame& frame = position.frame(parent);
      leave_rule(frame.state, nodes);
      parent = frame.parent;
    }
    return !failed_;
  }

  // Null when the walk was too long.
  std::shared_ptr<const Entry> make_entry(StateId state) {
    if (automaton_.loop(state) != nullptr) return make_counted_entry(state);
    // The entries that this one is made of, first: there is one set of scratch space.
    for (const Call& call : automaton_.calls(state)) {
      if (cache_.entry(automaton_.start(call.rule)) == nullptr) return nullptr;
    }
    std::fill(bits_.begin(), bits_.end(), 0);
    reset(bits_);
    level(0).clear();
    run(state, 0, kRoot, 0, 0);
    if (failed_) return nullptr;
    auto entry = std::make_shared<Entry>();
    keep_bits(*entry);
    std::vector<std::uint32_t>& escapes = level(0);
    sort_unique(escapes);
    entry->escapes = escapes;
    return entry;
  }

 private:
  struct Reading {
    StateId state = 0;
    std::uint32_t count = 0;
  };

  void reset(Bits mask) {
    mask_ = mask;
    memo_.clear();
    memo_nodes_.clear();
    steps_ = 0;
    activations_ = 0;
    nesting_ = 0;
    failed_ = false;
  }

  std::vector<std::uint32_t>& level(std::size_t index) {
    while (levels_.size() <= index)
      levels_.push_back(std::make_unique<std::vector<std::uint32_t>>());
    return *levels_[index];
  }

  static void sort_unique(std::vector<std::uint32_t>& nodes) {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  }

  void keep_bits(Entry& entry) const {
    std::size_t count = 0;
    for (const std::uint64_t word : bits_) count += static_cast<std::size_t>(std::popcount(word));
    // A list takes half the memory of the bits at this point.
    if (count > bits_.size()) {
      entry.bits = bits_;
      return;
    }
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      for (std::uint64_t word = bits_[i]; word != 0; word &= word - 1) {
        entry.ids.push_back(
            static_cast<TokenId>(i * 64 + static_cast<std::size_t>(std::countr_zero(word))));
      }
    }
  }

  void add_token(TokenId id) {
    for (; id >= 0; id = trie_.twin(id)) set_bit(mask_, id);
  }

  [[nodiscard]] bool has_children(std::uint32_t node) const {
    return trie_.nodes()[node].end > node + 1;
  }

  void apply_entry(StateId state, std::uint32_t count, std::vector<std::uint32_t>& out) {
    const std::shared_ptr<const Entry> entry = cache_.entry(state);
    if (entry == nullptr) {
      failed_ = true;
      return;
    }
    entry->apply(mask_, automaton_.loop(state), count, out);
  }

  // Replaces `nodes`, where a rule ends, by those where the caller's rule ends that goes on with
  // `state`.
  void leave_rule(StateId state, std::vector<std::uint32_t>& nodes) {
    sort_unique(nodes);
    std::vector<std::uint32_t>& out = level(0);
    out.clear();
    const std::uint32_t activation = ++activations_;
    for (const std::uint32_t node : nodes) {
      if (node == kRoot) {
        apply_entry(state, 0, out);
      } else {
        run(state, 0, node, activation, 0);
      }
    }
    nodes.swap(out);
  }

  // Reads the tokens below `node`, beginning in `state`: adds them, and to level `depth` the nodes
  // where the rule ends.
  void run(StateId state,
           std::uint32_t count,
           std::uint32_t node,
           std::uint32_t activation,
           std::size_t depth) {
    const std::span<const TokenTrie::Node> nodes = trie_.nodes();
    if (++nesting_ > limits::kGrammarWalkDepthMax) failed_ = true;
    leave_bytes(state, node, activation, depth);
    if (failed_) return;
    at_[nodes[node].depth] = {state, count};
    const std::uint32_t end = nodes[node].end;
    steps_ += 1;
    for (std::uint32_t i = node + 1; i < end;) {
      const TokenTrie::Node& n = nodes[i];
      Reading reading = at_[n.depth - 1U];
      reading.state = automaton_.next(reading.state, n.byte, reading.count);
      if (reading.state == kDeadState) {
        i = n.end;
        continue;
      }
      if (n.end - i >= kSkipSizeMin && reading.state == at_[n.depth - 1U].state &&
          (trie_.groups_below(i) & ~closed(reading.state)) == 0) {
        for (const TokenId id : trie_.tokens_from(i)) set_bit(mask_, id);
        i = n.end;
        continue;
      }
      if (n.token >= 0) add_token(n.token);
      if (n.end > i + 1) {
        if (!automaton_.only_reads(reading.state)) {
          steps_ += 8;
          leave_bytes(reading.state, i, activation, depth);
          if (failed_) return;
        }
        at_[n.depth] = reading;
      }
      ++i;
    }
    --nesting_;
    steps_ += (end - node) / 8;
    if (steps_ > limits::kGrammarWalkStepMax) failed_ = true;
  }

  // What a state can do besides reading: end its rule, or call others.
  void leave_bytes(StateId state, std::uint32_t node, std::uint32_t activation, std::size_t depth) {
    if (automaton_.is_final(state) && !automaton_.is_outermost(state)) {
      level(depth).push_back(node);
    }
    for (const Call& call : automaton_.calls(state)) {
      if (failed_) return;
      enter(call, node, activation, depth);
    }
  }

  void enter(const Call& call, std::uint32_t node, std::uint32_t activation, std::size_t depth) {
    const StateId start = automaton_.start(call.rule);
    if (node != kRoot && !may_begin(call.rule, node)) return;
    const std::size_t inner = depth + 1;
    const auto [slot, added] = memo_.find(call.rule, node, UINT32_MAX);
    if (added) {
      level(inner).clear();
      if (node == kRoot) {
        apply_entry(start, 0, level(inner));
      } else {
        run(start, 0, node, ++activations_, inner);
      }
      if (failed_) return;
      sort_unique(level(inner));
      // Found again: the table may have grown meanwhile.
      WalkMemo::Slot& kept = *memo_.find(call.rule, node, UINT32_MAX).first;
      kept.begin = static_cast<std::uint32_t>(memo_nodes_.size());
      kept.count = static_cast<std::uint32_t>(level(inner).size());
      memo_nodes_.insert(memo_nodes_.end(), level(inner).begin(), level(inner).end());
      go_on(call.then, kept.begin, kept.count, activation, depth);
      return;
    }
    go_on(call.then, slot->begin, slot->count, activation, depth);
  }

  // Behind a call: the rule has ended at each of the memo's nodes.
  void go_on(StateId then,
             std::uint32_t begin,
             std::uint32_t count,
             std::uint32_t activation,
             std::size_t depth) {
    for (std::uint32_t i = 0; i < count && !failed_; ++i) {
      const std::uint32_t node = memo_nodes_[begin + i];
      if (then == kReturn) {
        level(depth).push_back(node);
      } else if (memo_.find(then, node, activation).second) {
        run(then, 0, node, activation, depth);
      }
    }
  }

  // As closed_groups(), for the states that a walk comes by again and again.
  ByteGroups closed(StateId state) {
    if (state == closed_state_) return closed_;
    if (closed_known_.size() < automaton_.state_count()) {
      closed_known_.resize(automaton_.state_count(), kUnknownGroups);
    }
    if (closed_known_[state] == kUnknownGroups) {
      closed_known_[state] = closed_groups(automaton_, state);
    }
    closed_state_ = state;
    return closed_ = closed_known_[state];
  }

  // Whether any token below `node` goes on with a byte that begins a word of the rule.
  [[nodiscard]] bool may_begin(std::uint32_t rule, std::uint32_t node) const {
    const std::span<const TokenTrie::Node> nodes = trie_.nodes();
    const ByteSet& first = automaton_.first(rule);
    for (std::uint32_t i = node + 1; i < nodes[node].end; i = nodes[i].end) {
      if (first.test(nodes[i].byte)) return true;
    }
    return false;
  }

  std::shared_ptr<const Entry> make_counted_entry(StateId start);

  MaskCache& cache_;
  const Automaton& automaton_;
  const TokenTrie& trie_;
  std::vector<Reading> at_;               // by depth of the node
  std::vector<ByteGroups> closed_known_;  // by state
  StateId closed_state_ = kDeadState;
  ByteGroups closed_ = 0;
  std::vector<std::uint64_t> bits_;
  Bits mask_;
  std::vector<std::unique_ptr<std::vector<std::uint32_t>>> levels_;
  std::vector<std::uint32_t> fill_nodes_;
  WalkMemo memo_;
  std::vector<std::uint32_t> memo_nodes_;
  std::uint64_t steps_ = 0;
  std::uint32_t activations_ = 0;
  std::size_t nesting_ = 0;
  bool failed_ = false;
};

// One walk for all counts: how many characters each token begins, and where the rule can close.
std::shared_ptr<const MaskCache::Entry> MaskCache::Walker::make_counted_entry(StateId start) {
  const Loop& loop = *automaton_.loop(start);
  const std::span<const TokenTrie::Node> nodes = trie_.nodes();
  auto entry = std::make_shared<Entry>();
  std::vector<std::vector<TokenId>> by_need;
  std::fill(bits_.begin(), bits_.end(), 0);
  mask_ = bits_;
  at_[0] = {start, 0};
  for (std::uint32_t i = 1; i < nodes.size();) {
    const TokenTrie::Node& n = nodes[i];
    const Reading before = at_[n.depth - 1U];
    Reading reading{automaton_.next_unbounded(before.state, n.byte), before.count};
    if (reading.state == kDeadState) {
      i = n.end;
      continue;
    }
    if (before.state == loop.head && reading.state == loop.exit) {
      for (TokenId id = n.token; id >= 0; id = trie_.twin(id)) {
        entry->closing_tokens.push_back({static_cast<std::uint32_t>(id), reading.count});
      }
      if (n.end > i + 1) entry->closing_nodes.push_back({i, reading.count});
      i = n.end;
      continue;
    }
    if (reading.state == loop.head) ++reading.count;
    if (n.token >= 0) {
      const std::size_t need = reading.count + (reading.state == loop.head ? 0 : 1);
      if (by_need.size() <= need) by_need.resize(need + 1);
      for (TokenId id = n.token; id >= 0; id = trie_.twin(id)) by_need[need].push_back(id);
      add_token(n.token);
    }
    at_[n.depth] = reading;
    ++i;
  }
  entry->bits = bits_;
  for (const std::vector<TokenId>& ids : by_need) {
    entry->ids.insert(entry->ids.end(), ids.begin(), ids.end());
    entry->need_ends.push_back(static_cast<std::uint32_t>(entry->ids.size()));
  }
  return entry;
}

MaskCache::MaskCache(const Automaton& automaton, const TokenTrie& trie, MaskCache* shared)
    : automaton_(automaton), trie_(trie), shared_(shared) {}

MaskCache::~MaskCache() = default;

bool MaskCache::fill(const Position& position, std::span<std::uint64_t> mask) {
  DCHECK(mask.size() == trie_.mask_word_count());
  std::fill(mask.begin(), mask.end(), 0);
  const std::lock_guard lock(mutex_);
  if (entries_size_ > limits::kGrammarMaskCacheSizeMax) {
    entries_.clear();
    entries_size_ = 0;
  }
  if (filler_ == nullptr) filler_ = std::make_unique<Walker>(*this);
  for (const Place& place : position.places()) {
    if (!filler_->fill(position, place, mask)) return false;
  }
  return true;
}

void MaskCache::prepare(StateId state) {
  const std::lock_guard lock(mutex_);
  (void)entry(state);
}

// With the lock held. Null when the walk is too long.
std::shared_ptr<const MaskCache::Entry> MaskCache::entry(StateId state) {
  if (shared_ != nullptr) {
    StateId known = kDeadState;
    if (state < shared_->automaton_.state_count()) known = state;
    const Loop* loop = automaton_.loop(state);
    if (loop != nullptr && loop->shape == 0 && shared_->automaton_.first_shape() != nullptr) {
      known = shared_->automaton_.first_shape()->head + (state - loop->head);
    }
    if (known != kDeadState) {
      const std::lock_guard lock(shared_->mutex_);
      return shared_->entry(known);
    }
  }
  if (const auto found = entries_.find(state); found != entries_.end()) return found->second;
  if (entry_maker_ == nullptr) entry_maker_ = std::make_unique<Walker>(*this);
  std::shared_ptr<const Entry> made = entry_maker_->make_entry(state);
  if (made == nullptr) return nullptr;
  entries_size_ += made->size_bytes();
  entries_.emplace(state, made);
  return made;
}

std::size_t MaskCache::size_bytes() const {
  const std::lock_guard lock(mutex_);
  const std::size_t scratch = trie_.mask_word_count() * sizeof(std::uint64_t) +
                              automaton_.state_count() * sizeof(ByteGroups) + kScratchSize;
  return entries_size_ + (filler_ != nullptr ? scratch : 0) +
         (entry_maker_ != nullptr ? scratch : 0);
}

}  // namespace inferneo::text::grammar
