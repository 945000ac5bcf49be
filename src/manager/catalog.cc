#include "manager/catalog.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "manager/catalog/snapshot_edit.h"
#include "manager/catalog/store.h"
#include "manager/catalog_json.h"
#include "manager/model_settings.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using catalog::Changes;

std::int64_t unix_ms_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<std::vector<std::string>> checked_tags(std::vector<std::string> tags) {
  if (tags.size() > limits::kCatalogTagCountMax) {
    return invalid_argument(str("at most ", limits::kCatalogTagCountMax, " tags"))
        .with_where("tags");
  }
  for (const std::string& tag : tags) {
    if (!tag.empty() && tag.size() <= limits::kCatalogTagSizeMax && utf8::is_valid(tag)) continue;
    return invalid_argument(str("tag '",
                                printable(tag),
                                "' must be 1 to ",
                                limits::kCatalogTagSizeMax,
                                " bytes of text"))
        .with_where("tags");
  }
  std::ranges::sort(tags);
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return tags;
}

Status check_path(std::string_view path) {
  if (path.starts_with('/') && path.find('\0') == std::string_view::npos) return ok_status();
  return invalid_argument(str("path '", printable(path, 256), "' is not absolute"))
      .with_where("path");
}

std::string json_of(const ModelRecord* model) {
  return model == nullptr ? std::string() : text::to_json(model_value(*model));
}

std::string json_of(std::string_view key, std::string_view value) {
  text::Value::Dict dict;
  dict.emplace_back(std::string(key), value);
  return value.empty() ? std::string() : text::to_json(dict);
}

std::string alias_target(const AliasRecord* alias) {
  return alias == nullptr ? std::string() : model_id(alias->name, alias->version);
}

// The number after the highest version that is a number; "1" for the first.
std::string next_version(const CatalogSnapshot& snapshot, std::string_view name) {
  std::uint64_t highest = 0;
  for (const auto& model : snapshot.versions(name)) {
    std::uint64_t number = 0;
    const char* end = model->version.data() + model->version.size();
    const auto parsed = std::from_chars(model->version.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) highest = std::max(highest, number);
  }
  return str(highest + 1);
}

Status no_such_model(std::string_view name, std::string_view version) {
  return not_found(str("there is no model '", printable(model_id(name, version), 256), "'"))
      .with_where("model")
      .with_hint("`inferneo models list` and GET /api/v1/model_serving/models list them");
}

}  // namespace

struct Catalog::Impl {
  // Finishes a change: with its audit record when it is one, and its refusal recorded when not.
  struct Attempt {
    const Actor& actor;
    std::string action;
    std::string subject;
    std::string before = {};
    std::string after = {};
  };

  [[nodiscard]] std::shared_ptr<const CatalogSnapshot> current() const {
    const std::lock_guard lock(snapshot_mutex);
    return snapshot;
  }
  // With write_mutex held, as all below.
  Status commit(const Changes& changes);
  Status finish(const Attempt& attempt, Result<Changes> changes);

  Result<Changes> plan_registration(const ModelRegistration& registration,
                                    const std::string& version,
                                    Attempt& attempt) const;
  Result<Changes> plan_change(std::string_view name,
                              std::string_view version,
                              const ModelChange& change,
                              Attempt& attempt) const;
  Result<Changes> plan_live(std::string_view name,
                            std::string_view version,
                            Attempt& attempt) const;
  Result<Changes> plan_removal(std::string_view name,
                               std::string_view version,
                               Attempt& attempt) const;
  Result<Changes> plan_alias(std::string_view alias,
                             std::string_view target,
                             Attempt& attempt) const;

  std::string path;
  std::string owner_url;
  std::mutex write_mutex;
  bool is_released = false;
  std::unique_ptr<catalog::Store> store;  // null while a store on disk is released
  mutable std::mutex snapshot_mutex;
  std::shared_ptr<const CatalogSnapshot> snapshot;
};

Status Catalog::Impl::commit(const Changes& changes) {
  if (is_released) {
    return unavailable("the catalog was handed over to another process")
        .with_where("catalog")
        .with_hint("ask again: the server that took over answers");
  }
  RETURN_IF_ERROR(store->apply(changes));
  auto next = catalog::SnapshotEdit::apply(*current(), changes, store->revision());
  const std::lock_guard lock(snapshot_mutex);
  snapshot = std::move(next);
  return ok_status();
}

