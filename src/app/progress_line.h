// One line on the terminal that shows how far a long piece of work is; nothing when stderr is not a
// terminal.
// Thread: the one that works.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace inferneo::app {

class ProgressLine {
 public:
  explicit ProgressLine(std::string label);
  // Erases the line.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(std::uint64_t done, std::uint64_t total);

 private:
  std::string label_;
  bool on_terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// "14.0 MiB", "2.1 GiB": for people.
std::string byte_text(std::uint64_t bytes);
// "7.3 million", "1.10 billion"
std::string count_text(std::uint64_t count);

}  // namespace inferneo::app
