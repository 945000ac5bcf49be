// Normalizers change the text before it is split.
// Thread: any; immutable after load.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Changes `text` in place. Clears `at_start` when the first character is removed.
  // Precondition: valid UTF-8, which stays valid.
  virtual void apply(std::string& text, bool& at_start) const = 0;
};

using NormalizerPtr = std::unique_ptr<Normalizer>;

class NormalizerChain {
 public:
  // Reads `normalizer` of tokenizer.json (null gives an empty chain).
  static Result<NormalizerChain> parse(const JsonView& document);

  [[nodiscard]] bool empty() const { return steps_.empty(); }
  void apply(std::string& text, bool& at_start) const;
  void add(NormalizerPtr step) { steps_.push_back(std::move(step)); }

 private:
  Status add(const JsonView& entry, int depth);

  std::vector<NormalizerPtr> steps_;
};

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

struct BertNormalizerOptions {
  bool clean_text = true;
  bool part_chinese = true;
  bool strip_accents = true;
  bool lowercase = true;
};

// One maker a kind, named in normalizer.cc.
NormalizerPtr make_bert_normalizer(const BertNormalizerOptions& options);
NormalizerPtr make_lowercase();
NormalizerPtr make_unicode_form(UnicodeForm form);
Result<NormalizerPtr> parse_bert_normalizer(const JsonView& entry);
Result<NormalizerPtr> parse_lowercase(const JsonView& entry);
Result<NormalizerPtr> parse_nmt(const JsonView& entry);
Result<NormalizerPtr> parse_precompiled(const JsonView& entry);
Result<NormalizerPtr> parse_prepend(const JsonView& entry);
Result<NormalizerPtr> parse_replace(const JsonView& entry);
Result<NormalizerPtr> parse_strip(const JsonView& entry);
Result<NormalizerPtr> parse_strip_accents(const JsonView& entry);

}  // namespace inferneo::text
