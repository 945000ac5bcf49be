// The kinds of decoder steps. `whole` steps come after the tokens were joined: they see one token,
// the whole text, in chunks.
// Thread: any.
#pragma once

#include <string>

#include "text/tokenizer/decoder.h"
#include "text/tokenizer/metaspace.h"
#include "text/tokenizer/pattern.h"

namespace inferneo::text {

DecodeStepPtr make_byte_level_decoder();
DecodeStepPtr make_byte_fallback_decoder();
// Puts a space in place of `suffix` ("</w>") in every token but the last, where it goes.
DecodeStepPtr make_suffix_decoder(std::string suffix);
// Puts a space in front of tokens without `prefix` ("##") and drops it from the others. With
// `cleanup` the spaces before punctuation and English contractions go.
DecodeStepPtr make_word_piece_decoder(std::string prefix, bool cleanup);
DecodeStepPtr make_metaspace_decoder(MetaspaceOptions options);
DecodeStepPtr make_replace_decoder(Pattern pattern, std::string content);
DecodeStepPtr make_space_joiner();
// Hands on nothing before the end: for steps that need the whole text at once.
DecodeStepPtr make_collector();
// Drops up to `start` characters `content` (UTF-8) from the front and `stop` from the back.
DecodeStepPtr make_strip_decoder(std::string content,
                                 std::size_t start,
                                 std::size_t stop,
                                 bool whole);

}  // namespace inferneo::text
