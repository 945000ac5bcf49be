// The results of a batch on disk: one line a request, appended and flushed as they come, so that a
// run that was interrupted goes on where it stopped.
// Thread: one. Ownership: owns the descriptor.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::gateway::endpoints::batch {

class ResultFile {
 public:
  // Creates the file, or goes on behind the last whole line of what is there.
  // Failures: not_found (directory), permission_denied, failed_precondition when the file holds
  // something else, internal.
  static Result<ResultFile> open(const std::string& path);
  ResultFile(ResultFile&& other) noexcept;
  ResultFile& operator=(ResultFile&&) = delete;
  ~ResultFile();

  // Failures: resource_exhausted (no space), internal.
  Status append(std::string_view line);
  Status sync();

  // custom_ids of the lines that were there.
  [[nodiscard]] const std::set<std::string, std::less<>>& done() const { return done_; }
  // Lines that were there, and those among them that tell of a failure.
  [[nodiscard]] std::uint64_t line_count() const { return line_count_; }
  [[nodiscard]] std::uint64_t failed_count() const { return failed_count_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  ResultFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status read_lines();

  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t line_count_ = 0;
  std::uint64_t failed_count_ = 0;
  std::set<std::string, std::less<>> done_;
};

}  // namespace inferneo::gateway::endpoints::batch
