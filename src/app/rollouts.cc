#include "app/rollouts.h"

#include <chrono>
#include <utility>

#include "manager/rollout_store.h"
#include "text/json.h"

namespace inferneo::app {
namespace {

std::int64_t unix_ms_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::unique_ptr<manager::RolloutStore> make_store(manager::Catalog* catalog) {
  if (catalog == nullptr) return std::make_unique<manager::MemoryRolloutStore>();
  return std::make_unique<manager::CatalogRolloutStore>(*catalog);
}

}  // namespace

// Tells those who watch, and the audit when a rollout has ended.
class Rollouts::Observer final : public manager::RolloutObserver {
 public:
  Observer(manager::Catalog* catalog, manager::EventHub* events)
      : catalog_(catalog), events_(events) {}

  void on_event(const manager::RolloutRecord& record, const manager::RolloutEvent& event) override {
    text::Value detail;
    detail.set("rollout", record.id);
    detail.set("stable", record.stable);
    detail.set("candidate", record.candidate);
    detail.set("phase", manager::phase_name(event.phase));
    detail.set("percent", std::int64_t{event.candidate_percent});
    detail.set("paused", record.paused);
    detail.set("text", event.text);
    const std::string model = record.name + ":" + record.candidate;
    std::string json = text::to_json(detail);
    if (catalog_ != nullptr && manager::is_terminal(event.phase)) {
      // Who started it is on record with the start; what failed here is news and no more.
      (void)catalog_->append_audit({.actor = {.principal = "rollout"},
                                    .action = "rollout.end",
                                    .subject = model,
                                    .before = {},
                                    .after = json});
    }
    if (events_ == nullptr) return;
    events_->publish({.id = 0,
                      .at_unix_ms = event.unix_ms,
                      .kind = "rollout",
                      .model = model,
                      .detail = std::move(json)});
  }

 private:
  manager::Catalog* const catalog_;
  manager::EventHub* const events_;
};

Rollouts::Rollouts(manager::ModelManager& models,
                   manager::Catalog* catalog,
                   manager::EventHub* events,
                   const Clock& clock)
    : models_(models),
      store_(make_store(catalog)),
      observer_(std::make_unique<Observer>(catalog, events)),
      controller_(
          manager::RolloutEnvironment{.host = &models.version_host(),
                                      .store = store_.get(),
                                      .clock = &clock,
                                      .unix_ms = unix_ms_now,
                                      .hooks = &webhooks_,
                                      .observer = observer_.get(),
                                      .on_control = [&models](const std::function<void()>& task) {
                                        models.on_control(task);
                                      }}) {}

Rollouts::~Rollouts() { stop(); }

Status Rollouts::start() {
  RETURN_IF_ERROR(controller_.restore());
  models_.run_on_control([this] { controller_.tick(); });
  return ok_status();
}

void Rollouts::stop() { models_.run_on_control({}); }

}  // namespace inferneo::app
