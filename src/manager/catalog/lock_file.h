// One process at a time holds a store. The lock is the kernel's (flock), so it ends with the
// process however that ends; the file's text tells others who holds it and where to talk to it.
// Thread: one at a time. Ownership: unlocks on destruction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "manager/catalog.h"

namespace inferneo::manager::catalog {

using LockOwner = CatalogOwner;

// Of a store's database.
std::string lock_path(const std::string& database_path);

class LockFile {
 public:
  // Failures: unavailable at "catalog" naming the holder, permission_denied, not_found (directory),
  // internal.
  static Result<LockFile> acquire(const std::string& path, std::string_view url);
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile();

  Status set_url(std::string_view url);

  // What the file says; empty when nothing can be read.
  static LockOwner read_owner(const std::string& path);

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace inferneo::manager::catalog
