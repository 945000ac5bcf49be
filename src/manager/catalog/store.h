// The catalog on disk: database, head file and lock. Knows rows and transactions, not what a
// change means; catalog.cc decides that.
// Thread: one at a time (the catalog's lock). Ownership: owns its files until close().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "manager/catalog/database.h"
#include "manager/catalog/head_file.h"
#include "manager/catalog/lock_file.h"
#include "manager/catalog_record.h"

namespace inferneo::manager::catalog {

struct LiveVersion {
  std::string name;
  std::string version;
};

struct StateText {
  std::string owner;
  std::string key;
  std::string text;
};

// What one transaction does. Removals come before additions; a record that is there already is
// replaced (models by sequence, the others by their names).
struct Changes {
  std::vector<std::uint64_t> removed_models;
  std::vector<ModelRecord> models;
  std::vector<std::string> removed_live;
  std::vector<LiveVersion> live;
  std::vector<std::string> removed_aliases;
  std::vector<AliasRecord> aliases;
  std::vector<std::pair<std::string, std::string>> removed_states;  // owner, key
  std::vector<StateText> states;
  std::vector<AuditRecord> audit;
};

struct Contents {
  std::vector<ModelRecord> models;  // by sequence
  std::vector<LiveVersion> live;
  std::vector<AliasRecord> aliases;
  std::uint64_t revision = 0;
};

class Store {
 public:
  // An empty path: in memory. Failures: as Catalog::open.
  static Result<std::unique_ptr<Store>> open(const std::string& path, std::string_view owner_url);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  Result<Contents> contents();
  // All of it or nothing, on disk when it returns. Failures: resource_exhausted, internal; the
  // latter for every later call once the store cannot tell any more what is on disk.
  Status apply(const Changes& changes);
  [[nodiscard]] std::uint64_t revision() const { return head_.revision; }

  Result<std::vector<std::pair<std::string, std::string>>> states(std::string_view owner);
  Result<std::vector<AuditRecord>> audit(const AuditQuery& query);
  Status set_owner_url(std::string_view url);

 private:
  Store() = default;
  static Result<std::unique_ptr<Store>> open_memory();
  Status open_files(const std::string& path);
  // Integrity, version and sums. `expected` is what the head file says.
  Status verify(const std::optional<Head>& expected);
  Status write_rows(const Changes& changes);

  // In order of use: the lock is let go last.
  std::optional<LockFile> lock_;
  std::optional<HeadFile> head_file_;
  std::unique_ptr<Database> database_;
  Head head_;
  Status broken_;
};

}  // namespace inferneo::manager::catalog
