// ByteLevel: optionally puts a space in front and splits by GPT-2's pattern. The spelling of bytes
// as characters happens in the model (Bpe::prepare), which sees raw bytes.
#include <string>

#include "text/tokenizer/known_split.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace inferneo::text {
namespace {

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    std::string prefixed;
    if (add_prefix_space_ && !text.starts_with(' ')) {
      prefixed.reserve(text.size() + 1);
      prefixed += ' ';
      prefixed += text;
      text = prefixed;
    }
    if (!use_regex_) return sink.piece(text, at_start);
    if (!text.empty()) split_gpt2(text, at_start, sink);
  }

 private:
  bool add_prefix_space_;
  bool use_regex_;
};

}  // namespace

Result<PreTokenizerPtr> parse_byte_level(const JsonView& entry) {
  ASSIGN_OR_RETURN(const bool add_prefix_space, entry.bool_member("add_prefix_space", true));
  ASSIGN_OR_RETURN(const bool use_regex, entry.bool_member("use_regex", true));
  // Nothing to cut: the chain does without a step.
  if (!add_prefix_space && !use_regex) return PreTokenizerPtr();
  return PreTokenizerPtr(std::make_unique<ByteLevel>(add_prefix_space, use_regex));
}

}  // namespace inferneo::text
