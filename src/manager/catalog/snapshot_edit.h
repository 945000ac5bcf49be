// The next snapshot from the last one and what was written: the same changes that the store
// applied, so that memory and disk cannot differ.
// Thread: any.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "manager/catalog.h"
#include "manager/catalog/store.h"

namespace inferneo::manager::catalog {

class SnapshotEdit {
 public:
  static std::shared_ptr<const CatalogSnapshot> build(Contents contents);
  static std::shared_ptr<const CatalogSnapshot> apply(const CatalogSnapshot& old,
                                                      const Changes& changes,
                                                      std::uint64_t revision);
};

// Null when there is none. Borrowed from the list, which is sorted.
const AliasRecord* find_alias(const std::vector<AliasRecord>& aliases, std::string_view alias);

}  // namespace inferneo::manager::catalog
