// Rollouts in the catalog: their records survive a crash there, and what becomes of them is
// audited and told to those who watch.
// Thread: as RolloutStore and RolloutObserver. Ownership: borrows the catalog and the hub.
#pragma once

#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/rollout_controller.h"

namespace inferneo::manager {

class CatalogRolloutStore final : public RolloutStore {
 public:
  explicit CatalogRolloutStore(Catalog& catalog) : catalog_(catalog) {}
  Status save(const RolloutRecord& record) override;
  Result<std::vector<RolloutRecord>> load() override;

 private:
  Catalog& catalog_;
};

class RolloutNews final : public RolloutObserver {
 public:
  RolloutNews(Catalog& catalog, EventHub& events) : catalog_(catalog), events_(events) {}
  void on_event(const RolloutRecord& record, const RolloutEvent& event) override;

 private:
  Catalog& catalog_;
  EventHub& events_;
};

}  // namespace inferneo::manager
