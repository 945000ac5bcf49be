#include "text/detokenizer.h"

#include "base/utf8.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/tokenizer_parts.h"

namespace inferneo::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {
  const DecoderChain& decoder = TokenizerParts::decoder(tokenizer);
  if (!decoder.is_byte_level()) stream_ = std::make_unique<DecodeStream>(decoder);
}
Detokenizer::~Detokenizer() = default;
Detokenizer::Detokenizer(Detokenizer&&) noexcept = default;
Detokenizer& Detokenizer::operator=(Detokenizer&&) noexcept = default;

void Detokenizer::push(TokenId id, std::string& out) {
  if (!tokenizer_->has_token(id)) return;
  if (skip_special_tokens_ && tokenizer_->is_special(id)) return;
  if (stream_ != nullptr) {
    stream_->push(TokenizerParts::decoded_name(*tokenizer_, id), out);
    return;
  }
  pending_ += tokenizer_->token_bytes(id);
  emit(out);
}

void Detokenizer::emit(std::string& out) {
  const std::size_t certain = utf8::complete_prefix_size(pending_);
  const std::string_view text = std::string_view(pending_).substr(0, certain);
  if (utf8::is_valid(text)) {
    out += text;
  } else {
    out += utf8::sanitize(text);
  }
  pending_.erase(0, certain);
}

void Detokenizer::finish(std::string& out) {
  if (stream_ != nullptr) {
    stream_->finish(out);
    return;
  }
  out += utf8::sanitize(pending_);
  pending_.clear();
}

}  // namespace inferneo::text
