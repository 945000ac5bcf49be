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
