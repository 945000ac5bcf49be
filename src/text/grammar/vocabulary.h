// What all constraints of one model have in common: its tokens as a tree, the rules of JSON that
// every schema is built on, and their masks.
// Thread: any; immutable but for the masks, which lock themselves. Ownership: shared by the model's
// constraints; keeps the tokenizer.
#pragma once

#include <cstddef>
#include <memory>

#include "text/grammar/automaton.h"
#include "text/grammar/mask_cache.h"
#include "text/grammar/token_trie.h"
#include "text/tokenizer.h"

namespace inferneo::text::grammar {

class ConstraintVocabulary {
 public:
  // Takes about 100 ms for 128,000 tokens.
  explicit ConstraintVocabulary(std::shared_ptr<const Tokenizer> tokenizer);

  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] const TokenTrie& trie() const { return trie_; }
  [[nodiscard]] const Automaton& json() const { return json_; }
  [[nodiscard]] MaskCache& json_masks() const { return *json_masks_; }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  TokenTrie trie_;
  Automaton json_;
  std::unique_ptr<MaskCache> json_masks_;
};

}  // namespace inferneo::text::grammar
