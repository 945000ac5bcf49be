// Finds stop strings in a growing text and holds back a tail that may still become one.
// Thread: one owner.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inferneo::text {

class StopMatcher {
 public:
  // `include_stop` keeps the matched string in the output.
  StopMatcher(std::vector<std::string> stops, bool include_stop);

  // Adds `piece`; appends what is certainly not part of a stop string to `out`. Returns true when a
  // stop string was found: `out` then holds the text before it (or including it) and no further
  // push is allowed. The earliest match wins, the longest of equal starts.
  bool push(std::string_view piece, std::string& out);
  // Appends the tail that was held back.
  void finish(std::string& out);
  // The string that matched; empty before.
  [[nodiscard]] const std::string& matched() const { return matched_; }

 private:
  std::vector<std::string> stops_;
  bool include_stop_;
  std::string held_;
  std::string matched_;
};

}  // namespace inferneo::text
