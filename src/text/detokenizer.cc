#include "text/detokenizer.h"

#include "text/tokenizer/decoder.h"
#include "text/tokenizer/tokenizer_parts.h"

namespace inferneo::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(&tokenizer),
      skip_special_tokens_(skip_special_tokens),
      stream_(std::make_unique<DecodeStream>(TokenizerParts::decoder(tokenizer))) {}
Detokenizer::~Detokenizer() = default;
Detokenizer::Detokenizer(Detokenizer&&) noexcept = default;
Detokenizer& Detokenizer::operator=(Detokenizer&&) noexcept = default;

void Detokenizer::push(TokenId id, std::string& out) {
  if (!tokenizer_->has_token(id)) return;
  if (skip_special_tokens_ && tokenizer_->is_special(id)) return;
  stream_->push(TokenizerParts::decoded_name(*tokenizer_, id), out);
}

void Detokenizer::finish(std::string& out) { stream_->finish(out); }

}  // namespace inferneo::text
