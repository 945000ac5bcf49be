#include "manager/rollout_controller.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/rollout_machine.h"
#include "manager/rollout_preview.h"
#include "routing/subject.h"

namespace inferneo::manager {
namespace {

RolloutStatus ended(const RolloutRecord& record) {
  RolloutStatus status;
  status.record = record;
  return status;
}

}  // namespace

struct RolloutController::Impl {
  explicit Impl(const RolloutEnvironment& given) : environment(given) {
    CHECK(environment.host != nullptr && environment.store != nullptr &&
          environment.clock != nullptr && environment.unix_ms != nullptr);
  }

  // Runs `task` on the control thread with the lock held.
  template <typename Task>
  auto run(Task task) {
    std::optional<decltype(task())> result;
    const std::function<void()> locked = [&] {
      const std::lock_guard lock(mutex);
      result.emplace(task());
    };
    environment.on_control ? environment.on_control(locked) : locked();
    // A control thread that has ended runs nothing more.
    if (!result) result.emplace(unavailable("the models are shutting down"));
    return *std::move(result);
  }

  RolloutMachine* under_way(std::string_view name) {
    for (const auto& machine : active) {
      if (machine->record().name == name) return machine.get();
    }
    return nullptr;
  }
  Status command(std::string_view name, const std::function<Status(RolloutMachine&)>& act);
  Result<std::int64_t> start(const RolloutRequest& request);
  Result<RolloutPreview> preview(const RolloutRequest& request);
  Status check(const RolloutRequest& request) const;
  void retire_done();

