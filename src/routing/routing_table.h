// The splits of all names, as an immutable value: whoever publishes models puts a table into the
// same snapshot, so that a request sees versions and shares of one moment and takes no lock of the
// control plane.
// Thread: any (const). Ownership: value type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routing/split.h"
#include "routing/subject.h"

namespace inferneo::routing {

class RoutingTable {
 public:
  // Null when all requests of the name go to its live version. Borrowed from the table.
  // O(log n) over the names that are split now.
  [[nodiscard]] const Split* find(std::string_view name) const;

  // The version for a request of that name, empty when the name is not split. Without a
  // source the stable version. Borrowed from the table.
  [[nodiscard]] std::string_view version_for(std::string_view name,
                                             const SubjectSource* source) const;

  // A table with this split in place of the name's former one.
  [[nodiscard]] RoutingTable with(Split split) const;
  [[nodiscard]] RoutingTable without(std::string_view name) const;

  [[nodiscard]] const std::vector<Split>& splits() const { return splits_; }

 private:
  std::vector<Split> splits_;  // by name
};

}  // namespace inferneo::routing
