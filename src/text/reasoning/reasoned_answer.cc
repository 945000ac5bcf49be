#include "text/reasoning/reasoned_answer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace inferneo::text {
namespace {

using request::ConstraintState;
using request::TokenConstraint;
using request::TokenMask;

constexpr std::string_view kSpace = " \t\r\n";
// Tokens of white space between the closing mark and an answer that cannot begin with it: models
// are trained to break the line there.
constexpr int kGapTokenCountMax = 2;

bool is_space(std::string_view bytes) {
  return !bytes.empty() && bytes.find_first_not_of(kSpace) == std::string_view::npos;
}
bool is_behind_space(std::string_view bytes) {
  return bytes.find_first_not_of(kSpace) != std::string_view::npos;
}

void allow(std::vector<std::uint64_t>& mask, TokenId id) {
  mask[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(id) % 64U);
}
void forbid(std::vector<std::uint64_t>& mask, TokenId id) {
  mask[static_cast<std::size_t>(id) / 64] &=
      ~(std::uint64_t{1} << (static_cast<unsigned>(id) % 64U));
}
void unite(std::vector<std::uint64_t>& mask, TokenMask more) {
  const std::size_t count = std::min(mask.size(), more.size());
  for (std::size_t i = 0; i < count; ++i) mask[i] |= more[i];
}

class Constraint final : public TokenConstraint {
 public:
  Constraint(ReasonedAnswer answer, std::shared_ptr<const ReasoningVocabulary> vocabulary)
      : answer_(std::move(answer)), vocabulary_(std::move(vocabulary)) {}

  [[nodiscard]] std::unique_ptr<ConstraintState> start() const override;
  [[nodiscard]] std::size_t size_bytes() const override { return sizeof(*this); }

  [[nodiscard]] const ReasonedAnswer& answer() const { return answer_; }
  [[nodiscard]] const ReasoningVocabulary& vocabulary() const { return *vocabulary_; }

 private:
  const ReasonedAnswer answer_;
  const std::shared_ptr<const ReasoningVocabulary> vocabulary_;
};

class State final : public ConstraintState {
 public:
  State(std::shared_ptr<const TokenConstraint> keep_alive, const Constraint& constraint)
      : keep_alive_(std::move(keep_alive)),
        wanted_(constraint.answer()),
        words_(constraint.vocabulary()),
        splitter_(words_.format(), wanted_.begins_in_reasoning),
        mask_(words_.any().size(), 0) {
    if (splitter_.is_in_reasoning()) {
      if (wanted_.token_count_max.value_or(1) <= 0) close();
    } else if (wanted_.answer != nullptr && !words_.begin().empty()) {
      phase_ = Phase::kOpen;
      answer_ = wanted_.answer->start();
    }
  }

  TokenMask mask() override {
    if (phase_ == Phase::kAnswer && answer_ != nullptr && !in_gap()) return answer_->mask();
    if (phase_ == Phase::kClosing) {
      mask_.assign(mask_.size(), 0);
      allow(mask_, words_.end()[matched_]);
      return mask_;
    }
    if (phase_ == Phase::kReasoning || answer_ == nullptr) return text_mask();
    mask_.assign(mask_.size(), 0);
    if (answers_) unite(mask_, answer_->mask());
    if (phase_ == Phase::kOpen) {
      allow(mask_, words_.begin()[matched_]);
    } else {
      unite(mask_, words_.space());
    }
    return mask_;
  }

  bool accept(TokenId id) override {
    switch (phase_) {
      case Phase::kOpen:
        return accept_first(id);
      case Phase::kReasoning:
        return accept_reasoning(id);
      case Phase::kClosing:
        if (id != words_.end()[matched_]) return fail();
        if (++matched_ == words_.end().size()) begin_answer();
        return true;
      case Phase::kAnswer:
        return accept_answer(id);
    }
    return false;
  }

  [[nodiscard]] bool may_end() const override {
    if (phase_ == Phase::kClosing) return false;
    if (phase_ == Phase::kReasoning) return wanted_.answer == nullptr;
    return answer_ == nullptr || (answers_ && answer_->may_end());
  }
  [[nodiscard]] bool must_end() const override {
    return phase_ == Phase::kAnswer && answer_ != nullptr && answer_->must_end();
  }

  std::span<const TokenId> forced() override {
    if (phase_ == Phase::kClosing) return std::span(words_.end()).subspan(matched_);
    const bool decided = phase_ == Phase::kAnswer && answer_ != nullptr && !in_gap();
    return decided ? answer_->forced() : std::span<const TokenId>();
  }

  [[nodiscard]] const Status& status() const override {
    return status_.ok() && answer_ != nullptr ? answer_->status() : status_;
  }

 private:
  enum class Phase {
    kOpen,       // the opening mark or the answer, token by token both
    kReasoning,  // or, without a constraint of the answer, what may become it
    kClosing,    // the closing mark is forced
    kAnswer,
  };

  bool fail() {
    status_ = internal_error("a token was drawn that the form of the answer does not allow");
    return false;
  }

  // Between the closing mark and the answer.
  [[nodiscard]] bool in_gap() const { return gap_left_ > 0; }

