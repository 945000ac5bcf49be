// The rollout controller of a server, with what it needs around it: where it keeps its state, how
// it tells events and sends webhooks, and its place on the manager's control thread. Thread: main
// builds and destroys it; before the manager, whose control thread runs it.
#pragma once

#include <memory>

#include "app/webhook_sender.h"
#include "base/clock.h"
#include "base/result.h"
#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/manager.h"
#include "manager/rollout_controller.h"

namespace inferneo::app {

class Rollouts {
 public:
  // Without a catalog rollouts end with the process. `events` may be null.
  Rollouts(manager::ModelManager& models,
           manager::Catalog* catalog,
           manager::EventHub* events,
           const Clock& clock);
  ~Rollouts();
  Rollouts(const Rollouts&) = delete;
  Rollouts& operator=(const Rollouts&) = delete;

  // Takes up what was under way and begins to tick; once all names are registered.
  // Failures: those of reading the catalog.
  Status start();
  // No decision any more: a successor makes them. The shares stay as they are.
  void stop();
  [[nodiscard]] manager::RolloutController& controller() { return controller_; }

 private:
  class Observer;

  manager::ModelManager& models_;
  std::unique_ptr<manager::RolloutStore> store_;
  std::unique_ptr<manager::RolloutObserver> observer_;
  WebhookSender webhooks_;
  manager::RolloutController controller_;
};

}  // namespace inferneo::app