Status Catalog::Impl::finish(const Attempt& attempt, Result<Changes> changes) {
  AuditRecord record{.at_unix_ms = unix_ms_now(),
                     .actor = attempt.actor,
                     .action = attempt.action,
                     .subject = attempt.subject,
                     .before = attempt.before,
                     .after = attempt.after};
  if (changes.has_value()) {
    changes->audit.push_back(std::move(record));
    return commit(*changes);
  }
  record.after.clear();
  record.result = status_code_name(changes.error().code());
  record.message = changes.error().message();
  Changes refusal;
  refusal.audit.push_back(std::move(record));
  // The caller is to hear why it was refused, also when that cannot be written down.
  [[maybe_unused]] const Status recorded = commit(refusal);
  return std::move(changes).error();
}

Catalog::Catalog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Catalog::~Catalog() = default;

Result<std::unique_ptr<Catalog>> Catalog::open(const CatalogOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->path = options.path;
  impl->owner_url = options.owner_url;
  ASSIGN_OR_RETURN(impl->store, catalog::Store::open(options.path, options.owner_url));
  ASSIGN_OR_RETURN(catalog::Contents contents, impl->store->contents());
  impl->snapshot = catalog::SnapshotEdit::build(std::move(contents));
  return std::unique_ptr<Catalog>(new Catalog(std::move(impl)));
}

CatalogOwner Catalog::owner_of(const std::string& path) {
  return catalog::LockFile::read_owner(catalog::lock_path(path));
}

std::shared_ptr<const CatalogSnapshot> Catalog::snapshot() const { return impl_->current(); }
bool Catalog::is_durable() const { return !impl_->path.empty(); }
const std::string& Catalog::path() const { return impl_->path; }

Result<Changes> Catalog::Impl::plan_registration(const ModelRegistration& registration,
                                                 const std::string& version,
                                                 Attempt& attempt) const {
  const auto now = current();
  RETURN_IF_ERROR(check_model_name(registration.name));
  RETURN_IF_ERROR(check_model_version(version));
  RETURN_IF_ERROR(check_path(registration.path));
  if (now->models().size() >= limits::kCatalogModelCountMax) {
    return failed_precondition(
               str("the catalog holds ", limits::kCatalogModelCountMax, " models, its most"))
        .with_hint("remove some that are not used");
  }
  if (now->find(registration.name, version) != nullptr) {
    return already_exists(str("the model '", attempt.subject, "' is registered already"))
        .with_where("model_id")
        .with_hint("register another version, or remove this one first");
  }
  for (const AliasRecord& alias : now->aliases()) {
    if (alias.alias != registration.name) continue;
    return already_exists(
               str("'", registration.name, "' is an alias of '", alias_target(&alias), "'"))
        .with_where("model_id")
        .with_hint("choose another name, or remove the alias first");
  }
  ModelRecord model{.name = registration.name,
                    .version = version,
                    .path = registration.path,
                    .format = registration.format,
                    .pinned = registration.pinned,
                    .preload = registration.preload,
                    .files = registration.files,
                    .created_unix_ms = unix_ms_now()};
  ASSIGN_OR_RETURN(model.settings, checked_settings(registration.settings));
  ASSIGN_OR_RETURN(model.tags, checked_tags(registration.tags));
  model.updated_unix_ms = model.created_unix_ms;
  // Why the maximum and not the count: a removed model's number is not given again while a later
  // one exists, so the order of registration stays.
  for (const auto& other : now->models())
    model.sequence = std::max(model.sequence, other->sequence);
  ++model.sequence;
  attempt.after = json_of(&model);
  Changes changes;
  if (now->live_version(model.name).empty()) changes.live.push_back({model.name, model.version});
  changes.models.push_back(std::move(model));
  return changes;
}

Result<std::shared_ptr<const ModelRecord>> Catalog::register_model(
    const ModelRegistration& registration, const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  const std::string version = registration.version.empty()
                                  ? next_version(*impl_->current(), registration.name)
                                  : registration.version;
  Impl::Attempt attempt{actor, "register", model_id(registration.name, version)};
  Result<Changes> changes = impl_->plan_registration(registration, version, attempt);
  RETURN_IF_ERROR(impl_->finish(attempt, std::move(changes)));
  return impl_->current()->find(registration.name, version);
}

