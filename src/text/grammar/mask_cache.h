// Token masks of the states of one automaton. What a state allows without leaving its rule is
// walked once and kept; at a position only the tokens that reach beyond the rule are walked again,
// on top of the states that the rule returns to. Thread: any; locked for the time of a call.
// Ownership: owns what it keeps (bounded, see limits::kGrammarMaskCacheSizeMax) and scratch space;
// borrows trie, automaton and the shared cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/position.h"
#include "text/grammar/token_trie.h"

namespace inferneo::text::grammar {

class MaskCache {
 public:
  // `shared` keeps the states that `automaton` has in common with its automaton (Automaton::link);
  // null for none.
  MaskCache(const Automaton& automaton, const TokenTrie& trie, MaskCache* shared);
  ~MaskCache();
  MaskCache(const MaskCache&) = delete;
  MaskCache& operator=(const MaskCache&) = delete;

  // Sets the bits of the tokens that `position` allows in `mask` (mask_word_count words, cleared
  // here). False when the grammar is too ambiguous for a bounded walk.
  bool fill(const Position& position, std::span<std::uint64_t> mask);
  // Walks a state ahead of its first use.
  void prepare(StateId state);

  [[nodiscard]] std::size_t size_bytes() const;

 private:
  struct Entry;
  class Walker;

  std::shared_ptr<const Entry> entry(StateId state);

  const Automaton& automaton_;
  const TokenTrie& trie_;
  MaskCache* const shared_;
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::uint64_t, std::shared_ptr<const Entry>> entries_;
  std::size_t entries_size_ = 0;
  std::unique_ptr<Walker> filler_;
  std::unique_ptr<Walker> entry_maker_;
};

}  // namespace inferneo::text::grammar
