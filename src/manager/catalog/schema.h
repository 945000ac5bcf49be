// The tables of the catalog's database and how older ones become current.
// Thread: one at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "manager/catalog/database.h"

namespace inferneo::manager::catalog {

// In the header of the file, so that another program's database is never taken for a catalog.
inline constexpr std::int64_t kApplicationId = 0x494e4643;  // "INFC"

// A step from one version of the schema to the next; version n is the result of the first n.
using Migration = std::string;
std::span<const Migration> migrations();

// Runs the steps that are missing, each in a transaction. Failures: unsupported for a database
// newer than the last step, those of Database.
Status migrate(Database& database, std::span<const Migration> steps);

// The sum of row_hash over all rows of all tables, as the database now has them.
Result<std::uint64_t> sum_of_rows(Database& database);

}  // namespace inferneo::manager::catalog
