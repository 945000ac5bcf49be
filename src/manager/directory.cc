#include "manager/directory.h"

#include <algorithm>

#include "base/str.h"
#include "manager/catalog_record.h"

namespace inferneo::manager {
namespace {

const VersionEntry* find_version(const ModelEntry& model, std::string_view version) {
  for (const auto& entry : model.versions) {
    if (entry->info.version == version) return entry.get();
  }
  return nullptr;
}

Status unknown(const Directory& directory, std::string_view text) {
  std::vector<std::string_view> names;
  for (const auto& model : directory.models) names.push_back(model->name);
  for (const AliasInfo& alias : directory.aliases) names.push_back(alias.alias);
  const std::string_view near = nearest_name(text, names);
  return not_found(str("the model '", printable(text), "' does not exist"))
      .with_where("model")
      .with_hint(near.empty() || near == text ? "GET /v1/models lists the names"
                                              : str("did you mean '", near, "'?"));
}

}  // namespace

double LoadMeter::share() const {
  const std::uint64_t all = total.load(std::memory_order_relaxed);
  const std::uint64_t some = done.load(std::memory_order_relaxed);
  if (all == 0) return 0;
  return std::min(static_cast<double>(some) / static_cast<double>(all), 1.0);
}

const ModelEntry* Directory::find(std::string_view name) const {
  const auto found = std::lower_bound(
      models.begin(), models.end(), name, [](const auto& model, std::string_view wanted) {
        return model->name < wanted;
      });
  return found != models.end() && (*found)->name == name ? found->get() : nullptr;
}

Result<Directory::Target> Directory::resolve(std::string_view text,
                                             const routing::SubjectSource* subject) const {
  Target target;
  if (text.empty()) {
    if (models.size() != 1) {
      return invalid_argument("the model must be named")
          .with_where("model")
          .with_hint("GET /v1/models lists the names");
    }
    target.model = models.front().get();
  } else {
    target.model = find(text);
  }
  std::string_view wanted = text;
  if (target.model == nullptr) {
    const auto alias = std::lower_bound(
        aliases.begin(), aliases.end(), text, [](const AliasInfo& entry, std::string_view name) {
          return entry.alias < name;
        });
    if (alias != aliases.end() && alias->alias == text) wanted = alias->target;
    target.model = find(wanted);
  }
  std::string_view version;
  if (target.model == nullptr) {
    const std::size_t colon = wanted.rfind(':');
    if (colon == std::string_view::npos) return unknown(*this, text);
    target.model = find(wanted.substr(0, colon));
    if (target.model == nullptr) return unknown(*this, text);
    version = wanted.substr(colon + 1);
    target.names_version = version != kLatestVersion;
  }
  if (target.names_version) {
    target.version = find_version(*target.model, version);
    if (target.version == nullptr || !target.version->info.served) return unknown(*this, text);
    return target;
  }
  const std::string_view share = routing.version_for(target.model->name, subject);
  if (!share.empty()) target.version = find_version(*target.model, share);
  if (target.version == nullptr) target.version = target.model->live;
  if (target.version == nullptr) return unknown(*this, text);
  return target;
}

VersionInfo read_info(const VersionEntry& entry, TimePoint now) {
  VersionInfo info = entry.info;
  if (entry.use != nullptr) {
    const VersionUse::Reading use = entry.use->read();
    const bool may_leave = !info.pinned && !info.held && info.state == VersionState::kReady;
    const Duration keep_alive = use.keep_alive.value_or(entry.keep_alive);
    if (may_leave && keep_alive != Duration::max()) {
      const double idle =
          use.lease_count > 0 || use.request_count == 0 ? 0 : to_seconds(now - use.last_used);
      info.expires_seconds = std::max(to_seconds(keep_alive) - idle, 0.0);
    }
    info.request_count = use.request_count;
    info.lease_count = use.lease_count;
    if (use.request_count > 0) {
      info.idle_seconds = use.lease_count > 0 ? 0 : to_seconds(now - use.last_used);
    }
  }
  if (info.state == VersionState::kLoading && entry.meter != nullptr) {
    info.loaded_share = entry.meter->share();
  }
  if (info.state == VersionState::kFailed) {
    info.retry_seconds = std::max(to_seconds(entry.retry_at - now), 0.0);
  }
  info.model = entry.served;
  return info;
}

}  // namespace inferneo::manager
