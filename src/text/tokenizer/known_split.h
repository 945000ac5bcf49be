// Hand-written forms of the split patterns that published models use, one linear pass each. They
// give the pieces that the regular expression gives under Oniguruma.
// Thread: any.
#pragma once

#include <string_view>

#include "text/tokenizer/pre_tokenizer.h"

namespace inferneo::text {

// Hands the pieces of a text on. Precondition: not empty, valid UTF-8.
using SplitAll = void (*)(std::string_view text, bool at_start, PieceSink& sink);

// The pattern of GPT-2, which ByteLevel has built in.
void split_gpt2(std::string_view text, bool at_start, PieceSink& sink);

// The splitter for a pattern of the list (GPT-2, cl100k as in Llama 3, Qwen 2, o200k), else null.
SplitAll find_known_split(std::string_view pattern);

}  // namespace inferneo::text
