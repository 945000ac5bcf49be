#include "text/reasoning/reasoning_budget.h"

#include <string>
#include <utility>
#include <vector>

namespace inferneo::text {
namespace {

using request::ConstraintState;
using request::TokenConstraint;
using request::TokenMask;

void allow(std::vector<std::uint64_t>& mask, TokenId id) {
  mask[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(id) % 64U);
}

class Budget final : public TokenConstraint {
 public:
  Budget(ReasoningBudget budget, std::shared_ptr<const Tokenizer> tokenizer)
      : budget_(std::move(budget)),
        tokenizer_(std::move(tokenizer)),
        end_(tokenizer_->encode(budget_.format->end, {.add_special_tokens = false})) {
    const auto size = static_cast<std::size_t>(tokenizer_->vocab_size());
    any_.assign((size + 63) / 64, 0);
    for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
      if (tokenizer_->has_token(id) && !tokenizer_->is_special(id)) allow(any_, id);
    }
    // The marks may be special tokens; other special ones have no place in a text.
    for (const TokenId id : end_) allow(any_, id);
    for (const TokenId id :
         tokenizer_->encode(budget_.format->begin, {.add_special_tokens = false})) {
      allow(any_, id);
    }
  }

  [[nodiscard]] std::unique_ptr<ConstraintState> start() const override;
  [[nodiscard]] std::size_t size_bytes() const override {
    return sizeof(*this) + any_.size() * 8 + end_.size() * sizeof(TokenId);
  }

  [[nodiscard]] const ReasoningBudget& budget() const { return budget_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] const std::vector<TokenId>& end() const { return end_; }
  [[nodiscard]] const std::vector<std::uint64_t>& any() const { return any_; }

 private:
  const ReasoningBudget budget_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::vector<TokenId> end_;  // the closing mark
  std::vector<std::uint64_t> any_;  // tokens of a text
};

class State final : public ConstraintState {
 public:
  State(std::shared_ptr<const TokenConstraint> keep_alive, const Budget& budget)
      : keep_alive_(std::move(keep_alive)),
        budget_(budget),
        splitter_(*budget.budget().format, budget.budget().begins_in_reasoning),
        only_(budget.any().size(), 0) {
    if (splitter_.is_in_reasoning() && budget_.budget().token_count_max <= 0) close();
  }

  TokenMask mask() override {
    if (phase_ == Phase::kClosing) {
      only_.assign(only_.size(), 0);
      allow(only_, budget_.end()[closed_]);
      return only_;
    }
    return answer_ != nullptr ? answer_->mask() : TokenMask(budget_.any());
  }

  bool accept(TokenId id) override {
    if (phase_ == Phase::kAnswer) return answer_ == nullptr || answer_->accept(id);
    if (phase_ == Phase::kClosing) {
      if (id != budget_.end()[closed_]) {
        status_ = internal_error("a token other than the closing mark of the reasoning was drawn");
        return false;
      }
      if (++closed_ == budget_.end().size()) answer();
      return true;
    }
    const bool was_inside = splitter_.is_in_reasoning();
    std::string reasoning;
    std::string text;
    splitter_.push(budget_.tokenizer().token_bytes(id), reasoning, text);
    if (splitter_.is_in_reasoning()) {
      if (++token_count_ >= budget_.budget().token_count_max) close();
    } else if (was_inside || !text.empty()) {
      answer();
    }
    return true;
  }

  [[nodiscard]] bool may_end() const override {
    if (phase_ == Phase::kClosing) return false;
    if (answer_ != nullptr) return answer_->may_end();
    return phase_ == Phase::kAnswer || budget_.budget().answer == nullptr;
  }
  [[nodiscard]] bool must_end() const override { return answer_ != nullptr && answer_->must_end(); }

  std::span<const TokenId> forced() override {
    if (phase_ == Phase::kClosing) return std::span(budget_.end()).subspan(closed_);
    return answer_ != nullptr ? answer_->forced() : std::span<const TokenId>();
  }

  [[nodiscard]] const Status& status() const override {
    return status_.ok() && answer_ != nullptr ? answer_->status() : status_;
  }

 private:
  enum class Phase { kReasoning, kClosing, kAnswer };

  void close() { phase_ = budget_.end().empty() ? Phase::kReasoning : Phase::kClosing; }
  void answer() {
    phase_ = Phase::kAnswer;
    if (budget_.budget().answer != nullptr) answer_ = budget_.budget().answer->start();
  }

  const std::shared_ptr<const TokenConstraint> keep_alive_;
  const Budget& budget_;
  ReasoningSplitter splitter_;
  Phase phase_ = Phase::kReasoning;
  std::int32_t token_count_ = 0;
  std::size_t closed_ = 0;  // tokens of the closing mark that were drawn
  std::vector<std::uint64_t> only_;
  std::unique_ptr<ConstraintState> answer_;
  Status status_;
};

std::unique_ptr<ConstraintState> Budget::start() const {
  return std::make_unique<State>(shared_from_this(), *this);
}

}  // namespace

std::shared_ptr<const TokenConstraint> make_reasoning_budget(
    ReasoningBudget budget, std::shared_ptr<const Tokenizer> tokenizer) {
  return std::make_shared<const Budget>(std::move(budget), std::move(tokenizer));
}

}  // namespace inferneo::text
