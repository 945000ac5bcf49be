// The calls by which a process changes a disk, replaced for this test program (SQLite's as well:
// the dynamic linker takes the program's). They can be counted, recorded, made to fail, and the
// process can be killed at any of them.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace inferneo::catalog_test {

enum class CallKind : std::uint8_t { kWrite, kTruncate, kSync, kRename, kUnlink };

struct DiskCall {
  CallKind kind = CallKind::kWrite;
  std::string path = {};
  std::string target = {};  // kRename
  std::int64_t offset = 0;  // kWrite; the new size for kTruncate
  std::string bytes = {};   // kWrite
};

// What to do with a call: go on, fail with `error`, or do part of it first.
struct Verdict {
  int error = 0;
  bool kill_after_part = false;  // write half of it (or nothing, of other calls) and die
};

// Sees each call on a file whose path begins with `directory`, before it is carried out. Empty
// function: all calls go through.
void watch_disk_calls(std::string directory, std::function<Verdict(const DiskCall&)> watcher);
void stop_watching_disk_calls();

}  // namespace inferneo::catalog_test
