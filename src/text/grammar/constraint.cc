#include "text/grammar/constraint.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/str.h"
#include "text/grammar/mask_cache.h"
#include "text/grammar/position.h"

namespace inferneo::text::grammar {
namespace {

// Forced text is looked at in pieces of this size; longer ones continue after it.
constexpr std::size_t kForcedSizeMax = 512;
// Shorter forced text is not worth a step of its own.
constexpr std::size_t kForcedTokensMin = 2;
// Splits kept for one constraint.
constexpr std::size_t kSplitCountMax = 256;

class GrammarConstraint final : public request::TokenConstraint {
 public:
  GrammarConstraint(Automaton automaton, std::shared_ptr<const ConstraintVocabulary> vocabulary)
      : automaton_(std::move(automaton)),
        vocabulary_(std::move(vocabulary)),
        masks_(automaton_, vocabulary_->trie(), &vocabulary_->json_masks()) {}

  [[nodiscard]] std::unique_ptr<request::ConstraintState> start() const override;
  [[nodiscard]] std::size_t size_bytes() const override {
    return sizeof(*this) + automaton_.size_bytes() + masks_.size_bytes();
  }

  // Tokens of a forced text behind which one of the bytes `next` comes, or nothing when `whole`.
  // Kept, since it takes a call of the tokenizer for each byte.
  [[nodiscard]] std::shared_ptr<const std::vector<TokenId>> split(const std::string& text,
                                                                  const ByteSet& next,
                                                                  bool whole) const;
  [[nodiscard]] const Automaton& automaton() const { return automaton_; }
  [[nodiscard]] const ConstraintVocabulary& vocabulary() const { return *vocabulary_; }
  [[nodiscard]] MaskCache& masks() const { return masks_; }

 private:
  const Automaton automaton_;
  const std::shared_ptr<const ConstraintVocabulary> vocabulary_;
  [[nodiscard]] std::vector<TokenId> make_split(const std::string& text,
                                                const ByteSet& next,
                                                bool whole) const;

  mutable MaskCache masks_;
  mutable std::mutex splits_mutex_;  // guards the member below
  mutable std::unordered_map<std::string, std::shared_ptr<const std::vector<TokenId>>> splits_;
};

class GrammarState final : public request::ConstraintState {
 public:
  explicit GrammarState(std::shared_ptr<const GrammarConstraint> constraint)
      : constraint_(std::move(constraint)),
        position_(constraint_->automaton()),
        ahead_(constraint_->automaton()),
        mask_(constraint_->vocabulary().trie().mask_word_count()) {
    look();
  }

  request::TokenMask mask() override {
    if (!mask_is_current_) fill_mask();
    return mask_;
  }

  bool accept(TokenId id) override {
    const TokenTrie& trie = constraint_->vocabulary().trie();
    if (!status_.ok()) return false;
    const bool known = id >= 0 && id < trie.vocab_size() && !trie.bytes(id).empty();
    const Position::Outcome outcome =
        known ? position_.advance(trie.bytes(id)) : Position::Outcome::kRefused;
    if (outcome == Position::Outcome::kMoved) {
      mask_is_current_ = false;
      forced_is_current_ = false;
      look();
      return true;
    }
    fail(outcome == Position::Outcome::kTooComplex
             ? "the structured output nests too deeply or is too ambiguous to be followed"
             : "a token was drawn that the structured output does not allow");
    return false;
  }

  [[nodiscard]] bool may_end() const override { return may_end_; }
  [[nodiscard]] bool must_end() const override { return may_end_ && next_bytes_.none(); }

  std::span<const TokenId> forced() override {
    if (!forced_is_current_) find_forced();
    return forced_ == nullptr ? std::span<const TokenId>() : *forced_;
  }

  [[nodiscard]] const Status& status() const override { return status_; }

 private:
  void look() {
    may_end_ = position_.may_end();
    next_bytes_ = position_.next_bytes();
  }

  void fail(const char* message) {
    status_ = invalid_argument(message);
    std::fill(mask_.begin(), mask_.end(), 0);
    mask_is_current_ = true;
    forced_ = nullptr;
    forced_is_current_ = true;
  }

  void fill_mask() {
    if (!constraint_->masks().fill(position_, mask_)) {
      fail("the structured output is too ambiguous to be followed");
      return;
    }
    mask_is_current_ = true;
    if (may_end_) return;
    const auto none = [](std::uint64_t word) { return word == 0; };
    if (std::ranges::all_of(mask_, none)) {
      fail("no token of the model's vocabulary can continue the structured output");
    }
  }

