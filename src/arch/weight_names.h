// The names of weights. Architectures ask for weights by their role ("layer.*.q"); tables say how a
// kind of file spells a role. Most Hugging Face files spell them as Llama's do, and GGUF files of
// all architectures spell them alike, so that a family lists only what differs. Thread: any
// (constants).
#pragma once

#include <span>
#include <string_view>

namespace inferneo::arch {

// Both names without what follows the last of their parts (".weight"); each `*` stands for a
// number.
struct WeightName {
  std::string_view role;
  std::string_view in_file;
};

std::span<const WeightName> hugging_face_names();
std::span<const WeightName> gguf_names();

}  // namespace inferneo::arch
