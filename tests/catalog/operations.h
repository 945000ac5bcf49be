// A sequence of changes that a seed determines, so that whoever knows how many were acknowledged
// knows what a catalog must hold.
// Thread: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "manager/catalog.h"

namespace inferneo::catalog_test {

// Number `index` of the sequence of `seed`: registers, changes, removes, names. Some are refused,
// which is a change of the audit.
void apply_operation(manager::Catalog& catalog, std::uint64_t seed, std::uint64_t index);

// Everything that a catalog holds but the times, as text.
std::string contents(const manager::Catalog& catalog);

// A catalog in memory that follows the sequence.
class Oracle {
 public:
  explicit Oracle(std::uint64_t seed);
  // What a catalog holds after `count` operations; `count` must not go down.
  std::string after(std::uint64_t count);

 private:
  std::uint64_t seed_;
  std::uint64_t applied_ = 0;
  std::unique_ptr<manager::Catalog> catalog_;
};

// A fresh directory for stores, on a memory file system where there is one; removed at the end.
class StoreDirectory {
 public:
  StoreDirectory();
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;
  ~StoreDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string store() const { return path_ + "/catalog.db"; }
  // Removes what is in it.
  void clear() const;

 private:
  std::string path_;
};

// Whether INFERNEO_CATALOG_TEST asks for the full size.
bool is_full_size();

}  // namespace inferneo::catalog_test
