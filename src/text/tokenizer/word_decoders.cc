// WordPiece and BPEDecoder: decoders whose tokens say where words begin or end.
#include <array>

#include "text/tokenizer/decode_steps.h"

namespace inferneo::text {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  std::size_t at = text.find(from);
  if (at == text.npos) return;
  std::string out;
  std::size_t done = 0;
  for (; at != text.npos; at = text.find(from, done)) {
    out.append(text, done, at - done);
    out += to;
    done = at + from.size();
  }
  out.append(text, done);
  text = std::move(out);
}

// Spec: Hugging Face tokenizers, decoders/wordpiece.rs (cleanup), in this order.
void clean_up(std::string& text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
      {" do not", " don't"},
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

class WordPieceDecoder final : public DecodeStep {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}

  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    std::string text;
    if (state.started) {
      if (token.starts_with(prefix_)) {
        token.remove_prefix(prefix_.size());
      } else {
        text += ' ';
      }
    }
    state.started = true;
    text += token;
    if (cleanup_) clean_up(text);
    next.token(text);
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

// The last token is known only at the end, so each waits for the next one.
class SuffixDecoder final : public DecodeStep {
 public:
  explicit SuffixDecoder(std::string suffix) : suffix_(std::move(suffix)) {}

  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    put(state, " ", next);
    state.held = token;
    state.started = true;
  }
  void finish(DecodeState& state, DecodeSink& next) const override {
    put(state, "", next);
    state.started = false;
  }

 private:
  void put(DecodeState& state, std::string_view end, DecodeSink& next) const {
    if (!state.started) return;
    replace_all(state.held, suffix_, end);
    next.token(state.held);
  }

  std::string suffix_;
};

}  // namespace

DecodeStepPtr make_suffix_decoder(std::string suffix) {
  return std::make_unique<SuffixDecoder>(std::move(suffix));
}

DecodeStepPtr make_word_piece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}

}  // namespace inferneo::text
