#include "manager/catalog/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/limits.h"
#include "base/str.h"
#include "manager/catalog/schema.h"
#include "manager/catalog_json.h"

namespace inferneo::manager::catalog {
namespace {

constexpr std::string_view kHeadSuffix = ".head";
// A database that is being made; it gets its name when it is whole.
constexpr std::string_view kNewSuffix = ".new";
constexpr std::string_view kSqliteMagic("SQLite format 3\0", 16);
// Spec: sqlite.org/fileformat2.html section 1.3, "Application ID".
constexpr std::size_t kApplicationIdOffset = 68;
constexpr std::size_t kHeaderSize = 100;

Status damaged(const std::string& path, std::string_view what) {
  return corrupt_data(str("the catalog '", path, "' ", what))
      .with_where("catalog")
      .with_hint(
          "nothing was changed; put back a copy of the store (the files that begin with that "
          "name), or move them away to start with an empty one");
}

// A failure of the store's own files, said with the store's name.
Status in_store(const std::string& path, Status status) {
  if (status.code() == StatusCode::kCorruptData && status.hint().empty()) {
    return damaged(path, str("is damaged: ", status.message()));
  }
  return std::move(status).with_context(str("catalog '", path, "'"));
}

Status make_directory_of(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) return ok_status();
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return ok_status();
  std::filesystem::create_directories(directory, error);
  if (error) {
    const std::string text =
        str("cannot make the directory '", directory.string(), "': ", error.message());
    if (error == std::errc::no_space_on_device) return resource_exhausted(text);
    return permission_denied(text).with_hint("choose another place with --catalog PATH");
  }
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  return sync_directory_of(directory.string());
}

// Before SQLite opens it, which may already write to it: whether it is one of ours at all.
Status check_header(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return permission_denied(str("cannot read '", path, "'"));
  struct stat info {};
  char header[kHeaderSize] = {};
  const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const ssize_t size = is_file ? ::pread(fd, header, sizeof(header), 0) : 0;
  ::close(fd);
  if (!is_file) return damaged(path, "is not a file");
  const bool is_sqlite = size == static_cast<ssize_t>(kHeaderSize) &&
                         std::string_view(header, kSqliteMagic.size()) == kSqliteMagic;
  if (!is_sqlite) return damaged(path, "is not a database: its first bytes are of something else");
  std::int64_t id = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    id = (id << 8) | static_cast<unsigned char>(header[kApplicationIdOffset + i]);
  }
  if (id == kApplicationId) return ok_status();
  return damaged(path, "is a database of another program (its application id says so)");
}

void remove_unfinished(const std::string& path) {
  for (const std::string_view suffix : {"", "-journal", "-wal", "-shm"}) {
    ::unlink(str(path, kNewSuffix, suffix).c_str());
  }
}

// Whole before it has its name, so that a crash leaves either no store or a good one.
Status create_database(const std::string& path) {
  const std::string unfinished = str(path, kNewSuffix);
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::open(unfinished));
  RETURN_IF_ERROR(database->run(str("PRAGMA application_id = ", kApplicationId, ";")));
  RETURN_IF_ERROR(migrate(*database, migrations()));
  // Why last: until then each commit goes into the file itself, and closing a log can fail unseen.
  ASSIGN_OR_RETURN(const std::string mode, database->text("PRAGMA journal_mode = WAL"));
  if (std::string_view(mode) != "wal") return internal_error("SQLite made no write-ahead log");
  RETURN_IF_ERROR(database->close());
  if (::chmod(unfinished.c_str(), S_IRUSR | S_IWUSR) != 0 ||
      ::rename(unfinished.c_str(), path.c_str()) != 0) {
    return permission_denied(str("cannot make '", path, "'"));
  }
  RETURN_IF_ERROR(sync_directory_of(path));
  return HeadFile::create(str(path, kHeadSuffix), Head());
}

Result<Head> head_in(Database& database) {
  ASSIGN_OR_RETURN(Statement statement, database.prepare("SELECT revision, row_sum FROM head"));
  ASSIGN_OR_RETURN(const bool row, statement.step());
  if (!row) return corrupt_data("the table 'head' is empty");
  return Head{statement.unsigned_integer(0), statement.unsigned_integer(1)};
}

std::string cut(const std::string& text) {
  if (text.size() <= limits::kAuditTextSizeMax) return text;
  return str(printable(text, limits::kAuditTextSizeMax), " ... (", text.size(), " bytes)");
}

