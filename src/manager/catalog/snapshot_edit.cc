#include "manager/catalog/snapshot_edit.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/str.h"

namespace inferneo::manager {
namespace catalog {
namespace {

bool model_order(const std::shared_ptr<const ModelRecord>& a,
                 const std::shared_ptr<const ModelRecord>& b) {
  return std::tie(a->name, a->sequence) < std::tie(b->name, b->sequence);
}

// Puts `item` where its name belongs, in place of one of the same name.
template <typename Item>
void put_by_name(std::vector<Item>& sorted, Item item, std::string Item::*name) {
  const auto at = std::ranges::lower_bound(sorted, item.*name, {}, name);
  if (at != sorted.end() && (*at).*name == item.*name) {
    *at = std::move(item);
  } else {
    sorted.insert(at, std::move(item));
  }
}

template <typename Item>
void remove_by_name(std::vector<Item>& sorted, std::string_view removed, std::string Item::*name) {
  std::erase_if(sorted, [&](const Item& item) { return item.*name == removed; });
}

}  // namespace

std::shared_ptr<const CatalogSnapshot> SnapshotEdit::build(Contents contents) {
  Changes all;
  all.models = std::move(contents.models);
  all.live = std::move(contents.live);
  all.aliases = std::move(contents.aliases);
  return apply(CatalogSnapshot(), all, contents.revision);
}

std::shared_ptr<const CatalogSnapshot> SnapshotEdit::apply(const CatalogSnapshot& old,
                                                           const Changes& changes,
                                                           std::uint64_t revision) {
  auto next = std::make_shared<CatalogSnapshot>(old);
  next->revision_ = revision;
  const auto is_replaced = [&](const std::shared_ptr<const ModelRecord>& model) {
    return std::ranges::find(changes.removed_models, model->sequence) !=
               changes.removed_models.end() ||
           std::ranges::find(changes.models, model->sequence, &ModelRecord::sequence) !=
               changes.models.end();
  };
  if (!old.models_.empty()) std::erase_if(next->models_, is_replaced);
  for (const ModelRecord& model : changes.models) {
    next->models_.push_back(std::make_shared<const ModelRecord>(model));
  }
  if (!changes.models.empty()) std::ranges::sort(next->models_, model_order);
  for (const std::string& name : changes.removed_live) {
    remove_by_name(next->live_, name, &CatalogSnapshot::Live::name);
  }
  for (const LiveVersion& live : changes.live) {
    put_by_name(next->live_, {live.name, live.version}, &CatalogSnapshot::Live::name);
  }
  for (const std::string& alias : changes.removed_aliases) {
    remove_by_name(next->aliases_, alias, &AliasRecord::alias);
  }
  for (const AliasRecord& alias : changes.aliases) {
    put_by_name(next->aliases_, alias, &AliasRecord::alias);
  }
  return next;
}

const AliasRecord* find_alias(const std::vector<AliasRecord>& aliases, std::string_view alias) {
  const auto at = std::ranges::lower_bound(aliases, alias, {}, &AliasRecord::alias);
  return at != aliases.end() && at->alias == alias ? &*at : nullptr;
}

}  // namespace catalog

namespace {

struct NameOrder {
  bool operator()(const std::shared_ptr<const ModelRecord>& model, std::string_view name) const {
    return model->name < name;
  }
  bool operator()(std::string_view name, const std::shared_ptr<const ModelRecord>& model) const {
    return name < model->name;
  }
};

Status unknown_model(const CatalogSnapshot& snapshot, std::string_view model) {
  std::vector<std::string_view> names;
  for (const auto& record : snapshot.models()) {
    if (names.empty() || names.back() != record->name) names.push_back(record->name);
  }
  for (const AliasRecord& alias : snapshot.aliases()) names.push_back(alias.alias);
  const std::string_view near = nearest_name(model.substr(0, model.rfind(':')), names);
  return not_found(str("the model '", printable(model), "' does not exist"))
      .with_where("model")
      .with_hint(near.empty() ? "GET /v1/models lists the names"
                              : str("did you mean '", near, "'?"));
}

}  // namespace

std::shared_ptr<const ModelRecord> CatalogSnapshot::find(std::string_view name,
                                                         std::string_view version) const {
  if (version.empty() || version == kLatestVersion) version = live_version(name);
  const auto [begin, end] = std::equal_range(models_.begin(), models_.end(), name, NameOrder());
  const auto at = std::find_if(begin, end, [&](const auto& m) { return m->version == version; });
  return at == end ? nullptr : *at;
}

std::vector<std::shared_ptr<const ModelRecord>> CatalogSnapshot::versions(
    std::string_view name) const {
  const auto [begin, end] = std::equal_range(models_.begin(), models_.end(), name, NameOrder());
  return {begin, end};
}

std::string_view CatalogSnapshot::live_version(std::string_view name) const {
  const auto at = std::ranges::lower_bound(live_, name, {}, &Live::name);
  return at != live_.end() && at->name == name ? std::string_view(at->version) : std::string_view();
}

Result<std::shared_ptr<const ModelRecord>> CatalogSnapshot::resolve(std::string_view model) const {
  std::string_view name = model;
  std::string_view version;
  if (const AliasRecord* alias = catalog::find_alias(aliases_, model); alias != nullptr) {
    name = alias->name;
    version = alias->version;
  } else if (const std::size_t colon = model.rfind(':'); colon != std::string_view::npos) {
    name = model.substr(0, colon);
    version = model.substr(colon + 1);
    if (version.empty()) return unknown_model(*this, model);
  }
  auto found = find(name, version);
  if (found == nullptr) return unknown_model(*this, model);
  return found;
}

}  // namespace inferneo::manager
