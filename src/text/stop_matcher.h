// Finds stop strings in a growing text and holds back a tail that may still become one.
// The answer depends on the text only, never on how it was cut into pieces: an automaton over all
// stop strings (Aho and Corasick, 1975) reads every byte once.
// Thread: one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inferneo::text {

class StopMatcher {
 public:
  // `include_stop` keeps the matched string in the output. Empty stop strings are ignored.
  StopMatcher(std::vector<std::string> stops, bool include_stop);

  // Adds `piece`; appends what is certainly not part of a stop string to `out`. Returns true when a
  // stop string was found: `out` then holds the text before it (or including it) and no further
  // push is allowed. The earliest match wins, the longest of equal starts; while a stop string that
  // would win over the one found is still possible ("ab" of "ab" and "abc"), the match waits.
  // Cost: linear in the bytes pushed; `out` receives whole characters when the pieces and the stop
  // strings are valid UTF-8.
  bool push(std::string_view piece, std::string& out);
  // Ends the text: settles a match that was waiting (matched() is then not empty), else appends the
  // tail that was held back.
  void finish(std::string& out);
  // The string that matched; empty before.
  [[nodiscard]] const std::string& matched() const { return matched_; }

 private:
  // A prefix of one or more stop strings. Index 0 is the empty prefix; children form a list.
  struct Node {
    unsigned char byte = 0;
    std::int32_t first_child = -1;
    std::int32_t next_sibling = -1;
    std::int32_t fail = 0;        // node of the longest proper suffix that is a prefix
    std::int32_t depth = 0;       // bytes of this prefix
    std::int32_t match_size = 0;  // bytes of the longest stop string that ends here, 0 for none
  };

  void insert(std::string_view stop);
  void link();
  [[nodiscard]] std::int32_t child(std::int32_t node, unsigned char byte) const;
  [[nodiscard]] std::int32_t step(std::int32_t node, unsigned char byte) const;
  void note_match();
  void settle(std::string& out);

  std::vector<Node> nodes_;
  bool include_stop_;
  std::int32_t state_ = 0;
  std::string held_;
  // The best match so far, as offsets in held_; none while match_size_ is 0.
  std::size_t match_begin_ = 0;
  std::size_t match_size_ = 0;
  std::string matched_;
};

}  // namespace inferneo::text