  void find_forced();

  const std::shared_ptr<const GrammarConstraint> constraint_;
  Position position_;
  Position ahead_;  // scratch
  bool may_end_ = false;
  ByteSet next_bytes_;
  std::vector<std::uint64_t> mask_;
  bool mask_is_current_ = false;
  std::string forced_text_;  // scratch
  std::shared_ptr<const std::vector<TokenId>> forced_;
  bool forced_is_current_ = false;
  Status status_;
};

// The bytes that follow in any case.
void GrammarState::find_forced() {
  forced_ = nullptr;
  forced_is_current_ = true;
  if (may_end_ || next_bytes_.count() != 1) return;
  forced_text_.clear();
  ahead_ = position_;
  ByteSet next = next_bytes_;
  bool may_end = false;
  while (!may_end && next.count() == 1 && forced_text_.size() < kForcedSizeMax) {
    std::size_t byte = 0;
    while (!next.test(byte)) ++byte;
    const char c = static_cast<char>(byte);
    // A special token has no text to split.
    if (byte == kSpecialEscape) return;
    if (ahead_.advance(std::string_view(&c, 1)) != Position::Outcome::kMoved) return;
    forced_text_ += c;
    next = ahead_.next_bytes();
    may_end = ahead_.may_end();
  }
  if (forced_text_.size() < kForcedTokensMin) return;
  // What may follow a complete text is the end, which joins nothing.
  forced_ = constraint_->split(forced_text_, next, may_end && next.none());
}

std::shared_ptr<const std::vector<TokenId>> GrammarConstraint::split(const std::string& text,
                                                                     const ByteSet& next,
                                                                     bool whole) const {
  const std::lock_guard lock(splits_mutex_);
  if (splits_.size() >= kSplitCountMax) splits_.clear();
  const auto [found, added] = splits_.try_emplace(text + (whole ? "\xFF" : "") + next.to_string());
  if (added) found->second = std::make_shared<std::vector<TokenId>>(make_split(text, next, whole));
  return found->second;
}

// The tokenizer's own split of a text. The last tokens are left out where what comes behind could
// join them: another split would then be the usual one.
std::vector<TokenId> GrammarConstraint::make_split(const std::string& text,
                                                   const ByteSet& next,
                                                   bool whole) const {
  const Tokenizer& tokenizer = vocabulary_->tokenizer();
  const EncodeOptions plain{.add_special_tokens = false, .parse_added_tokens = true};
  std::vector<TokenId> split;
  tokenizer.encode(text, plain, split);
  // What comes next is tried: with each byte that may, the split of what is before must be the
  // same.
  std::vector<TokenId> other;
  for (std::size_t byte = 0; byte < 256 && !whole && !split.empty(); ++byte) {
    if (!next.test(byte) || byte == kSpecialEscape) continue;
    std::string longer = text + static_cast<char>(byte);
    // The rest of a character, so that the tokenizer sees text.
    if (byte >= 0xC0) longer += byte >= 0xF0 ? "\x9f\x98\x80" : byte >= 0xE0 ? "\x85\x80" : "\x80";
    other.clear();
    tokenizer.encode(longer, plain, other);
    split.erase(std::ranges::mismatch(split, other).in1, split.end());
  }
  // The tokens must spell the text: a tokenizer that normalises or marks beginnings may not do so.
  std::size_t spelled = 0;
  for (const TokenId id : split) {
    const std::string_view bytes = vocabulary_->trie().bytes(id);
    if (bytes.empty() || text.compare(spelled, bytes.size(), bytes) != 0) return {};
    spelled += bytes.size();
  }
  if (split.size() < kForcedTokensMin) split.clear();
  return split;
}

std::unique_ptr<request::ConstraintState> GrammarConstraint::start() const {
  return std::make_unique<GrammarState>(
      std::static_pointer_cast<const GrammarConstraint>(shared_from_this()));
}

}  // namespace

std::shared_ptr<const request::TokenConstraint> make_constraint(
    Automaton automaton, std::shared_ptr<const ConstraintVocabulary> vocabulary) {
  return std::make_shared<GrammarConstraint>(std::move(automaton), std::move(vocabulary));
}

}  // namespace inferneo::text::grammar
