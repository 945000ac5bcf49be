// What a disk may hold after power loss, from the record of what was asked of it: what was synced
// before, and of the rest any part in any order, cut at sectors.
//
// The model is POSIX without favours: bytes are safe after the file's fsync, names after their
// directory's; names change in the order of the calls.
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "disk_calls.h"

namespace inferneo::catalog_test {

class DiskModel {
 public:
  explicit DiskModel(std::string directory) : directory_(std::move(directory)) {}

  void record(const DiskCall& call);

  // Writes one possible state into `target`, an empty directory.
  void materialise(std::mt19937_64& random, const std::string& target) const;
  // Whether anything is not safe yet: else there is only one state.
  [[nodiscard]] bool has_unsynced() const;

 private:
  struct Write {
    std::int64_t offset = 0;
    std::string bytes;
    bool truncates = false;
  };
  struct File {
    std::string synced;
    std::vector<Write> unsynced;
  };
  using Names = std::map<std::string, std::shared_ptr<File>>;
  struct NameChange {
    std::string removed;  // empty: none
    std::string added;
    std::shared_ptr<File> file;
  };

  std::shared_ptr<File> file_at(const std::string& path);
  static void apply(const NameChange& change, Names& names);
  static void apply(const Write& write, std::string& content);
  static std::string content_of(const File& file, std::mt19937_64& random);

  std::string directory_;
  Names names_;                           // as the running system sees them
  Names synced_names_;                    // as they were when the directory was last synced
  std::vector<NameChange> name_changes_;  // since then
};

}  // namespace inferneo::catalog_test
