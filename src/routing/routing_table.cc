#include "routing/routing_table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace inferneo::routing {
namespace {

auto position(std::vector<Split>& splits, std::string_view name) {
  return std::lower_bound(splits.begin(), splits.end(), name, [](const Split& split, auto key) {
    return split.name < key;
  });
}

}  // namespace

const Split* RoutingTable::find(std::string_view name) const {
  const auto found =
      std::lower_bound(splits_.begin(), splits_.end(), name, [](const Split& split, auto key) {
        return split.name < key;
      });
  return found != splits_.end() && found->name == name ? &*found : nullptr;
}

std::string_view RoutingTable::version_for(std::string_view name,
                                           const SubjectSource* source) const {
  const Split* split = find(name);
  if (split == nullptr) return {};
  if (source == nullptr) return split->stable;
  return routing::version_for(*split, source->subject());
}

RoutingTable RoutingTable::with(Split split) const {
  CHECK(split.candidate_share >= 0 && split.candidate_share <= kWholeShare);
  RoutingTable next = *this;
  const auto at = position(next.splits_, split.name);
  if (at != next.splits_.end() && at->name == split.name) {
    *at = std::move(split);
  } else {
    next.splits_.insert(at, std::move(split));
  }
  return next;
}

RoutingTable RoutingTable::without(std::string_view name) const {
  RoutingTable next = *this;
  const auto at = position(next.splits_, name);
  if (at != next.splits_.end() && at->name == name) next.splits_.erase(at);
  return next;
}

}  // namespace inferneo::routing
