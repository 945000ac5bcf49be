// BertPreTokenizer, Digits, Punctuation, Whitespace and WhitespaceSplit: pre-tokenizers that look
// at the class of single characters.
#include "base/utf8.h"
#include "text/tokenizer/delimiter.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

// Every character of the class is a delimiter.
class CharacterSplit final : public PreTokenizer {
 public:
  CharacterSplit(std::uint16_t delimiters, DelimiterBehavior behavior)
      : delimiters_(delimiters), behavior_(behavior) {}

  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    const UnicodeClasses& classes = UnicodeClasses::get();
    DelimiterJoiner joiner(behavior_, text, at_start, sink);
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto byte = static_cast<std::uint8_t>(text[at]);
      const utf8::Decoded next =
          byte < 0x80 ? utf8::Decoded{byte, 1, true} : utf8::decode(text, at);
      if (classes.is(next.code_point, delimiters_)) {
        if (at > done) joiner.add(done, at, false);
        joiner.add(at, at + next.size, true);
        done = at + next.size;
      }
      at += next.size;
    }
    if (done < text.size()) joiner.add(done, text.size(), false);
    joiner.finish();
  }

 private:
  std::uint16_t delimiters_;
  DelimiterBehavior behavior_;
};

// \w+|[^\w\s]+
class Whitespace final : public PreTokenizer {
 public:
  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    enum class Kind { kNone, kSpace, kWord, kOther };
    const UnicodeClasses& classes = UnicodeClasses::get();
    Kind last = Kind::kNone;
    std::size_t start = 0;
    const auto flush = [&](std::size_t end) {
      if (last == Kind::kWord || last == Kind::kOther) {
        sink.piece(text.substr(start, end - start), at_start && start == 0);
      }
      start = end;
    };
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Decoded next = utf8::decode(text, at);
      const std::uint16_t cls = classes.of(next.code_point);
      const Kind kind = (cls & kWord) != 0    ? Kind::kWord
                        : (cls & kSpace) != 0 ? Kind::kSpace
                                              : Kind::kOther;
      if (kind != last) flush(at);
      last = kind;
      at += next.size;
    }
    flush(text.size());
  }
};

// White space goes, every punctuation mark stands alone.
class BertSplit final : public PreTokenizer {
 public:
  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    const UnicodeClasses& classes = UnicodeClasses::get();
    std::size_t done = 0;
    const auto flush = [&](std::size_t end) {
      if (end > done) sink.piece(text.substr(done, end - done), at_start && done == 0);
      done = end;
    };
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Decoded next = utf8::decode(text, at);
      const std::uint16_t cls = classes.of(next.code_point);
      if ((cls & (kSpace | kPunctuation)) != 0) flush(at);
      at += next.size;
      if ((cls & kSpace) != 0) {
        done = at;
      } else if ((cls & kPunctuation) != 0) {
        flush(at);
      }
    }
    flush(text.size());
  }
};

}  // namespace

Result<PreTokenizerPtr> parse_bert_pre_tokenizer(const JsonView&) {
  return PreTokenizerPtr(std::make_unique<BertSplit>());
}

Result<PreTokenizerPtr> parse_digits(const JsonView& entry) {
  ASSIGN_OR_RETURN(const bool individual, entry.bool_member("individual_digits", false));
  const auto behavior = individual ? DelimiterBehavior::kIsolated : DelimiterBehavior::kContiguous;
  return PreTokenizerPtr(std::make_unique<CharacterSplit>(kNumeric, behavior));
}

Result<PreTokenizerPtr> parse_punctuation(const JsonView& entry) {
  ASSIGN_OR_RETURN(const DelimiterBehavior behavior,
                   parse_behavior(entry, DelimiterBehavior::kIsolated));
  return PreTokenizerPtr(std::make_unique<CharacterSplit>(kPunctuation, behavior));
}

Result<PreTokenizerPtr> parse_whitespace(const JsonView&) {
  return PreTokenizerPtr(std::make_unique<Whitespace>());
}

Result<PreTokenizerPtr> parse_whitespace_split(const JsonView&) {
  return PreTokenizerPtr(std::make_unique<CharacterSplit>(kSpace, DelimiterBehavior::kRemoved));
}

}  // namespace inferneo::text
