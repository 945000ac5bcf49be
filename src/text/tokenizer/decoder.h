// Decoders turn token names back into text: a chain of steps, each of which takes tokens and hands
// tokens on, run token by token so that text can be streamed.
// Thread: any for DecoderChain (immutable after load); one owner for a DecodeStream.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

// What a step remembers between tokens.
struct DecodeState {
  bool started = false;   // a token has come by
  std::size_t count = 0;  // characters stripped so far
  std::string held;       // text or bytes that are not certain yet
};

class DecodeSink {
 public:
  virtual ~DecodeSink() = default;
  virtual void token(std::string_view text) = 0;
};

class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void push(DecodeState& state, std::string_view token, DecodeSink& next) const = 0;
  virtual void finish(DecodeState&, DecodeSink&) const {}
};

using DecodeStepPtr = std::unique_ptr<DecodeStep>;

class DecoderChain {
 public:
  // Reads `decoder` of tokenizer.json. Null joins the tokens with spaces.
  static Result<DecoderChain> parse(const JsonView& document);

  // The steps of byte-level tokens.
  void add_byte_level();
  // Those of SentencePiece: U+2581 is a space, runs of byte tokens are bytes, and the space that
  // was put in front goes.
  void add_sentencepiece(bool drops_prefix);

  // True when the text is the bytes of the tokens, one after the other.
  [[nodiscard]] bool is_byte_level() const { return byte_level_ && steps_.size() == 1; }
  // True when a leading space of the whole text is dropped.
  [[nodiscard]] bool strips_leading_space() const { return strips_leading_space_; }
  // The bytes that a token stands for in the middle of a text.
  [[nodiscard]] std::string running_text(std::string_view name) const;

 private:
  friend class DecodeStream;

  struct Parts;
  Status add(const JsonView& entry, int depth);
  Status add_word_piece(const JsonView& entry);
  Status add_strip(const JsonView& entry);
  Status add_replace(const JsonView& entry);

  std::vector<DecodeStepPtr> steps_;
  // Steps from here on see one token, the whole text, in chunks.
  bool fused_ = false;
  bool byte_level_ = false;
  bool byte_fallback_ = false;
  bool strips_leading_space_ = false;
  bool joins_with_space_ = false;
};

// Runs a chain over the tokens of one text. Ownership: borrows the chain.
class DecodeStream {
 public:
  explicit DecodeStream(const DecoderChain& chain);

  // Appends the text that became certain through this token.
  void push(std::string_view token, std::string& out);
  void finish(std::string& out);

 private:
  class Next;
  void push_from(std::size_t step, std::string_view token, std::string& out);

  const DecoderChain* chain_;
  std::vector<DecodeState> states_;
};

// The byte of a name like "<0x0A>", or -1.
int fallback_byte(std::string_view name);

}  // namespace inferneo::text