  const RolloutEnvironment environment;
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<RolloutMachine>> active;
  std::vector<RolloutRecord> finished;  // in order of their end
  std::int64_t last_id = 0;
};

Status RolloutController::Impl::check(const RolloutRequest& request) const {
  RETURN_IF_ERROR(check_policy(request.policy));
  if (!request.policy.webhooks.empty() && environment.hooks == nullptr) {
    return unsupported("this program sends no webhooks").with_where("webhooks");
  }
  return ok_status();
}

Result<std::int64_t> RolloutController::Impl::start(const RolloutRequest& request) {
  RETURN_IF_ERROR(check(request));
  ASSIGN_OR_RETURN(const std::string live, environment.host->live_version(request.name));
  if (const RolloutMachine* other = under_way(request.name)) {
    return already_exists(str("a rollout of '",
                              request.name,
                              "' to version ",
                              other->record().candidate,
                              " is under way (number ",
                              other->record().id,
                              ", phase ",
                              phase_name(other->record().phase),
                              ")"))
        .with_hint("wait for it, or abort it first");
  }
  if (live == request.candidate) {
    return failed_precondition(
        str("version ", request.candidate, " of '", request.name, "' is live already"));
  }
  RETURN_IF_ERROR(environment.host->preview(request.name, request.candidate).status());
  RolloutRecord record;
  record.id = last_id + 1;
  record.name = request.name;
  record.stable = live;
  record.candidate = request.candidate;
  record.policy = request.policy;
  record.created_unix_ms = environment.unix_ms();
  // Any number that differs from rollout to rollout and is the same again after a restart.
  record.salt = routing::SubjectHash()
                    .add(record.name)
                    .add(str(record.id))
                    .add(str(record.created_unix_ms))
                    .value();
  auto machine = std::make_unique<RolloutMachine>(environment, std::move(record));
  Status begun = machine->begin();
  const std::int64_t id = machine->record().id;
  if (begun.ok() || machine->is_saved()) {
    last_id = id;
    active.push_back(std::move(machine));
    retire_done();
  }
  if (!begun.ok()) return begun;
  return id;
}

Result<RolloutPreview> RolloutController::Impl::preview(const RolloutRequest& request) {
  RETURN_IF_ERROR(check(request));
  RolloutPreview preview;
  preview.name = request.name;
  preview.candidate = request.candidate;
  ASSIGN_OR_RETURN(preview.stable, environment.host->live_version(request.name));
  ASSIGN_OR_RETURN(preview.load, environment.host->preview(request.name, request.candidate));
  preview.requests_per_second =
      environment.host->outcomes(request.name, preview.stable).begun_per_second;
  preview.golden_prompt_count =
      std::max(1, static_cast<std::int32_t>(request.policy.golden.size()));
  preview.webhook_count = static_cast<std::int32_t>(request.policy.webhooks.size());
  preview_stages(request.policy, preview);
  if (const RolloutMachine* other = under_way(request.name)) {
    preview.obstacles.push_back(
        str("a rollout to version ", other->record().candidate, " is under way"));
  }
  if (preview.stable == request.candidate) {
    preview.obstacles.push_back(str("version ", request.candidate, " is live already"));
  }
  if (!preview.load.is_loaded && !preview.load.fits) {
    preview.obstacles.push_back(str("it does not fit into memory: ", preview.load.note));
  }
  return preview;
}

Status RolloutController::Impl::command(std::string_view name,
                                        const std::function<Status(RolloutMachine&)>& act) {
  RolloutMachine* const machine = under_way(name);
  if (machine == nullptr) {
    return not_found(str("no rollout of '", printable(name), "' is under way"));
  }
  const Status status = act(*machine);
  retire_done();
  return status;
}

void RolloutController::Impl::retire_done() {
  std::erase_if(active, [&](const auto& machine) {
    if (!machine->is_done()) return false;
    finished.push_back(machine->record());
    return true;
  });
  if (finished.size() > limits::kRolloutKeptCountMax) {
    finished.erase(finished.begin(),
                   finished.end() - static_cast<std::ptrdiff_t>(limits::kRolloutKeptCountMax));
  }
}

RolloutController::RolloutController(const RolloutEnvironment& environment)
    : impl_(std::make_unique<Impl>(environment)) {}
RolloutController::~RolloutController() = default;

Status RolloutController::restore() {
  return impl_->run([this]() -> Status {
    ASSIGN_OR_RETURN(std::vector<RolloutRecord> records, impl_->environment.store->load());
    std::sort(
        records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    for (RolloutRecord& record : records) {
      impl_->last_id = std::max(impl_->last_id, record.id);
      if (is_terminal(record.phase)) {
        impl_->finished.push_back(std::move(record));
        continue;
      }
      auto machine = std::make_unique<RolloutMachine>(impl_->environment, std::move(record));
      machine->take_up();
      impl_->active.push_back(std::move(machine));
    }
    impl_->retire_done();
    return ok_status();
  });
}

void RolloutController::tick() {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& machine : impl_->active) machine->tick();
  impl_->retire_done();
}

Result<std::int64_t> RolloutController::start(const RolloutRequest& request) {
  return impl_->run([&] { return impl_->start(request); });
}

Result<RolloutPreview> RolloutController::preview(const RolloutRequest& request) {
  return impl_->run([&] { return impl_->preview(request); });
}

Status RolloutController::pause(std::string_view name, std::string reason) {
  return impl_->run([&] {
    return impl_->command(name, [&](RolloutMachine& machine) { return machine.pause(reason); });
  });
}

Status RolloutController::resume(std::string_view name) {
  return impl_->run([&] {
    return impl_->command(name, [](RolloutMachine& machine) { return machine.resume(); });
  });
}

Status RolloutController::promote(std::string_view name, bool fully) {
  return impl_->run([&] {
    return impl_->command(name, [&](RolloutMachine& machine) { return machine.promote(fully); });
  });
}

Status RolloutController::abort(std::string_view name, std::string reason) {
  return impl_->run([&] {
    return impl_->command(name, [&](RolloutMachine& machine) { return machine.abort(reason); });
  });
}

bool RolloutController::is_under_way(std::string_view name) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->under_way(name) != nullptr;
}

Result<RolloutStatus> RolloutController::status(std::string_view name) const {
  const std::lock_guard lock(impl_->mutex);
  if (const RolloutMachine* machine = impl_->under_way(name)) return machine->status();
  for (auto record = impl_->finished.rbegin(); record != impl_->finished.rend(); ++record) {
    if (record->name == name) return ended(*record);
  }
  return not_found(str("there has been no rollout of '", printable(name), "'"));
}

Result<RolloutStatus> RolloutController::status(std::int64_t id) const {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& machine : impl_->active) {
    if (machine->record().id == id) return machine->status();
  }
  for (const RolloutRecord& record : impl_->finished) {
    if (record.id == id) return ended(record);
  }
  return not_found(str("there is no rollout number ", id));
}

std::vector<RolloutStatus> RolloutController::list() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<RolloutStatus> all;
  for (const auto& machine : impl_->active) all.push_back(machine->status());
  for (const RolloutRecord& record : impl_->finished) all.push_back(ended(record));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.record.id > b.record.id;
  });
  return all;
}

}  // namespace inferneo::manager
