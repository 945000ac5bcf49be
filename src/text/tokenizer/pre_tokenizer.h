// Pre-tokenizers cut text into the pieces that the model sees one by one. Each kind is a file of
// its own; a chain of them hands every piece of one on to the next. Thread: any; immutable after
// load.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

// Takes the pieces of a text in order.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  // `at_start`: the piece begins where the whole input begins. Pieces are never empty; the text is
  // borrowed for the call.
  virtual void piece(std::string_view text, bool at_start) = 0;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Precondition: `text` is valid UTF-8 and not empty.
  virtual void split(std::string_view text, bool at_start, PieceSink& sink) const = 0;
};

using PreTokenizerPtr = std::unique_ptr<PreTokenizer>;

class PreTokenizerChain {
 public:
  // Reads `pre_tokenizer` of tokenizer.json (null gives an empty chain).
  static Result<PreTokenizerChain> parse(const JsonView& document);

  // Adds a step that cuts at the matches of an expression, which stay.
  Status add_pattern(std::string_view expression);
  // Pieces are spelled in the byte-level alphabet from here on.
  void end_in_bytes() { byte_level_ = true; }

  void split(std::string_view text, bool at_start, PieceSink& sink) const;

  // True when pieces are to be spelled in the byte-level alphabet: ByteLevel is the last step.
  [[nodiscard]] bool byte_level() const { return byte_level_; }

 private:
  Status add(const JsonView& entry, int depth);

  std::vector<PreTokenizerPtr> steps_;
  bool byte_level_ = false;
};

// One reader a kind, named in pre_tokenizer.cc. Null for a step that does not cut.
Result<PreTokenizerPtr> parse_bert_pre_tokenizer(const JsonView& entry);
Result<PreTokenizerPtr> parse_byte_level(const JsonView& entry);
Result<PreTokenizerPtr> parse_digits(const JsonView& entry);
Result<PreTokenizerPtr> parse_metaspace(const JsonView& entry);
Result<PreTokenizerPtr> parse_punctuation(const JsonView& entry);
Result<PreTokenizerPtr> make_split(std::string_view expression);
Result<PreTokenizerPtr> parse_split(const JsonView& entry);
Result<PreTokenizerPtr> parse_whitespace(const JsonView& entry);
Result<PreTokenizerPtr> parse_whitespace_split(const JsonView& entry);

}  // namespace inferneo::text