Result<Changes> Catalog::Impl::plan_change(std::string_view name,
                                           std::string_view version,
                                           const ModelChange& change,
                                           Attempt& attempt) const {
  const auto old = current()->find(name, version);
  if (old == nullptr) return no_such_model(name, version);
  attempt.subject = model_id(old->name, old->version);
  attempt.before = json_of(old.get());
  ModelRecord model = *old;
  if (change.path) {
    RETURN_IF_ERROR(check_path(*change.path));
    model.path = *change.path;
  }
  if (change.settings) {
    ASSIGN_OR_RETURN(model.settings, checked_settings(*change.settings));
  }
  if (change.tags) {
    ASSIGN_OR_RETURN(model.tags, checked_tags(*change.tags));
  }
  if (change.pinned) model.pinned = *change.pinned;
  if (change.preload) model.preload = *change.preload;
  if (change.files) model.files = *change.files;
  model.updated_unix_ms = unix_ms_now();
  attempt.after = json_of(&model);
  Changes changes;
  changes.models.push_back(std::move(model));
  return changes;
}

Result<std::shared_ptr<const ModelRecord>> Catalog::change_model(std::string_view name,
                                                                 std::string_view version,
                                                                 const ModelChange& change,
                                                                 const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  const bool only_pin = change.pinned && !change.path && !change.settings && !change.tags &&
                        !change.preload && !change.files;
  const char* action = !only_pin ? "change" : *change.pinned ? "pin" : "unpin";
  Impl::Attempt attempt{actor, action, model_id(name, version)};
  Result<Changes> changes = impl_->plan_change(name, version, change, attempt);
  RETURN_IF_ERROR(impl_->finish(attempt, std::move(changes)));
  return impl_->current()->find(name, version);
}

Result<Changes> Catalog::Impl::plan_live(std::string_view name,
                                         std::string_view version,
                                         Attempt& attempt) const {
  const auto now = current();
  const auto model = now->find(name, version);
  if (model == nullptr) return no_such_model(name, version);
  attempt.before = json_of("live_version", now->live_version(name));
  attempt.after = json_of("live_version", model->version);
  Changes changes;
  changes.live.push_back({model->name, model->version});
  return changes;
}

Status Catalog::set_live_version(std::string_view name,
                                 std::string_view version,
                                 const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  Impl::Attempt attempt{actor, "live", model_id(name, version)};
  Result<Changes> changes = impl_->plan_live(name, version, attempt);
  return impl_->finish(attempt, std::move(changes));
}

Result<Changes> Catalog::Impl::plan_removal(std::string_view name,
                                            std::string_view version,
                                            Attempt& attempt) const {
  const auto now = current();
  const auto versions = now->versions(name);
  if (versions.empty()) return no_such_model(name, version);
  Changes changes;
  std::string before;
  for (const auto& model : versions) {
    if (!version.empty() && model->version != version) continue;
    changes.removed_models.push_back(model->sequence);
    before += str(before.empty() ? "" : ",", json_of(model.get()));
  }
  if (changes.removed_models.empty()) return no_such_model(name, version);
  const bool all = changes.removed_models.size() == versions.size();
  attempt.before = changes.removed_models.size() == 1 ? before : str("[", before, "]");
  for (const AliasRecord& alias : now->aliases()) {
    if (alias.name != name || (!all && alias.version != version)) continue;
    return failed_precondition(
               str("the alias '", alias.alias, "' points at '", alias_target(&alias), "'"))
        .with_where("model_id")
        .with_hint("remove the alias or point it elsewhere first");
  }
  if (!all && now->live_version(name) == version) {
    return failed_precondition(str("'",
                                   model_id(name, version),
                                   "' is the live version of '",
                                   name,
                                   "', and other versions exist"))
        .with_where("version")
        .with_hint("make another version live first, or remove the name with all its versions");
  }
  if (all) changes.removed_live.emplace_back(name);
  return changes;
}

Status Catalog::remove_model(std::string_view name, std::string_view version, const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  std::string exact(version);
  if (version == kLatestVersion) exact = impl_->current()->live_version(name);
  Impl::Attempt attempt{actor, "remove", model_id(name, exact)};
  Result<Changes> changes = impl_->plan_removal(name, exact, attempt);
  return impl_->finish(attempt, std::move(changes));
}

