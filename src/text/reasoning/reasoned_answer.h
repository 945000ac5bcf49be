// An answer behind reasoning: the model may think first, in any words, for at most so many tokens;
// when they are used up the closing mark is forced. What follows has a constraint of its own, which
// holds from its first token on. Thread: as request::TokenConstraint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "request/token_constraint.h"
#include "text/reasoning/reasoning_format.h"
#include "text/tokenizer.h"

namespace inferneo::text {

// What a vocabulary has to do with a format's marks. Takes milliseconds to make for 100,000 tokens,
// so that a model keeps it (ModelReasoning). Thread: any; immutable once made.
class ReasoningVocabulary {
 public:
  // A token that completes the closing mark with its first `tail` bytes and goes on with text: the
  // answer's constraint would not see the text, so it is not drawn there.
  struct Crossing {
    TokenId id = 0;
    std::size_t tail = 0;
  };

  // `format` is a constant.
  ReasoningVocabulary(const ReasoningFormat& format, std::shared_ptr<const Tokenizer> tokenizer);

  [[nodiscard]] const ReasoningFormat& format() const { return format_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  // The marks.
  [[nodiscard]] const std::vector<TokenId>& begin() const { return begin_; }
  [[nodiscard]] const std::vector<TokenId>& end() const { return end_; }
  // Masks (request::TokenMask): of the tokens of a text, and of white space.
  [[nodiscard]] const std::vector<std::uint64_t>& any() const { return any_; }
  [[nodiscard]] const std::vector<std::uint64_t>& space() const { return space_; }
  [[nodiscard]] const std::vector<Crossing>& crossings() const { return crossings_; }

 private:
  void find_crossings(TokenId id);

  const ReasoningFormat& format_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::vector<TokenId> begin_;
  const std::vector<TokenId> end_;
  std::vector<std::uint64_t> any_;
  std::vector<std::uint64_t> space_;
  std::vector<Crossing> crossings_;
};

struct ReasonedAnswer {
  std::optional<std::int32_t> token_count_max;  // of reasoning; none: no bound of its own
  // The prompt opens the reasoning. Else the answer's first tokens decide whether there is any: it
  // opens with the format's mark or not at all.
  bool begins_in_reasoning = false;
  std::shared_ptr<const request::TokenConstraint> answer;  // null: any text
};

std::shared_ptr<const request::TokenConstraint> make_reasoned_answer(
    ReasonedAnswer answer, std::shared_ptr<const ReasoningVocabulary> vocabulary);

// A model's vocabulary of reasoning, made when it is first asked for. Thread: any.
class ModelReasoning {
 public:
  std::shared_ptr<const ReasoningVocabulary> vocabulary(
      const ReasoningFormat& format, const std::shared_ptr<const Tokenizer>& tokenizer) const {
    const std::lock_guard lock(mutex_);
    if (made_ == nullptr || &made_->format() != &format) {
      made_ = std::make_shared<const ReasoningVocabulary>(format, tokenizer);
    }
    return made_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const ReasoningVocabulary> made_;
};

}  // namespace inferneo::text
