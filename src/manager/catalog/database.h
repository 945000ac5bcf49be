// One SQLite connection and its statements, with failures as Status. The only file that includes
// SQLite's header is database.cc.
// Thread: one at a time. Ownership: a statement must be destroyed before its database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace inferneo::manager::catalog {

class Statement {
 public:
  Statement(sqlite3* database, sqlite3_stmt* statement);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters are numbered from 1.
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::int64_t value);
  // Stored with the same bits; SQLite has signed integers only.
  Statement& bind_unsigned(int parameter, std::uint64_t value);

  // True while there is a row. Failures: as Database, also those of bind.
  Result<bool> step();
  // Runs to its end without a row and can be run again with other values.
  Status run();

  // Of the current row, numbered from 0.
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t unsigned_integer(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
  int bind_error_ = 0;
};

class Database {
 public:
  // ":memory:" or a path; makes the file when it is missing. No other process may have it open.
  // Failures (also of everything below): resource_exhausted (disk full), corrupt_data (not a
  // database, or damaged), unavailable (locked), permission_denied, internal.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // One or more statements without results that matter.
  Status run(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row.
  Result<std::int64_t> integer(std::string_view sql);
  Result<std::string> text(std::string_view sql);

  // Moves what is in the write-ahead log into the database file and closes. Failures leave the log,
  // from which the next open goes on; so does destruction without it.
  Status close();

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_;
};

}  // namespace inferneo::manager::catalog
