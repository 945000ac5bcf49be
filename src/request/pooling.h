// How the hidden states of a text's tokens become one vector.
// Thread: any (plain values).
#pragma once

#include <cstdint>

namespace inferneo::request {

enum class Pooling : std::uint8_t {
  kLast,  // of the last token: what a causal model knows of the whole text
  kMean,  // of all tokens
  kCls,   // of the first token, which an encoder's tokenizer puts there
};

}  // namespace inferneo::request
