// The parts that a tokenizer consists of, read from one of the forms in which models describe them.
// Thread: any; immutable after load.
#pragma once

#include <vector>

#include "base/result.h"
#include "text/model_text.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/json_view.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/token_model.h"

namespace inferneo::text {

struct TokenizerDefinition {
  TokenModelPtr model;  // not prepared yet
  NormalizerChain normalizer;
  PreTokenizerChain pre_tokenizer;
  PostProcessor post_processor;
  DecoderChain decoder;
  std::vector<AddedToken> added;
};

// Reads tokenizer.json.
Result<TokenizerDefinition> define_from_json(const JsonView& document);

// Reads the vocabulary of a GGUF file. Nothing of it is kept. Failures: unsupported naming model or
// split with the supported ones, corrupt_data naming the key and the index.
Result<TokenizerDefinition> define_from_vocabulary(const TokenVocabulary& vocabulary);

}  // namespace inferneo::text
