// What the tokens of an answer must spell, compiled against one model's vocabulary: a JSON schema,
// a regular expression, a grammar, a tool call. The endpoint compiles it, the engine asks it before
// each draw which tokens may come next.
// TokenConstraint: immutable, shared by any number of requests. Thread: any.
// ConstraintState: one choice's position. Thread: one owner (the engine's). It may use caches of
// its constraint, which lock themselves for microseconds. It keeps its constraint alive. Cost:
// mask() is a look-up in the usual case, and a walk over a part of the vocabulary the first time
// that a position is met (docs/structured_output.md has the figures). Neither mask() nor accept()
// allocates once a position like it was met before, except to grow with the nesting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "request/token.h"

namespace inferneo::request {

// Bit id % 64 of word id / 64 says whether token `id` may come next. Ids beyond the last word may
// not.
using TokenMask = std::span<const std::uint64_t>;

inline bool allows(TokenMask mask, TokenId id) {
  const auto index = static_cast<std::size_t>(id);
  return id >= 0 && index / 64 < mask.size() && (mask[index / 64] >> (index % 64) & 1U) != 0;
}

class ConstraintState {
 public:
  virtual ~ConstraintState() = default;

  // The tokens that may come next, valid until accept() or the end of this object. Tokens that are
  // marked special in the vocabulary, end tokens among them, are only allowed where the constraint
  // names them; the end of the answer is may_end()'s matter. All zero when only the end may come,
  // or when status() is not ok.
  virtual TokenMask mask() = 0;

  // Moves on behind `id`. False, with status() set, when the token was not allowed.
  virtual bool accept(TokenId id) = 0;

  // The answer is complete as it is: an end token may be drawn.
  [[nodiscard]] virtual bool may_end() const = 0;
  // It is complete and nothing can follow: the choice ends here, without an end token.
  [[nodiscard]] virtual bool must_end() const = 0;

  // Tokens that follow in any case, in the split that the tokenizer itself makes of that text, so
  // that they may be appended without a draw; each still has to be passed to accept(). Empty where
  // the next token is a choice. Valid until accept().
  virtual std::span<const TokenId> forced() = 0;

  // Not ok after a fault that ends the request and no other: no token of the vocabulary can spell
  // what must come next, or a bound on nesting or ambiguity was reached.
  [[nodiscard]] virtual const Status& status() const = 0;
};

class TokenConstraint : public std::enable_shared_from_this<TokenConstraint> {
 public:
  virtual ~TokenConstraint() = default;
  // The position before the first token of an answer.
  [[nodiscard]] virtual std::unique_ptr<ConstraintState> start() const = 0;
  // Memory of the compiled form, for bounded caches.
  [[nodiscard]] virtual std::size_t size_bytes() const = 0;
};

}  // namespace inferneo::request
