#include "app/serving_host.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "app/exposure.h"
#include "app/settings_check.h"
#include "base/str.h"
#include "formats/gguf.h"
#include "manager/model_settings.h"
#include "manager/version_policy.h"

namespace inferneo::app {
namespace {

const manager::Actor kByConfiguration = {.principal = "config"};

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Status other_path(const manager::ModelRecord& record, const ModelSpec& spec) {
  return already_exists(str("'",
                            spec.name,
                            "' is registered with the path ",
                            record.path,
                            ", and here it is ",
                            spec.path))
      .with_hint(str("name another version, '",
                     record.name,
                     ":VERSION=PATH', or remove the registered one with `inferneo models remove`"));
}

}  // namespace

Result<std::unique_ptr<ServingHost>> ServingHost::create(const Config& config,
                                                         const std::string& catalog_path,
                                                         observe::ServerMetrics* metrics) {
  std::unique_ptr<ServingHost> serving(new ServingHost(config));
  ASSIGN_OR_RETURN(serving->catalog_,
                   manager::Catalog::open({.path = catalog_path, .owner_url = {}}));
  ASSIGN_OR_RETURN(
      serving->host_,
      ModelHost::create(
          config,
          {.metrics = metrics, .events = &serving->events_, .catalog = serving->catalog_.get()}));
  manager::Catalog& catalog = *serving->catalog_;
  manager::ModelManager& manager = serving->host_->manager();
  serving->rollout_store_ = std::make_unique<manager::CatalogRolloutStore>(catalog);
  serving->rollout_news_ = std::make_unique<manager::RolloutNews>(catalog, serving->events_);
  manager::RolloutEnvironment rollouts;
  rollouts.host = &manager.version_host();
  rollouts.store = serving->rollout_store_.get();
  rollouts.clock = &serving->host_->clock();
  rollouts.unix_ms = unix_ms;
  rollouts.hooks = &serving->webhooks_;
  rollouts.observer = serving->rollout_news_.get();
  rollouts.on_control = [&manager](const std::function<void()>& task) {
    manager.call_on_control(task);
  };
  serving->rollouts_ = std::make_unique<manager::RolloutController>(rollouts);
  manager::AdminEnvironment admin;
  admin.catalog = &catalog;
  admin.manager = &manager;
  admin.rollouts = serving->rollouts_.get();
  admin.events = &serving->events_;
  admin.runtimes = {&serving->host_->native_runtime()};
  admin.load_options = [config](const manager::ModelSettings& settings) {
    return load_options(manager::with_settings(config, settings));
  };
  admin.model_root = config.model_root;
  ASSIGN_OR_RETURN(admin.version_policies, version_policies(config));
  admin.root_for_clients = !is_loopback(config.host);
  serving->admin_ = std::make_unique<manager::ModelAdmin>(std::move(admin));
  if (metrics != nullptr && !config.watch_models.empty()) {
    std::error_code error;
    const std::string directory = std::filesystem::absolute(config.watch_models, error).string();
    serving->watch_ = std::make_unique<manager::ModelWatch>(
        *serving->admin_, manager::ModelWatch::Options{.directory = directory});
  }
  return serving;
}

// Why this order: tasks of the administrator use the manager, and what the manager calls at its end
// hands tasks to the administrator, which then drops them.
ServingHost::~ServingHost() {
  if (host_ != nullptr) host_->manager().run_on_control({});
  if (watch_ != nullptr) watch_->stop();
  if (admin_ != nullptr) admin_->stop();
  host_.reset();
}

Status ServingHost::record(std::vector<ModelSpec>& specs) {
  for (ModelSpec& spec : specs) {
    ASSIGN_OR_RETURN(const manager::ModelReference reference,
                     manager::parse_model_reference(spec.name));
    const auto found = catalog_->snapshot()->find(reference.name, reference.version);
    if (found != nullptr) {
      if (found->path != spec.path) return other_path(*found, spec);
      if (reference.version.empty() && found->version != "1") {
        spec.name = manager::model_id(found->name, found->version);
      }
      continue;
    }
    const std::vector<std::string>& pinned = config_.pinned_models;
    manager::ModelRegistration registration;
    registration.name = reference.name;
    registration.version = reference.version;
    registration.path = spec.path;
    registration.format = formats::is_gguf(spec.path) ? manager::ModelFormat::kGguf
                                                      : manager::ModelFormat::kHuggingFace;
    registration.pinned = std::ranges::find(pinned, spec.name) != pinned.end() ||
                          std::ranges::find(pinned, reference.name) != pinned.end();
    RETURN_IF_ERROR(catalog_->register_model(registration, kByConfiguration).status());
  }
  return ok_status();
}

Status ServingHost::begin() {
  RETURN_IF_ERROR(manager().follow_catalog());
  RETURN_IF_ERROR(admin_->apply_version_policies());
  RETURN_IF_ERROR(rollouts_->restore());
  manager().run_on_control([this] { rollouts_->tick(); });
  if (watch_ != nullptr) watch_->start();
  return ok_status();
}

void ServingHost::hand_over() {
  if (watch_ != nullptr) watch_->stop();
  manager().run_on_control({});
  catalog_->release();
}

Status ServingHost::take_back() {
  // Bound: its locks go with the other process, which was seen to close its end of the channel.
  constexpr std::chrono::seconds kTimeout{10};
  constexpr std::chrono::milliseconds kPause{20};
  const auto deadline = std::chrono::steady_clock::now() + kTimeout;
  Status status = catalog_->reopen();
  while (status.code() == StatusCode::kUnavailable && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPause);
    status = catalog_->reopen();
  }
  // Rollouts go on in any case: the way back needs no disk.
  manager().run_on_control([this] { rollouts_->tick(); });
  RETURN_IF_ERROR(status);
  if (watch_ != nullptr) watch_->start();
  return manager().follow_catalog();
}

std::string default_catalog_path() {
  const std::string state = variable("XDG_STATE_HOME");
  // Spec: XDG Base Directory: a relative value counts as none.
  if (state.starts_with('/')) return str(state, "/inferneo/catalog.db");
  const std::string home = variable("HOME");
  return home.empty() ? std::string() : str(home, "/.local/state/inferneo/catalog.db");
}

std::string choose_catalog(const Config& config, bool models_are_named, bool make) {
  if (config.catalog == "off") return {};
  std::error_code error;
  if (config.catalog != "auto" && !config.catalog.empty()) {
    return std::filesystem::absolute(config.catalog, error).string();
  }
  const std::string path = default_catalog_path();
  if (models_are_named || (!make && !std::filesystem::exists(path, error))) return {};
  return path;
}

}  // namespace inferneo::app
