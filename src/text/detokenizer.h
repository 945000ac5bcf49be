// Incremental detokenizer: token ids of one sequence to text pieces. A piece is valid UTF-8 at once
// and never changes later; bytes of an unfinished character are held back, and so is a run of
// byte-fallback tokens, whose text is known only when the run ends.
// Invariant: the concatenated pieces plus finish() equal Tokenizer::decode of the same ids.
// Thread: one owner. Ownership: borrows the tokenizer.
#pragma once

#include <memory>
#include <string>

#include "request/token.h"
#include "text/tokenizer.h"

namespace inferneo::text {

class DecodeStream;

class Detokenizer {
 public:
  Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens);
  ~Detokenizer();
  Detokenizer(Detokenizer&&) noexcept;
  Detokenizer& operator=(Detokenizer&&) noexcept;

  // Appends the text that became certain through this token. Ids out of range have no text.
  void push(TokenId id, std::string& out);
  // Appends what is still held back, with U+FFFD for an unfinished character.
  void finish(std::string& out);

 private:
  // Moves what is certain of `pending_` to `out`.
  void emit(std::string& out);

  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::unique_ptr<DecodeStream> stream_;  // null for byte-level tokenizers
  std::string pending_;                   // byte-level: bytes of an unfinished character
};

}  // namespace inferneo::text
