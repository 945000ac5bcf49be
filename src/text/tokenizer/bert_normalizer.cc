// BertNormalizer: control characters go, white space becomes a space, Chinese characters stand
// alone, and optionally accents and capitals go.
// Spec: Hugging Face tokenizers, normalizers/bert.rs.
#include <vector>

#include "text/tokenizer/character_map.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

void map_clean(char32_t c, std::string& out) {
  const UnicodeClasses& classes = UnicodeClasses::get();
  if (classes.is(c, kControl)) return;
  utf8::append(out, classes.is(c, kSpace) ? U' ' : c);
}

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void map_chinese(char32_t c, std::string& out) {
  if (is_chinese(c)) {
    out += ' ';
    utf8::append(out, c);
    out += ' ';
  } else {
    utf8::append(out, c);
  }
}

void map_nonspacing(char32_t c, std::string& out) {
  if (!UnicodeClasses::get().is(c, kNonspacing)) utf8::append(out, c);
}

class Steps final : public Normalizer {
 public:
  void add(NormalizerPtr step) { steps_.push_back(std::move(step)); }
  void apply(std::string& text, bool& at_start) const override {
    for (const NormalizerPtr& step : steps_) step->apply(text, at_start);
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

}  // namespace

NormalizerPtr make_bert_normalizer(const BertNormalizerOptions& options) {
  auto steps = std::make_unique<Steps>();
  if (options.clean_text) steps->add(std::make_unique<CharacterMap<map_clean>>());
  if (options.part_chinese) steps->add(std::make_unique<CharacterMap<map_chinese>>());
  if (options.strip_accents) {
    steps->add(make_unicode_form(UnicodeForm::kNfd));
    steps->add(std::make_unique<CharacterMap<map_nonspacing>>());
  }
  if (options.lowercase) steps->add(make_lowercase());
  return steps;
}

Result<NormalizerPtr> parse_bert_normalizer(const JsonView& entry) {
  BertNormalizerOptions options;
  ASSIGN_OR_RETURN(options.clean_text, entry.bool_member("clean_text", true));
  ASSIGN_OR_RETURN(options.part_chinese, entry.bool_member("handle_chinese_chars", true));
  ASSIGN_OR_RETURN(options.lowercase, entry.bool_member("lowercase", true));
  ASSIGN_OR_RETURN(options.strip_accents, entry.bool_member("strip_accents", options.lowercase));
  return make_bert_normalizer(options);
}

}  // namespace inferneo::text
