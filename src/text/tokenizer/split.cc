// Split: cuts at the matches of a pattern. Patterns of published models run through hand-written
// code (known_split.h), others through the regular expression engine.
#include "text/tokenizer/delimiter.h"
#include "text/tokenizer/known_split.h"
#include "text/tokenizer/pattern.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace inferneo::text {
namespace {

// Every character is part of a match, so isolated and inverted-removed mean the same.
class KnownSplit final : public PreTokenizer {
 public:
  explicit KnownSplit(SplitAll known) : split_(known) {}

  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    split_(text, at_start, sink);
  }

 private:
  SplitAll split_;
};

class PatternSplit final : public PreTokenizer {
 public:
  PatternSplit(Pattern pattern, DelimiterBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    DelimiterJoiner joiner(behavior_, text, at_start, sink);
    std::size_t done = 0;
    pattern_.for_each_match(text, [&](std::size_t start, std::size_t end) {
      if (start > done) joiner.add(done, start, invert_);
      joiner.add(start, end, !invert_);
      done = end;
    });
    if (done < text.size()) joiner.add(done, text.size(), invert_);
    joiner.finish();
  }

 private:
  Pattern pattern_;
  DelimiterBehavior behavior_;
  bool invert_;
};

}  // namespace

Result<PreTokenizerPtr> parse_split(const JsonView& entry) {
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::parse(entry));
  ASSIGN_OR_RETURN(const JsonView behavior_place, entry.member("behavior"));
  static_cast<void>(behavior_place);
  ASSIGN_OR_RETURN(const DelimiterBehavior behavior,
                   parse_behavior(entry, DelimiterBehavior::kIsolated));
  ASSIGN_OR_RETURN(const bool invert, entry.bool_member("invert", false));
  const SplitAll known = pattern.is_regex() ? find_known_split(pattern.source()) : nullptr;
  const bool every_match = (behavior == DelimiterBehavior::kIsolated) ||
                           (behavior == DelimiterBehavior::kRemoved && invert);
  if (known != nullptr && every_match) {
    return PreTokenizerPtr(std::make_unique<KnownSplit>(known));
  }
  return PreTokenizerPtr(std::make_unique<PatternSplit>(std::move(pattern), behavior, invert));
}

Result<PreTokenizerPtr> make_split(std::string_view expression) {
  if (const SplitAll known = find_known_split(expression); known != nullptr) {
    return PreTokenizerPtr(std::make_unique<KnownSplit>(known));
  }
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::of_expression(expression));
  return PreTokenizerPtr(
      std::make_unique<PatternSplit>(std::move(pattern), DelimiterBehavior::kIsolated, false));
}

}  // namespace inferneo::text
