// One line on the terminal that shows how far a long piece of work is; nothing when stderr is not a
// terminal.
// Thread: the one that works.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace inferneo::app {

enum class ProgressUnit : std::uint8_t { kBytes, kCount };

class ProgressLine {
 public:
  explicit ProgressLine(std::string label, ProgressUnit unit = ProgressUnit::kBytes);
  // As clear().
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(std::uint64_t done, std::uint64_t total);
  // Erases the line; before other text is written.
  void clear();

 private:
  std::string label_;
  ProgressUnit unit_;
  bool on_terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// "[====      ] 3 of 9"
std::string progress_text(std::uint64_t done, std::uint64_t total, ProgressUnit unit);
// "14.0 MiB", "2.1 GiB": for people.
std::string byte_text(std::uint64_t bytes);
// "7.3 million", "1.10 billion"
std::string count_text(std::uint64_t count);

}  // namespace inferneo::app