Status put_model(Database& database, const ModelRecord& model) {
  ASSIGN_OR_RETURN(Statement remove, database.prepare("DELETE FROM models WHERE sequence = ?1"));
  RETURN_IF_ERROR(remove.bind_unsigned(1, model.sequence).run());
  ASSIGN_OR_RETURN(
      Statement add,
      database.prepare("INSERT INTO models VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"));
  return add.bind_unsigned(1, model.sequence)
      .bind(2, model.name)
      .bind(3, model.version)
      .bind(4, model.path)
      .bind(5, model_format_name(model.format))
      .bind(6, settings_json(model.settings))
      .bind(7, tags_json(model.tags))
      .bind(8, files_json(model.files))
      .bind(9, static_cast<std::int64_t>(model.pinned))
      .bind(10, static_cast<std::int64_t>(model.preload))
      .bind(11, model.created_unix_ms)
      .bind(12, model.updated_unix_ms)
      .run();
}

Result<ModelRecord> read_model(const Statement& row) {
  ModelRecord model;
  model.sequence = row.unsigned_integer(0);
  model.name = row.text(1);
  model.version = row.text(2);
  model.path = row.text(3);
  const std::optional<ModelFormat> format = parse_model_format(row.text(4));
  if (!format) {
    return unsupported(str("model '", model.name, "' has a format this program does not know"));
  }
  model.format = *format;
  ASSIGN_OR_RETURN(model.settings, parse_settings_json(row.text(5)));
  ASSIGN_OR_RETURN(model.tags, parse_tags_json(row.text(6)));
  ASSIGN_OR_RETURN(model.files, parse_files_json(row.text(7)));
  model.pinned = row.integer(8) != 0;
  model.preload = row.integer(9) != 0;
  model.created_unix_ms = row.integer(10);
  model.updated_unix_ms = row.integer(11);
  return model;
}

// Calls `read` for each row of a query. Failures: those of both.
template <typename Read>
Status for_each_row(Database& database, std::string_view sql, Read read) {
  ASSIGN_OR_RETURN(Statement rows, database.prepare(sql));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return ok_status();
    RETURN_IF_ERROR(read(rows));
  }
}

Status remove_by_name(Database& database,
                      std::string_view sql,
                      const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(Statement remove, database.prepare(sql));
    RETURN_IF_ERROR(remove.bind(1, name).run());
  }
  return ok_status();
}

Status put_live(Database& database, const LiveVersion& live) {
  RETURN_IF_ERROR(remove_by_name(database, "DELETE FROM live WHERE name = ?1", {live.name}));
  ASSIGN_OR_RETURN(Statement add, database.prepare("INSERT INTO live VALUES (?1, ?2)"));
  return add.bind(1, live.name).bind(2, live.version).run();
}

Status put_alias(Database& database, const AliasRecord& alias) {
  RETURN_IF_ERROR(remove_by_name(database, "DELETE FROM aliases WHERE alias = ?1", {alias.alias}));
  ASSIGN_OR_RETURN(Statement add, database.prepare("INSERT INTO aliases VALUES (?1, ?2, ?3)"));
  return add.bind(1, alias.alias).bind(2, alias.name).bind(3, alias.version).run();
}

Status remove_state(Database& database, std::string_view owner, std::string_view key) {
  ASSIGN_OR_RETURN(Statement remove,
                   database.prepare("DELETE FROM states WHERE owner = ?1 AND key = ?2"));
  return remove.bind(1, owner).bind(2, key).run();
}

Status put_state(Database& database, const StateText& state) {
  RETURN_IF_ERROR(remove_state(database, state.owner, state.key));
  ASSIGN_OR_RETURN(Statement add, database.prepare("INSERT INTO states VALUES (?1, ?2, ?3)"));
  return add.bind(1, state.owner).bind(2, state.key).bind(3, state.text).run();
}

