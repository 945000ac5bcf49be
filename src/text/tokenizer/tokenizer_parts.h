// Access of the detokenizer to the parts of a tokenizer that its interface does not show.
// Thread: any.
#pragma once

#include "text/tokenizer.h"
#include "text/tokenizer/decoder.h"

namespace inferneo::text {

struct TokenizerParts {
  static const DecoderChain& decoder(const Tokenizer& tokenizer);
  // The name that the decoder turns into text. Precondition: tokenizer.has_token(id).
  static std::string_view decoded_name(const Tokenizer& tokenizer, TokenId id);
};

}  // namespace inferneo::text