Result<Changes> Catalog::Impl::plan_alias(std::string_view alias,
                                          std::string_view target,
                                          Attempt& attempt) const {
  const auto now = current();
  const AliasRecord* old = catalog::find_alias(now->aliases(), alias);
  attempt.before = json_of("model", alias_target(old));
  RETURN_IF_ERROR(check_model_name(alias).ok()
                      ? ok_status()
                      : invalid_argument(str("alias: ", check_model_name(alias).message()))
                            .with_where("alias"));
  if (!now->versions(alias).empty()) {
    return already_exists(str("there is a model named '", alias, "'"))
        .with_where("alias")
        .with_hint("choose another alias");
  }
  if (old == nullptr && now->aliases().size() >= limits::kCatalogAliasCountMax) {
    return failed_precondition(
               str("the catalog holds ", limits::kCatalogAliasCountMax, " aliases, its most"))
        .with_hint("remove some that are not used");
  }
  ASSIGN_OR_RETURN(const ModelReference reference, parse_model_reference(target));
  if (now->find(reference.name, reference.version) == nullptr) {
    return no_such_model(reference.name, reference.version);
  }
  attempt.after = json_of("model", target);
  Changes changes;
  changes.aliases.push_back({std::string(alias), reference.name, reference.version});
  return changes;
}

Status Catalog::set_alias(std::string_view alias, std::string_view target, const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  Impl::Attempt attempt{actor, "alias", std::string(alias)};
  Result<Changes> changes = impl_->plan_alias(alias, target, attempt);
  return impl_->finish(attempt, std::move(changes));
}

Status Catalog::remove_alias(std::string_view alias, const Actor& actor) {
  const std::lock_guard lock(impl_->write_mutex);
  const auto now = impl_->current();
  const AliasRecord* old = catalog::find_alias(now->aliases(), alias);
  Impl::Attempt attempt{actor, "unalias", std::string(alias), json_of("model", alias_target(old))};
  if (old == nullptr) {
    return impl_->finish(
        attempt, not_found(str("there is no alias '", printable(alias), "'")).with_where("alias"));
  }
  Changes changes;
  changes.removed_aliases.emplace_back(alias);
  return impl_->finish(attempt, std::move(changes));
}

Status Catalog::save_state(std::string_view owner, std::string_view key, std::string_view text) {
  if (text.size() > limits::kCatalogStateSizeMax) {
    return invalid_argument(str("state '",
                                owner,
                                "/",
                                printable(key),
                                "' has ",
                                text.size(),
                                " bytes, more than ",
                                limits::kCatalogStateSizeMax));
  }
  const std::lock_guard lock(impl_->write_mutex);
  Changes changes;
  changes.states.push_back({std::string(owner), std::string(key), std::string(text)});
  return impl_->commit(changes);
}

Status Catalog::remove_state(std::string_view owner, std::string_view key) {
  const std::lock_guard lock(impl_->write_mutex);
  Changes changes;
  changes.removed_states.emplace_back(owner, key);
  return impl_->commit(changes);
}

Result<std::vector<std::pair<std::string, std::string>>> Catalog::states(
    std::string_view owner) const {
  const std::lock_guard lock(impl_->write_mutex);
  if (impl_->store == nullptr) return unavailable("the catalog was handed over");
  return impl_->store->states(owner);
}

Status Catalog::append_audit(AuditRecord record) {
  const std::lock_guard lock(impl_->write_mutex);
  record.at_unix_ms = unix_ms_now();
  Changes changes;
  changes.audit.push_back(std::move(record));
  return impl_->commit(changes);
}

Result<std::vector<AuditRecord>> Catalog::audit(const AuditQuery& query) const {
  const std::lock_guard lock(impl_->write_mutex);
  if (impl_->store == nullptr) return unavailable("the catalog was handed over");
  return impl_->store->audit(query);
}

Status Catalog::set_owner_url(std::string_view url) {
  const std::lock_guard lock(impl_->write_mutex);
  impl_->owner_url = url;
  return impl_->store == nullptr ? ok_status() : impl_->store->set_owner_url(url);
}

void Catalog::release() {
  const std::lock_guard lock(impl_->write_mutex);
  impl_->is_released = true;
  // A record in memory is nobody else's, and cannot be read again.
  if (is_durable()) impl_->store.reset();
}

Status Catalog::reopen() {
  const std::lock_guard lock(impl_->write_mutex);
  if (impl_->store != nullptr) {
    impl_->is_released = false;
    return ok_status();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<catalog::Store> store,
                   catalog::Store::open(impl_->path, impl_->owner_url));
  ASSIGN_OR_RETURN(catalog::Contents contents, store->contents());
  auto snapshot = catalog::SnapshotEdit::build(std::move(contents));
  impl_->store = std::move(store);
  impl_->is_released = false;
  const std::lock_guard snapshot_lock(impl_->snapshot_mutex);
  impl_->snapshot = std::move(snapshot);
  return ok_status();
}

}  // namespace inferneo::manager
