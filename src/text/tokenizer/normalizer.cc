#include "text/tokenizer/normalizer.h"

#include "base/str.h"
#include "text/tokenizer/sequence.h"

namespace inferneo::text {
namespace {

// Bound: published tokenizers have at most five steps.
constexpr std::size_t kStepCountMax = 16;

template <UnicodeForm form>
Result<NormalizerPtr> parse_form(const JsonView&) {
  return make_unicode_form(form);
}

struct Kind {
  std::string_view name;
  Result<NormalizerPtr> (*parse)(const JsonView& entry);
};

constexpr Kind kKinds[] = {
    {"BertNormalizer", parse_bert_normalizer},
    {"Lowercase", parse_lowercase},
    {"NFC", parse_form<UnicodeForm::kNfc>},
    {"NFD", parse_form<UnicodeForm::kNfd>},
    {"NFKC", parse_form<UnicodeForm::kNfkc>},
    {"NFKD", parse_form<UnicodeForm::kNfkd>},
    {"Nmt", parse_nmt},
    {"Precompiled", parse_precompiled},
    {"Prepend", parse_prepend},
    {"Replace", parse_replace},
    {"Strip", parse_strip},
    {"StripAccents", parse_strip_accents},
};
constexpr std::string_view kSupported =
    "BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, "
    "Sequence, "
    "Strip, StripAccents";

}  // namespace

Result<NormalizerChain> NormalizerChain::parse(const JsonView& document) {
  NormalizerChain chain;
  ASSIGN_OR_RETURN(const std::optional<JsonView> entry, document.optional_member("normalizer"));
  if (entry) RETURN_IF_ERROR(chain.add(*entry, 0));
  return chain;
}

Status NormalizerChain::add(const JsonView& entry, int depth) {
  ASSIGN_OR_RETURN(const std::string_view type, entry.string_member("type"));
  if (type == "Sequence") {
    return add_parts(entry, "normalizers", depth, [this](const JsonView& part, int deeper) {
      return add(part, deeper);
    });
  }
  if (steps_.size() >= kStepCountMax) {
    return unsupported(str(entry.where(), ": more than ", kStepCountMax, " normalizers"))
        .with_where(entry.where());
  }
  for (const Kind& kind : kKinds) {
    if (kind.name != type) continue;
    ASSIGN_OR_RETURN(NormalizerPtr step, kind.parse(entry));
    steps_.push_back(std::move(step));
    return ok_status();
  }
  return entry.not_supported("normalizer", type, kSupported);
}

void NormalizerChain::apply(std::string& text, bool& at_start) const {
  for (const NormalizerPtr& step : steps_) step->apply(text, at_start);
}

}  // namespace inferneo::text
