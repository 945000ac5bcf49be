// The names by which GGUF files refer to the way in which text is split (tokenizer.ggml.pre).
// Thread: any (constants).
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace inferneo::text {

struct KnownPre {
  std::string_view name;
  // Text is cut at the matches of the first, the pieces at those of the next, and so on. The rest
  // are empty.
  std::array<std::string_view, 6> patterns;
  struct Flags {
    bool composes = false;     // text is normalized to NFC, unless the file says otherwise
    bool whole_words = false;  // a piece that is a token needs no merges
    bool begins = false;       // the start token is added, unless the file says otherwise
  };
  Flags flags = {};
};

// Matches every digit by itself.
inline constexpr std::string_view kEachDigit = R"(\p{N})";

// Null when the name is not known. The empty name is "default".
const KnownPre* find_known_pre(std::string_view name);

// All names, for messages.
std::string known_pre_names();
// "the nearest supported name is ..", or empty when none is near.
std::string nearest_known_pre(std::string_view name);

}  // namespace inferneo::text