  TokenMask text_mask() {
    const std::string_view mark = words_.format().end;
    if (wanted_.answer == nullptr || partial_mark_size(tail_, mark) == 0) {
      return words_.any();
    }
    mask_ = words_.any();
    for (const ReasoningVocabulary::Crossing& crossing : words_.crossings()) {
      if (std::string_view(tail_).ends_with(mark.substr(0, mark.size() - crossing.tail))) {
        forbid(mask_, crossing.id);
      }
    }
    return mask_;
  }

  bool accept_first(TokenId id) {
    const bool opens = id == words_.begin()[matched_];
    answers_ = answers_ && request::allows(answer_->mask(), id) && answer_->accept(id);
    if (!opens) {
      phase_ = Phase::kAnswer;
      return answers_ || fail();
    }
    if (++matched_ < words_.begin().size()) return true;
    matched_ = 0;
    answer_.reset();
    std::string reasoning;
    std::string text;
    splitter_.push(words_.format().begin, reasoning, text);
    phase_ = Phase::kReasoning;
    if (wanted_.token_count_max.value_or(1) <= 0) close();
    return true;
  }

  bool accept_reasoning(TokenId id) {
    const std::string_view bytes = words_.tokenizer().token_bytes(id);
    const bool was_inside = splitter_.is_in_reasoning();
    std::string reasoning;
    std::string text;
    splitter_.push(bytes, reasoning, text);
    tail_ += bytes;
    const std::size_t kept = words_.format().end.size();
    if (tail_.size() > kept) tail_.erase(0, tail_.size() - kept);
    if (splitter_.is_in_reasoning()) {
      const auto& most = wanted_.token_count_max;
      if (++token_count_ >= most.value_or(std::numeric_limits<std::int32_t>::max())) close();
    } else if (was_inside || !text.empty()) {
      begin_answer();
      if (answer_ != nullptr && !text.empty()) return fail();
    }
    return true;
  }

  bool accept_answer(TokenId id) {
    if (answer_ == nullptr) return true;
    if (in_gap() && !request::allows(answer_->mask(), id)) {
      --gap_left_;
      return is_space(words_.tokenizer().token_bytes(id)) || fail();
    }
    gap_left_ = 0;
    return answer_->accept(id);
  }

  void close() {
    if (words_.end().empty()) return;
    phase_ = Phase::kClosing;
    matched_ = 0;
  }
  void begin_answer() {
    phase_ = Phase::kAnswer;
    if (wanted_.answer == nullptr) return;
    answer_ = wanted_.answer->start();
    answers_ = true;
    gap_left_ = kGapTokenCountMax;
  }

  const std::shared_ptr<const TokenConstraint> keep_alive_;
  const ReasonedAnswer& wanted_;
  const ReasoningVocabulary& words_;
  ReasoningSplitter splitter_;
  Phase phase_ = Phase::kReasoning;
  std::int32_t token_count_ = 0;
  std::size_t matched_ = 0;  // tokens of a mark that were drawn
  std::string tail_;         // the last bytes of the reasoning
  int gap_left_ = 0;
  bool answers_ = true;  // the answer allows what was drawn since it started
  std::vector<std::uint64_t> mask_;
  std::unique_ptr<ConstraintState> answer_;  // from where it may begin on
  Status status_;
};

std::unique_ptr<ConstraintState> Constraint::start() const {
  return std::make_unique<State>(shared_from_this(), *this);
}

}  // namespace

ReasoningVocabulary::ReasoningVocabulary(const ReasoningFormat& format,
                                         std::shared_ptr<const Tokenizer> tokenizer)
    : format_(format),
      tokenizer_(std::move(tokenizer)),
      begin_(tokenizer_->encode(format_.begin, {.add_special_tokens = false})),
      end_(tokenizer_->encode(format_.end, {.add_special_tokens = false})) {
  const std::size_t words = (static_cast<std::size_t>(tokenizer_->vocab_size()) + 63) / 64;
  any_.assign(words, 0);
  space_.assign(words, 0);
  for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (!tokenizer_->has_token(id) || tokenizer_->is_special(id)) continue;
    allow(any_, id);
    if (is_space(tokenizer_->token_bytes(id))) allow(space_, id);
    find_crossings(id);
  }
  // The marks may be special tokens; other special ones have no place in a text.
  for (const TokenId id : end_) allow(any_, id);
  for (const TokenId id : begin_) allow(any_, id);
}

void ReasoningVocabulary::find_crossings(TokenId id) {
  const std::string_view bytes = tokenizer_->token_bytes(id);
  const std::string_view mark = format_.end;
  const std::size_t whole = bytes.find(mark);
  if (whole != std::string_view::npos && is_behind_space(bytes.substr(whole + mark.size()))) {
    forbid(any_, id);
  }
  for (std::size_t tail = 1; tail < std::min(mark.size(), bytes.size()); ++tail) {
    if (!bytes.starts_with(mark.substr(mark.size() - tail))) continue;
    if (is_behind_space(bytes.substr(tail))) crossings_.push_back({id, tail});
  }
}

std::shared_ptr<const TokenConstraint> make_reasoned_answer(
    ReasonedAnswer answer, std::shared_ptr<const ReasoningVocabulary> vocabulary) {
  return std::make_shared<const Constraint>(std::move(answer), std::move(vocabulary));
}

}  // namespace inferneo::text
