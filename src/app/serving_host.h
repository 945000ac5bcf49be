// What a server has below its gateway: catalog, events, models, rollouts and their administration,
// put together in the right order and taken apart in the reverse one. `serve` uses it, and
// `models` when no server runs.
// Thread: main builds and destroys it. Ownership: owns all it offers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/model_host.h"
#include "app/model_spec.h"
#include "app/webhook_sender.h"
#include "base/config.h"
#include "base/result.h"
#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/model_admin.h"
#include "manager/model_watch.h"
#include "manager/rollout_catalog.h"
#include "manager/rollout_controller.h"
#include "observe/metrics.h"

namespace inferneo::app {

class ServingHost {
 public:
  // `catalog_path` may be empty: a catalog in memory. Failures: those of Catalog::open and
  // ModelHost::create.
  static Result<std::unique_ptr<ServingHost>> create(const Config& config,
                                                     const std::string& catalog_path,
                                                     observe::ServerMetrics* metrics);
  ServingHost(const ServingHost&) = delete;
  ServingHost& operator=(const ServingHost&) = delete;
  ~ServingHost();

  // Records the models that were named for this start. A model that the catalog has at the same
  // path stays as it is, and its spec then names its version. Failures: already_exists for a model
  // that the catalog has at another path.
  Status record(std::vector<ModelSpec>& specs);
  // The manager knows what the catalog has, and rollouts go on that a crash has interrupted.
  Status begin();
  // Lets go of what only one process may hold, for a successor: the catalog, and the decisions
  // about rollouts, whose shares stay as they are. Thread: any.
  void hand_over();
  // The successor went away: takes all of that back. Waits a moment for the other process's end.
  // Failures: those of Catalog::reopen.
  Status take_back();

  [[nodiscard]] ModelHost& host() { return *host_; }
  [[nodiscard]] manager::ModelManager& manager() { return host_->manager(); }
  [[nodiscard]] manager::Catalog& catalog() { return *catalog_; }
  [[nodiscard]] manager::EventHub& events() { return events_; }
  [[nodiscard]] manager::ModelAdmin& admin() { return *admin_; }
  [[nodiscard]] manager::RolloutController& rollouts() { return *rollouts_; }

 private:
  explicit ServingHost(const Config& config) : config_(config) {}

  const Config config_;
  manager::EventHub events_;
  std::unique_ptr<manager::Catalog> catalog_;
  std::unique_ptr<manager::CatalogRolloutStore> rollout_store_;
  std::unique_ptr<manager::RolloutNews> rollout_news_;
  WebhookSender webhooks_;
  std::unique_ptr<manager::RolloutController> rollouts_;
  std::unique_ptr<manager::ModelAdmin> admin_;
  std::unique_ptr<manager::ModelWatch> watch_;  // null unless a directory is watched
  std::unique_ptr<ModelHost> host_;
};

// $XDG_STATE_HOME/inferneo/catalog.db, else ~/.local/state/inferneo/catalog.db; empty when neither
// variable is set.
std::string default_catalog_path();

// The store that the configuration means. With `auto`, the default one; empty when models are
// named for this start alone, or when nothing was ever registered there and `make` is off.
std::string choose_catalog(const Config& config, bool models_are_named, bool make);

}  // namespace inferneo::app