Status put_audit(Database& database, const AuditRecord& record) {
  ASSIGN_OR_RETURN(Statement add,
                   database.prepare("INSERT INTO audit VALUES "
                                    "((SELECT ifnull(max(id), 0) + 1 FROM audit),"
                                    "?1,?2,?3,?4,?5,?6,?7,?8,?9)"));
  RETURN_IF_ERROR(add.bind(1, record.at_unix_ms)
                      .bind(2, record.actor.principal)
                      .bind(3, record.actor.address)
                      .bind(4, record.action)
                      .bind(5, record.subject)
                      .bind(6, cut(record.before))
                      .bind(7, cut(record.after))
                      .bind(8, record.result)
                      .bind(9, cut(record.message))
                      .run());
  ASSIGN_OR_RETURN(
      Statement trim,
      database.prepare("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1"));
  return trim.bind(1, static_cast<std::int64_t>(limits::kAuditRecordCountMax)).run();
}

}  // namespace

// A failure leaves the log beside the database, and the next open goes on from there.
Store::~Store() {
  if (!head_file_ || !broken_.ok()) return;
  [[maybe_unused]] const Status closed = database_->close();
}

Result<std::unique_ptr<Store>> Store::open_memory() {
  std::unique_ptr<Store> store(new Store());
  ASSIGN_OR_RETURN(store->database_, Database::open(":memory:"));
  RETURN_IF_ERROR(migrate(*store->database_, migrations()));
  return store;
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path, std::string_view owner_url) {
  if (path.empty()) return open_memory();
  RETURN_IF_ERROR(make_directory_of(path));
  std::unique_ptr<Store> store(new Store());
  ASSIGN_OR_RETURN(store->lock_, LockFile::acquire(lock_path(path), owner_url));
  if (Status status = store->open_files(path); !status.ok()) {
    return in_store(path, std::move(status));
  }
  return store;
}

Status Store::open_files(const std::string& path) {
  const std::string head_path = str(path, kHeadSuffix);
  remove_unfinished(path);
  ASSIGN_OR_RETURN(std::optional<Head> head, HeadFile::read(head_path));
  if (::access(path.c_str(), F_OK) != 0) {
    if (head) {
      return damaged(path,
                     str("is missing, but its head file counts ", head->revision, " changes"));
    }
    RETURN_IF_ERROR(create_database(path));
    head = Head();
  }
  RETURN_IF_ERROR(check_header(path));
  ASSIGN_OR_RETURN(database_, Database::open(path));
  RETURN_IF_ERROR(verify(head));
  if (!head) RETURN_IF_ERROR(HeadFile::create(head_path, head_));
  ASSIGN_OR_RETURN(head_file_, HeadFile::open(head_path));
  // What was committed just before a crash and never acknowledged is kept: count it now.
  return head && *head == head_ ? ok_status() : head_file_->write(head_);
}

Status Store::verify(const std::optional<Head>& expected) {
  // Why 200 pages: a log of less than a megabyte is read in a millisecond at the next start.
  RETURN_IF_ERROR(database_->run("PRAGMA wal_autocheckpoint = 200;"));
  const Result<std::string> verdict = database_->text("PRAGMA integrity_check(1)");
  if (!verdict.has_value()) return verdict.error();
  if (std::string_view(*verdict) != "ok") return corrupt_data(*verdict);
  RETURN_IF_ERROR(migrate(*database_, migrations()));
  ASSIGN_OR_RETURN(head_, head_in(*database_));
  ASSIGN_OR_RETURN(const std::uint64_t sum, sum_of_rows(*database_));
  if (sum != head_.row_sum) {
    return corrupt_data("its records do not add up to what was written");
  }
  // Without a head file nothing can have been acknowledged yet: it is made before the first change.
  const Head known = expected.value_or(Head());
  if (!expected && head_.revision != 0) {
    return corrupt_data("its head file is missing although there were changes");
  }
  if (head_.revision < known.revision) {
    return corrupt_data(str("it holds ",
                            head_.revision,
                            " changes, but ",
                            known.revision,
                            " were acknowledged: the last ones are lost"));
  }
  if (head_.revision > known.revision + 1 ||
      (head_.revision == known.revision && head_.row_sum != known.row_sum)) {
    return corrupt_data("database and head file do not belong together");
  }
  return ok_status();
}

Result<Contents> Store::contents() {
  Contents contents;
  contents.revision = head_.revision;
  RETURN_IF_ERROR(for_each_row(
      *database_, "SELECT * FROM models ORDER BY sequence", [&](const Statement& row) -> Status {
        ASSIGN_OR_RETURN(ModelRecord model, read_model(row));
        contents.models.push_back(std::move(model));
        return ok_status();
      }));
  RETURN_IF_ERROR(for_each_row(*database_, "SELECT * FROM live", [&](const Statement& row) {
    contents.live.push_back({row.text(0), row.text(1)});
    return ok_status();
  }));
  RETURN_IF_ERROR(for_each_row(*database_, "SELECT * FROM aliases", [&](const Statement& row) {
    contents.aliases.push_back({row.text(0), row.text(1), row.text(2)});
    return ok_status();
  }));
  return contents;
}

