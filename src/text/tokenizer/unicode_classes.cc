#include "text/tokenizer/unicode_classes.h"

#include <algorithm>
#include <map>
#include <vector>

namespace inferneo::text {

const UnicodeClasses& UnicodeClasses::get() {
  static const UnicodeClasses classes;
  return classes;
}

// Blocks that lie inside one run (most of the code space) are shared by class.
UnicodeClasses::UnicodeClasses() {
  const std::span<const std::uint64_t> runs = unicode_runs();
  std::vector<std::uint16_t> bits;
  std::map<std::uint16_t, std::uint32_t> uniform;
  std::size_t run = 0;
  const auto start_of = [&](std::size_t i) -> std::uint64_t {
    return i < runs.size() ? runs[i] >> 15 : 0x110000;
  };
  for (std::uint32_t block = 0; block < block_.size(); ++block) {
    const std::uint32_t first = block * kBlockSize;
    while (start_of(run + 1) <= first) ++run;
    const auto next_block = static_cast<std::uint32_t>(bits.size() / kBlockSize);
    const auto cls = static_cast<std::uint16_t>(runs[run] & 0x7FFF);
    if (start_of(run + 1) >= first + kBlockSize) {
      const auto [known, added] = uniform.emplace(cls, next_block);
      block_[block] = known->second;
      if (added) bits.insert(bits.end(), kBlockSize, cls);
      continue;
    }
    block_[block] = next_block;
    for (std::uint32_t code_point = first; code_point < first + kBlockSize; ++code_point) {
      while (start_of(run + 1) <= code_point) ++run;
      bits.push_back(static_cast<std::uint16_t>(runs[run] & 0x7FFF));
    }
  }
  bits_ = std::make_unique<std::uint16_t[]>(bits.size());
  std::copy(bits.begin(), bits.end(), bits_.get());
}

}  // namespace inferneo::text
