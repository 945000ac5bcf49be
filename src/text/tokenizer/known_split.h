// Hand-written forms of the split patterns that published models use, one linear pass each. They
// give the pieces that the regular expression gives under Oniguruma.
// Thread: any.
#pragma once

#include <cstddef>
#include <string_view>

namespace inferneo::text {

// The end of the piece that begins at `at`. Precondition: at < text.size(), text is valid UTF-8.
using SplitStep = std::size_t (*)(std::string_view text, std::size_t at);

// The pattern of GPT-2, which ByteLevel has built in.
std::size_t split_gpt2(std::string_view text, std::size_t at);

// The step for a pattern of the list (GPT-2, cl100k as in Llama 3, Qwen 2, o200k), else null.
SplitStep find_known_split(std::string_view pattern);

}  // namespace inferneo::text
