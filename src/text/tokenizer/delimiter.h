// What happens to the delimiters that a pre-tokenizer finds: they become pieces of their own,
// vanish, or join a neighbour. Thread: one.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/tokenizer/pre_tokenizer.h"

namespace inferneo::text {

enum class DelimiterBehavior {
  kIsolated,
  kRemoved,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

// Reads `behavior` of an entry; `fallback` when it is absent.
Result<DelimiterBehavior> parse_behavior(const JsonView& entry, DelimiterBehavior fallback);

// Takes the stretches of a text in order (delimiters and what is between) and hands on the pieces.
class DelimiterJoiner {
 public:
  DelimiterJoiner(DelimiterBehavior behavior, std::string_view text, bool at_start, PieceSink& sink)
      : behavior_(behavior), text_(text), at_start_(at_start), sink_(&sink) {}

  void add(std::size_t start, std::size_t end, bool is_delimiter);
  void finish() { flush(); }

 private:
  void flush();
  [[nodiscard]] bool joins(bool is_delimiter) const;

  DelimiterBehavior behavior_;
  std::string_view text_;
  bool at_start_;
  PieceSink* sink_;
  // The piece that may still grow.
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  bool open_ = false;
  bool last_is_delimiter_ = false;
};

}  // namespace inferneo::text
