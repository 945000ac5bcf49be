#include "text/tokenizer/definition.h"

namespace inferneo::text {

Result<TokenizerDefinition> define_from_json(const JsonView& document) {
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(const JsonView model_place, document.member("model"));
  ASSIGN_OR_RETURN(out.model, TokenModel::parse(model_place));
  ASSIGN_OR_RETURN(out.normalizer, NormalizerChain::parse(document));
  ASSIGN_OR_RETURN(out.pre_tokenizer, PreTokenizerChain::parse(document));
  ASSIGN_OR_RETURN(out.post_processor, PostProcessor::parse(document));
  ASSIGN_OR_RETURN(out.decoder, DecoderChain::parse(document));
  ASSIGN_OR_RETURN(out.added, parse_added_tokens(document, out.model->vocabulary()));
  return out;
}

}  // namespace inferneo::text
