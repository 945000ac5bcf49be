#include "text/grammar/vocabulary.h"

#include <utility>

#include "text/grammar/json_rules.h"

namespace inferneo::text::grammar {

ConstraintVocabulary::ConstraintVocabulary(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)),
      trie_(*tokenizer_),
      json_(json_automaton()),
      json_masks_(std::make_unique<MaskCache>(json_, trie_, nullptr)) {
  // The widest masks, so that no request waits for them while it decodes.
  for (const std::uint32_t rule : {kJsonStringRest, kJsonKeyRest}) {
    json_masks_->prepare(json_.start(rule));
  }
  json_masks_->prepare(json_.first_shape()->head);
}

}  // namespace inferneo::text::grammar
