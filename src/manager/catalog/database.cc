#include "manager/catalog/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error_text.h"
#include "base/str.h"
#include "manager/catalog/row_hash.h"

namespace inferneo::manager::catalog {
namespace {

bool is_out_of_space(int system_error) {
  return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

Status disk_full(std::string what) {
  return resource_exhausted(std::move(what))
      .with_where("catalog")
      .with_hint("free some space there and try again; nothing was changed");
}

Status failure(sqlite3* handle, int code) {
  const int primary = code & 0xff;
  const int system_error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
  const char* said = handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle);
  if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && is_out_of_space(system_error))) {
    return disk_full("the disk that holds the catalog is full");
  }
  // SQLite does not keep why a write failed beyond a disk that is full.
  if (code == SQLITE_IOERR_WRITE) {
    return disk_full("the disk that holds the catalog is full, over its quota, or failing");
  }
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return corrupt_data(said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return unavailable(said);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return permission_denied(
          str(said, system_error == 0 ? "" : str(" (", error_text(system_error), ")")));
    case SQLITE_NOMEM:
      return resource_exhausted("out of memory");
    default:
      return internal_error(
          str(said, system_error == 0 ? "" : str(" (", error_text(system_error), ")")));
  }
}

std::int64_t as_signed(std::uint64_t value) {
  std::int64_t out = 0;
  std::memcpy(&out, &value, sizeof(out));
  return out;
}

std::uint64_t as_unsigned(std::int64_t value) {
  std::uint64_t out = 0;
  std::memcpy(&out, &value, sizeof(out));
  return out;
}

// row_hash(column, ...): see row_hash.h. Marked innocuous because triggers of the schema call it.
void row_hash_function(sqlite3_context* context, int count, sqlite3_value** values) {
  RowHash hash;
  for (int i = 0; i < count; ++i) {
    if (sqlite3_value_type(values[i]) == SQLITE_INTEGER) {
      hash.add(as_unsigned(sqlite3_value_int64(values[i])));
      continue;
    }
    const auto* text = static_cast<const char*>(sqlite3_value_blob(values[i]));
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(values[i]));
    hash.add(text == nullptr ? std::string_view() : std::string_view(text, size));
  }
  sqlite3_result_int64(context, as_signed(hash.value()));
}

// hash_sum(a, b) modulo 2^64: SQLite's own + turns into a float where it overflows.
void hash_sum_function(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_int64(context,
                       as_signed(as_unsigned(sqlite3_value_int64(values[0])) +
                                 as_unsigned(sqlite3_value_int64(values[1]))));
}

void hash_difference_function(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_int64(context,
                       as_signed(as_unsigned(sqlite3_value_int64(values[0])) -
                                 as_unsigned(sqlite3_value_int64(values[1]))));
}

using Function = void (*)(sqlite3_context*, int, sqlite3_value**);
int add_function(sqlite3* handle, const char* name, int argument_count, Function function) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  return sqlite3_create_function(
      handle, name, argument_count, kFlags, nullptr, function, nullptr, nullptr);
}

}  // namespace

Statement::Statement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int parameter, std::string_view text) {
  const int code = sqlite3_bind_text64(
      statement_, parameter, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, parameter, value);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind_unsigned(int parameter, std::uint64_t value) {
  return bind(parameter, as_signed(value));
}

Result<bool> Statement::step() {
  if (bind_error_ != SQLITE_OK) return failure(database_, bind_error_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Status status = failure(database_, code);
  sqlite3_reset(statement_);
  return status;
}

Status Statement::run() {
  ASSIGN_OR_RETURN([[maybe_unused]] const bool row, step());
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  return ok_status();
}

std::string Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::uint64_t Statement::unsigned_integer(int column) const { return as_unsigned(integer(column)); }

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  sqlite3* handle = nullptr;
  // Why no mutex: the owner serialises all use.
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int code = sqlite3_open_v2(path.c_str(), &handle, kFlags, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (code == SQLITE_OK) code = add_function(handle, "row_hash", -1, row_hash_function);
  if (code == SQLITE_OK) code = add_function(handle, "hash_sum", 2, hash_sum_function);
  if (code == SQLITE_OK) {
    code = add_function(handle, "hash_difference", 2, hash_difference_function);
  }
  if (code != SQLITE_OK) return failure(handle, code);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // Why: what turns out to be damaged is to stay as it was found.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Why exclusive: one process owns a catalog, and then no shared-memory file is needed. Why full:
  // a commit waits for the disk, so that it survives power loss. Why cell_size_check: a damaged
  // page is to be a failure and never a wrong value.
  RETURN_IF_ERROR(
      database->run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;"
                    "PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON;"
                    "PRAGMA temp_store=MEMORY;"));
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Status Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? ok_status() : failure(handle_, code);
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return failure(handle_, code);
  return Statement(handle_, statement);
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

Result<std::string> Database::text(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.step());
  return row ? statement.text(0) : std::string();
}

Status Database::close() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  const int code = sqlite3_close(handle_);
  if (code != SQLITE_OK) return failure(handle_, code);
  handle_ = nullptr;
  return ok_status();
}

}  // namespace inferneo::manager::catalog
