// The record of models that outlives the process: which versions there are and where, what is
// pinned, which names point where, and who changed what. It loads nothing: what is in memory now is
// the manager's business (manager.h).
//
// Kept in one SQLite database (WAL, every commit synced) plus a head file that counts acknowledged
// changes, so that a change that was answered with success survives kill -9 and power loss, and a
// store that lost or altered one is refused with the reason and never silently made new. One
// process at a time holds a store. docs/catalog.md has the promises and how they are tested.
//
// Reads come from an immutable snapshot in memory and take no lock that a write holds. Writes are
// serialised, wait for the disk (milliseconds), and append an audit record in the same transaction.
// Thread: any. Ownership: owns the database; snapshots may outlive the catalog.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "manager/catalog_record.h"

namespace inferneo::manager {

namespace catalog {
class SnapshotEdit;
}  // namespace catalog

// All records at one moment. Immutable; copying the lists of a thousand models copies pointers.
class CatalogSnapshot {
 public:
  // Sorted by name, then by order of registration.
  [[nodiscard]] const std::vector<std::shared_ptr<const ModelRecord>>& models() const {
    return models_;
  }
  [[nodiscard]] const std::vector<AliasRecord>& aliases() const { return aliases_; }
  // Counts changes since the store was made.
  [[nodiscard]] std::uint64_t revision() const { return revision_; }

  // Null when there is none. An empty version or "latest" means the live one.
  [[nodiscard]] std::shared_ptr<const ModelRecord> find(std::string_view name,
                                                        std::string_view version) const;
  // All versions of a name, in order of registration.
  [[nodiscard]] std::vector<std::shared_ptr<const ModelRecord>> versions(
      std::string_view name) const;
  // The version that the bare name stands for; empty when the name is unknown.
  [[nodiscard]] std::string_view live_version(std::string_view name) const;
  // What a request's "model" stands for: "name", "name:version" or an alias.
  // Failures: not_found at "model", with the nearest name as hint.
  [[nodiscard]] Result<std::shared_ptr<const ModelRecord>> resolve(std::string_view model) const;

 private:
  friend class catalog::SnapshotEdit;
  struct Live {
    std::string name;
    std::string version;
  };
  std::vector<std::shared_ptr<const ModelRecord>> models_;
  std::vector<AliasRecord> aliases_;
  std::vector<Live> live_;  // sorted by name
  std::uint64_t revision_ = 0;
};

struct CatalogOptions {
  // The database file; its directory is made when missing. Empty: a record in memory only.
  std::string path;
  // What a second process is told about this one ("http://127.0.0.1:8000"); see set_owner_url.
  std::string owner_url;
};

// Who holds a store, as its lock file says.
struct CatalogOwner {
  std::int64_t process_id = 0;  // 0 when not known
  std::string url;              // empty while it does not listen
};

class Catalog {
 public:
  // Opens or makes the store. Failures, each with what to do:
  //   unavailable        another process holds it; where() is "catalog" and the message names it
  //   corrupt_data       not a catalog, damaged, or an acknowledged change is missing
  //   unsupported        made by a newer program
  //   permission_denied, resource_exhausted (disk full), internal
  static Result<std::unique_ptr<Catalog>> open(const CatalogOptions& options);
  // After open() failed with unavailable: who has it.
  static CatalogOwner owner_of(const std::string& path);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  [[nodiscard]] std::shared_ptr<const CatalogSnapshot> snapshot() const;
  [[nodiscard]] bool is_durable() const;
  [[nodiscard]] const std::string& path() const;  // empty for memory

  // Every change below fails with: resource_exhausted (disk full; nothing changed), unavailable
  // (released, see below), internal. A refused change is recorded in the audit too.

  // The first version of a name becomes its live one. Paths are not looked at: see
  // check_model_files (manager/model_files.h), which the callers of this have done.
  // Failures: already_exists, invalid_argument (name, version, config key or value, tag).
  Result<std::shared_ptr<const ModelRecord>> register_model(const ModelRegistration& registration,
                                                            const Actor& actor);
  // Only the members that are set. Failures: not_found, invalid_argument.
  Result<std::shared_ptr<const ModelRecord>> change_model(std::string_view name,
                                                          std::string_view version,
                                                          const ModelChange& change,
                                                          const Actor& actor);
  // Which version the bare name stands for. Failures: not_found.
  Status set_live_version(std::string_view name, std::string_view version, const Actor& actor);
  // An empty version removes all versions and the name. Failures: not_found; failed_precondition
  // while an alias points at it, or when it is live and other versions exist.
  Status remove_model(std::string_view name, std::string_view version, const Actor& actor);
  // `target` is "name" (follows the live version) or "name:version"; an existing alias moves.
  // Failures: not_found (target), already_exists (a model has that name), invalid_argument.
  Status set_alias(std::string_view alias, std::string_view target, const Actor& actor);
  Status remove_alias(std::string_view alias, const Actor& actor);

  // A small text that another part of the control plane keeps across restarts (the state of a
  // rollout, the history of experiments), by owner and key. Not audited: the owner records what it
  // means with append_audit. Failures: invalid_argument (larger than
  // limits::kCatalogStateSizeMax).
  Status save_state(std::string_view owner, std::string_view key, std::string_view text);
  Status remove_state(std::string_view owner, std::string_view key);
  // (key, text), sorted by key.
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> states(
      std::string_view owner) const;

  // For changes of what is in memory rather than of the record: load, unload, rollouts. `id` and
  // `at_unix_ms` are filled in.
  Status append_audit(AuditRecord record);
  // Newest first. The oldest are dropped beyond limits::kAuditRecordCountMax.
  [[nodiscard]] Result<std::vector<AuditRecord>> audit(const AuditQuery& query) const;

  // Once the server listens: what a second process is told to talk to.
  Status set_owner_url(std::string_view url);
  // Gives the store to a successor (restart in place): closes it and lets go of its lock. Reads go
  // on from the last snapshot, writes fail with unavailable.
  void release();
  // Takes the store back from a successor that went away: opens it again and reads what is there.
  // Nothing to do when it was not released. Failures: those of open(); reads go on as before then.
  Status reopen();

 private:
  struct Impl;
  explicit Catalog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::manager