Status Store::write_rows(const Changes& changes) {
  for (const std::uint64_t sequence : changes.removed_models) {
    ASSIGN_OR_RETURN(Statement remove,
                     database_->prepare("DELETE FROM models WHERE sequence = ?1"));
    RETURN_IF_ERROR(remove.bind_unsigned(1, sequence).run());
  }
  RETURN_IF_ERROR(
      remove_by_name(*database_, "DELETE FROM live WHERE name = ?1", changes.removed_live));
  RETURN_IF_ERROR(
      remove_by_name(*database_, "DELETE FROM aliases WHERE alias = ?1", changes.removed_aliases));
  for (const auto& [owner, key] : changes.removed_states) {
    RETURN_IF_ERROR(remove_state(*database_, owner, key));
  }
  for (const ModelRecord& model : changes.models) RETURN_IF_ERROR(put_model(*database_, model));
  for (const LiveVersion& live : changes.live) RETURN_IF_ERROR(put_live(*database_, live));
  for (const AliasRecord& alias : changes.aliases) RETURN_IF_ERROR(put_alias(*database_, alias));
  for (const StateText& state : changes.states) RETURN_IF_ERROR(put_state(*database_, state));
  for (const AuditRecord& record : changes.audit) RETURN_IF_ERROR(put_audit(*database_, record));
  return database_->run("UPDATE head SET revision = revision + 1");
}

Status Store::apply(const Changes& changes) {
  RETURN_IF_ERROR(broken_);
  RETURN_IF_ERROR(database_->run("BEGIN IMMEDIATE"));
  Status status = write_rows(changes);
  Head next;
  if (status.ok()) {
    const Result<Head> head = head_in(*database_);
    if (head.has_value()) next = *head;
    status = head.status();
  }
  if (status.ok()) status = database_->run("COMMIT");
  if (!status.ok()) {
    // Fails when SQLite has rolled back already; the first failure says more.
    [[maybe_unused]] const Status undone = database_->run("ROLLBACK");
    return status;
  }
  head_ = next;
  if (!head_file_) return ok_status();
  status = head_file_->write(next);
  if (status.ok()) return status;
  // The change is in the database, and what counts acknowledged changes does not know it.
  broken_ = unavailable(str("the catalog takes no further changes: its head file could not be "
                            "written (",
                            status.message(),
                            ")"))
                .with_where("catalog")
                .with_hint("remove the cause and restart; this change may be there then");
  return broken_;
}

Result<std::vector<std::pair<std::string, std::string>>> Store::states(std::string_view owner) {
  std::vector<std::pair<std::string, std::string>> out;
  ASSIGN_OR_RETURN(
      Statement rows,
      database_->prepare("SELECT key, text FROM states WHERE owner = ?1 ORDER BY key"));
  rows.bind(1, owner);
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return out;
    out.emplace_back(rows.text(0), rows.text(1));
  }
}

Result<std::vector<AuditRecord>> Store::audit(const AuditQuery& query) {
  std::vector<AuditRecord> out;
  ASSIGN_OR_RETURN(Statement rows,
                   database_->prepare("SELECT * FROM audit WHERE (?1 = '' OR subject = ?1 OR "
                                      "substr(subject, 1, length(?1) + 1) = ?1 || ':') AND "
                                      "(?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3"));
  rows.bind(1, query.subject)
      .bind_unsigned(2, query.before_id)
      .bind(3, static_cast<std::int64_t>(query.count_max));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return out;
    out.push_back({.id = rows.unsigned_integer(0),
                   .at_unix_ms = rows.integer(1),
                   .actor = {rows.text(2), rows.text(3)},
                   .action = rows.text(4),
                   .subject = rows.text(5),
                   .before = rows.text(6),
                   .after = rows.text(7),
                   .result = rows.text(8),
                   .message = rows.text(9)});
  }
}

Status Store::set_owner_url(std::string_view url) {
  return lock_ ? lock_->set_url(url) : ok_status();
}

}  // namespace inferneo::manager::catalog
