// The WordPiece model: a word is cut from its start into the longest tokens that fit; those behind
// the first carry a prefix ("##"). A word that cannot be cut so is unknown as a whole.
// Spec: Hugging Face tokenizers, models/wordpiece.
// Thread: any; immutable after load.
#pragma once

#include <functional>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/token_model.h"

namespace inferneo::text {

class WordPiece final : public TokenModel {
 public:
  struct Options {
    TokenId unknown = -1;
    std::size_t word_length_max = 100;  // characters; longer words are unknown
  };
  // A token as a word spells it, or nothing when no word may have it.
  struct Spelling {
    std::string_view text;
    bool starts_word = true;
  };
  using Spell = std::function<void(std::string_view name, std::vector<Spelling>& out)>;

  // Reads `model` of tokenizer.json.
  static Result<WordPiece> parse(const JsonView& model);
  // `spell` appends how words spell the token of a name; the texts are parts of the name.
  WordPiece(Vocabulary vocabulary, const Spell& spell, const Options& options);

  void prepare(bool byte_level) override;

 protected:
  void compute(std::string_view word, EncodeScratch& scratch) const override;

 private:
  ByteTrie first_;  // tokens that start a word
  ByteTrie rest_;   // the others, without their mark
  Options options_;
};

}  // namespace inferneo::text
