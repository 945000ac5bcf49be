// The normalization that SentencePiece does before it looks for pieces: the character map, white
// space, and the mark (U+2581) for spaces.
// Spec: SentencePiece, normalizer.cc (Normalizer::Normalize).
// Thread: any; immutable after it is made.
#pragma once

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/normalizer.h"

namespace inferneo::text {

struct SentencePieceRules {
  Charsmap map;
  ByteTrie kept;  // pieces of users, which the character map leaves alone
  bool add_dummy_prefix = true;
  // Without it only a text that begins where the whole input begins gets the prefix.
  bool prefix_each_section = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
  bool space_as_suffix = false;
};

NormalizerPtr make_sentencepiece_normalizer(SentencePieceRules rules);

}  // namespace inferneo::text
