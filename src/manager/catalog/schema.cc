#include "manager/catalog/schema.h"

#include <array>
#include <vector>

#include "base/str.h"

namespace inferneo::manager::catalog {
namespace {

// A table whose rows are summed. `columns` in the order of their declaration.
struct Table {
  std::string_view name;
  std::string_view declaration;  // between the brackets of CREATE TABLE
  std::string_view options;
  std::vector<std::string_view> columns;
};

const std::array<Table, 5>& tables() {
  static const std::array<Table, 5> kTables = {
      Table{"models",
            "sequence INTEGER PRIMARY KEY,"
            "name TEXT NOT NULL,"
            "version TEXT NOT NULL,"
            "path TEXT NOT NULL,"
            "format TEXT NOT NULL,"
            "settings TEXT NOT NULL CHECK (json_valid(settings)),"
            "tags TEXT NOT NULL CHECK (json_valid(tags)),"
            "files TEXT NOT NULL CHECK (json_valid(files)),"
            "pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),"
            "preload INTEGER NOT NULL CHECK (preload IN (0, 1)),"
            "created_unix_ms INTEGER NOT NULL,"
            "updated_unix_ms INTEGER NOT NULL,"
            "UNIQUE (name, version)",
            "STRICT",
            {"sequence",
             "name",
             "version",
             "path",
             "format",
             "settings",
             "tags",
             "files",
             "pinned",
             "preload",
             "created_unix_ms",
             "updated_unix_ms"}},
      Table{"live",
            "name TEXT PRIMARY KEY, version TEXT NOT NULL",
            "STRICT, WITHOUT ROWID",
            {"name", "version"}},
      Table{"aliases",
            "alias TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL",
            "STRICT, WITHOUT ROWID",
            {"alias", "name", "version"}},
      Table{"states",
            "owner TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (owner, key)",
            "STRICT, WITHOUT ROWID",
            {"owner", "key", "text"}},
      Table{"audit",
            "id INTEGER PRIMARY KEY,"
            "at_unix_ms INTEGER NOT NULL,"
            "principal TEXT NOT NULL,"
            "address TEXT NOT NULL,"
            "action TEXT NOT NULL,"
            "subject TEXT NOT NULL,"
            "before TEXT NOT NULL,"
            "after TEXT NOT NULL,"
            "result TEXT NOT NULL,"
            "message TEXT NOT NULL",
            "STRICT",
            {"id",
             "at_unix_ms",
             "principal",
             "address",
             "action",
             "subject",
             "before",
             "after",
             "result",
             "message"}},
  };
  return kTables;
}

std::string hash_call(const Table& table, std::string_view row) {
  std::string call = str("row_hash('", table.name, "'");
  for (const std::string_view column : table.columns) call += str(", ", row, column);
  return call + ")";
}

// Why triggers: no way of writing can then forget the sum. Rows are added and removed, never
// updated in place, so two triggers do.
std::string table_text(const Table& table) {
  return str("CREATE TABLE ",
             table.name,
             " (",
             table.declaration,
             ") ",
             table.options,
             ";\nCREATE TRIGGER ",
             table.name,
             "_added AFTER INSERT ON ",
             table.name,
             " BEGIN UPDATE head SET row_sum = hash_sum(row_sum, ",
             hash_call(table, "new."),
             "); END;\nCREATE TRIGGER ",
             table.name,
             "_removed AFTER DELETE ON ",
             table.name,
             " BEGIN UPDATE head SET row_sum = hash_difference(row_sum, ",
             hash_call(table, "old."),
             "); END;\nCREATE TRIGGER ",
             table.name,
             "_updated BEFORE UPDATE ON ",
             table.name,
             " BEGIN SELECT RAISE(ABORT, 'rows are replaced, not updated'); END;\n");
}

std::string first_schema() {
  std::string text =
      "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, "
      "row_sum INTEGER NOT NULL) STRICT;\n"
      "INSERT INTO head VALUES (1, 0, 0);\n";
  for (const Table& table : tables()) text += table_text(table);
  return text;
}

}  // namespace

std::span<const Migration> migrations() {
  static const std::vector<Migration> kSteps = {first_schema()};
  return kSteps;
}

Status migrate(Database& database, std::span<const Migration> steps) {
  ASSIGN_OR_RETURN(const std::int64_t version, database.integer("PRAGMA user_version"));
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (version < 0 || version > newest) {
    return unsupported(str("the catalog has schema version ",
                           version,
                           ", and this program knows none after ",
                           newest))
        .with_hint("use the program that wrote it, or a newer one");
  }
  for (std::int64_t next = version; next < newest; ++next) {
    const std::string text = str("BEGIN IMMEDIATE;\n",
                                 steps[static_cast<std::size_t>(next)],
                                 "PRAGMA user_version = ",
                                 next + 1,
                                 ";\nCOMMIT;");
    if (Status status = database.run(text); !status.ok()) {
      // Fails when nothing was begun; the first failure says more.
      [[maybe_unused]] const Status undone = database.run("ROLLBACK");
      return std::move(status).with_context(str("schema version ", next + 1));
    }
  }
  return ok_status();
}

Result<std::uint64_t> sum_of_rows(Database& database) {
  std::uint64_t sum = 0;
  for (const Table& table : tables()) {
    ASSIGN_OR_RETURN(Statement rows,
                     database.prepare(str(
                         "SELECT ", hash_call(table, ""), " FROM ", table.name, " NOT INDEXED")));
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, rows.step());
      if (!row) break;
      sum += rows.unsigned_integer(0);
    }
  }
  return sum;
}

}  // namespace inferneo::manager::catalog
