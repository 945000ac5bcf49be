#include "text/tokenizer/pre_tokenizer.h"

#include <array>

#include "base/str.h"
#include "text/tokenizer/sequence.h"

namespace inferneo::text {
namespace {

// Bound: published tokenizers have at most five steps.
constexpr std::size_t kStepCountMax = 16;

struct Kind {
  std::string_view name;
  Result<PreTokenizerPtr> (*parse)(const JsonView& entry);
};

constexpr Kind kKinds[] = {
    {"BertPreTokenizer", parse_bert_pre_tokenizer},
    {"ByteLevel", parse_byte_level},
    {"Digits", parse_digits},
    {"Metaspace", parse_metaspace},
    {"Punctuation", parse_punctuation},
    {"Split", parse_split},
    {"Whitespace", parse_whitespace},
    {"WhitespaceSplit", parse_whitespace_split},
};
constexpr std::string_view kSupported =
    "BertPreTokenizer, ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, "
    "WhitespaceSplit";

// Hands the pieces of one step to the next one.
class StepSink final : public PieceSink {
 public:
  StepSink() = default;
  void connect(const PreTokenizer& step, PieceSink& next) {
    step_ = &step;
    next_ = &next;
  }
  void piece(std::string_view text, bool at_start) override {
    step_->split(text, at_start, *next_);
  }

 private:
  const PreTokenizer* step_ = nullptr;
  PieceSink* next_ = nullptr;
};

}  // namespace

Result<PreTokenizerChain> PreTokenizerChain::parse(const JsonView& document) {
  PreTokenizerChain chain;
  ASSIGN_OR_RETURN(const std::optional<JsonView> entry, document.optional_member("pre_tokenizer"));
  if (entry) RETURN_IF_ERROR(chain.add(*entry, 0));
  return chain;
}

Status PreTokenizerChain::add(const JsonView& entry, int depth) {
  ASSIGN_OR_RETURN(const std::string_view type, entry.string_member("type"));
  if (type == "Sequence") {
    return add_parts(entry, "pretokenizers", depth, [this](const JsonView& part, int deeper) {
      return add(part, deeper);
    });
  }
  if (byte_level_) {
    return unsupported(str(entry.where(), ": a pre-tokenizer after ByteLevel is not supported"))
        .with_where(entry.where());
  }
  if (steps_.size() >= kStepCountMax) {
    return unsupported(str(entry.where(), ": more than ", kStepCountMax, " pre-tokenizers"))
        .with_where(entry.where());
  }
  for (const Kind& kind : kKinds) {
    if (kind.name != type) continue;
    ASSIGN_OR_RETURN(PreTokenizerPtr step, kind.parse(entry));
    if (step != nullptr) steps_.push_back(std::move(step));
    byte_level_ = type == "ByteLevel";
    return ok_status();
  }
  return entry.not_supported("pre-tokenizer", type, kSupported);
}

Status PreTokenizerChain::add_pattern(std::string_view expression) {
  if (steps_.size() >= kStepCountMax) return unsupported("too many patterns that split text");
  ASSIGN_OR_RETURN(PreTokenizerPtr step, make_split(expression));
  steps_.push_back(std::move(step));
  return ok_status();
}

void PreTokenizerChain::split(std::string_view text, bool at_start, PieceSink& sink) const {
  if (text.empty()) return;
  if (steps_.empty()) return sink.piece(text, at_start);
  std::array<StepSink, kStepCountMax> sinks;
  PieceSink* next = &sink;
  for (std::size_t i = steps_.size(); i-- > 1;) {
    sinks[i].connect(*steps_[i], *next);
    next = &sinks[i];
  }
  steps_[0]->split(text, at_start, *next);
}

}  // namespace inferneo::text
