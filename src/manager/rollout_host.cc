// The manager as rollouts see it: what VersionHost asks, answered by the control thread's state.
// Readings come from the directory, changes are posted to the control thread when they are asked
// for elsewhere, so that nobody waits while the rollout controller holds its lock.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "base/str.h"
#include "manager/catalog.h"
#include "manager/manager_control.h"
#include "manager/version_host.h"

namespace inferneo::manager {
namespace {

const Actor kRolloutActor{.principal = "rollout"};

const VersionEntry* find_entry(const Directory& directory,
                               std::string_view name,
                               std::string_view version) {
  const ModelEntry* model = directory.find(name);
  if (model == nullptr) return nullptr;
  for (const auto& entry : model->versions) {
    if (entry->info.version == version) return entry.get();
  }
  return nullptr;
}

Status unknown_version(const Directory& directory,
                       std::string_view name,
                       std::string_view version) {
  std::string known;
  if (const ModelEntry* model = directory.find(name)) {
    for (const auto& entry : model->versions) {
      known += str(known.empty() ? "versions: " : ", ", entry->info.version);
    }
  }
  return not_found(str("the model '", printable(model_id(name, version)), "' does not exist"))
      .with_hint(known.empty() ? "GET /v1/models lists the names" : known);
}

// The golden prompts of one version, one after another; each ends on the output thread.
class GoldenRun : public std::enable_shared_from_this<GoldenRun> {
 public:
  GoldenRun(std::shared_ptr<ServedModel> served, std::span<const GoldenPrompt> prompts)
      : served_(std::move(served)), prompts_(prompts.begin(), prompts.end()) {}

  void start() { submit(); }
  void stop() { stopped_.store(true); }
  std::optional<GoldenOutcome> outcome() {
    const std::lock_guard lock(mutex_);
    return is_done_ ? std::optional(outcome_) : std::nullopt;
  }

 private:
  class Sink final : public request::OutputSink {
   public:
    explicit Sink(std::shared_ptr<GoldenRun> run) : run_(std::move(run)) {}
    void on_delta(request::OutputDelta&& delta) override { text_ += delta.text; }
    void on_end(const request::Usage&,
                const request::RequestTiming&,
                const Status& status) override {
      run_->ended(text_, status);
    }

   private:
    const std::shared_ptr<GoldenRun> run_;
    std::string text_;
  };

  void submit();
  void ended(const std::string& text, const Status& status);
  void count(const std::string& failure);

  // Given back with the last prompt: the run may be remembered longer than the model.
  std::shared_ptr<ServedModel> served_;
  const std::vector<GoldenPrompt> prompts_;
  std::size_t at_ = 0;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  GoldenOutcome outcome_;
  bool is_done_ = false;
};

void GoldenRun::submit() {
  for (; at_ < prompts_.size() && !stopped_.load(); ++at_) {
    const GoldenPrompt& prompt = prompts_[at_];
    request::GenerateRequest request;
    request.is_probe = true;
    request.prompt = served_->tokenizer->encode(prompt.prompt);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = prompt.max_tokens;
    request.is_probe = true;
    const auto id = served_->engine->submit(request, std::make_shared<Sink>(shared_from_this()));
    if (id.has_value()) return;
    count(id.error().message());
  }
  served_.reset();
  const std::lock_guard lock(mutex_);
  is_done_ = true;
}

void GoldenRun::count(const std::string& failure) {
  const std::lock_guard lock(mutex_);
  if (failure.empty()) {
    ++outcome_.passed;
    return;
  }
  if (++outcome_.failed == 1) {
    outcome_.first_failure = str("prompt '", printable(prompts_[at_].prompt), "': ", failure);
  }
}

void GoldenRun::ended(const std::string& text, const Status& status) {
  const std::string& expected = prompts_[at_].expected;
  if (!status.ok()) {
    count(status.message());
  } else if (expected.empty() ? text.empty() : text.find(expected) == std::string::npos) {
    count(expected.empty() ? "the answer is empty"
                           : str("the answer '", printable(text), "' lacks '", expected, "'"));
  } else {
    count("");
  }
  ++at_;
  submit();
}

class ManagerVersionHost final : public VersionHost {
 public:
  explicit ManagerVersionHost(ManagerControl& control) : control_(control) {}

  Result<std::string> live_version(std::string_view name) override;
  Result<LoadPreview> preview(std::string_view name, std::string_view version) override;
  Status hold(std::string_view name, std::string_view version) override;
  Version state(std::string_view name, std::string_view version) override;
  void release(std::string_view name, std::string_view version) override;
  Status publish_split(const routing::Split& split) override;
  Status set_live(std::string_view name, std::string_view version) override;
  observe::Outcomes outcomes(std::string_view name, std::string_view version) override;
  Status start_golden(std::string_view name,
                      std::string_view version,
                      std::span<const GoldenPrompt> prompts) override;
  std::optional<GoldenOutcome> golden_outcome(std::string_view name,
                                              std::string_view version) override;

 private:
  // Now when on the control thread, soon otherwise.
  void change(std::function<void()> task);
  void take_hold(const std::string& name, const std::string& version);

  ManagerControl& control_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<GoldenRun>> golden_;  // by "name:version"
};

void ManagerVersionHost::change(std::function<void()> task) {
  if (control_.loop->is_own_thread()) {
    task();
  } else {
    control_.loop->post(std::move(task));
  }
}

Result<std::string> ManagerVersionHost::live_version(std::string_view name) {
  const auto directory = control_.directory();
  const ModelEntry* model = directory->find(name);
  if (model == nullptr || model->live == nullptr) return unknown_version(*directory, name, "");
  return model->live->info.version;
}

Result<LoadPreview> ManagerVersionHost::preview(std::string_view name, std::string_view version) {
  const auto directory = control_.directory();
  const VersionEntry* entry = find_entry(*directory, name, version);
  if (entry == nullptr) return unknown_version(*directory, name, version);
  LoadPreview preview;
  const std::uint64_t budget = control_.lifecycle.ledger().budget_bytes();
  preview.bytes_available = budget - std::min(budget, control_.reserved_bytes.load());
  if (entry->served != nullptr) {
    preview.is_loaded = true;
    preview.fits = true;
    return preview;
  }
  ModelOptions options;
  options.path = entry->info.path;
  Result<VersionSizes> sizes = control_.loader.plan(options, budget);
  if (!sizes.has_value()) {
    preview.note = sizes.error().message();
    return preview;
  }
  preview.bytes_needed = sizes->fixed_bytes + sizes->kv_min_bytes;
  std::uint64_t stuck = 0;
  std::string evictable;
  for (const auto& model : directory->models) {
    for (const auto& other : model->versions) {
      const VersionInfo& info = other->info;
      if (info.reserved_bytes == 0 || other.get() == entry) continue;
      if (info.pinned || info.held || (info.live && info.name == name)) {
        stuck += info.reserved_bytes;
      } else if (evictable.size() < 200) {
        evictable += str(evictable.empty() ? "" : ", ", model_id(info.name, info.version));
      }
    }
  }
  preview.fits = preview.bytes_needed <= budget - std::min(budget, stuck);
  if (!preview.fits) {
    preview.note = str(format_bytes(preview.bytes_needed),
                       " are needed, but models that stay hold ",
                       format_bytes(stuck),
                       " of ",
                       format_bytes(budget));
  } else if (preview.bytes_needed > preview.bytes_available) {
    preview.note = str("some of these would be evicted: ", evictable);
  }
  return preview;
}

Status ManagerVersionHost::hold(std::string_view name, std::string_view version) {
  const auto directory = control_.directory();
  if (find_entry(*directory, name, version) == nullptr) {
    return unknown_version(*directory, name, version);
  }
  change([this, name = std::string(name), version = std::string(version)] {
    take_hold(name, version);
  });
  return ok_status();
}

void ManagerVersionHost::take_hold(const std::string& name, const std::string& version) {
  const VersionId id = control_.lifecycle.find(name, version);
  if (id == 0) return;
  const Status status = control_.lifecycle.hold(id, control_.now());
  static_cast<void>(status);  // shutting down: the rollout ends with the process
  control_.mark_changed(id);
}

VersionHost::Version ManagerVersionHost::state(std::string_view name, std::string_view version) {
  Version result;
  const auto directory = control_.directory();
  const VersionEntry* entry = find_entry(*directory, name, version);
  if (entry == nullptr) return result;
  switch (entry->info.state) {
    case VersionState::kReady:
      result.state = State::kReady;
      break;
    case VersionState::kFailed:
      result.state = State::kFailed;
      result.failure = unavailable(entry->info.reason);
      break;
    case VersionState::kLoading:
    case VersionState::kWarming:
      result.state = State::kLoading;
      break;
    case VersionState::kRegistered:
    case VersionState::kSleeping:
    case VersionState::kDraining:
    case VersionState::kUnloaded:
      result.state = entry->info.held ? State::kLoading : State::kAbsent;
      break;
  }
  return result;
}

void ManagerVersionHost::release(std::string_view name, std::string_view version) {
  change([this, name = std::string(name), version = std::string(version)] {
    const VersionId id = control_.lifecycle.find(name, version);
    if (id == 0) return;
    control_.lifecycle.release(id, control_.now());
    control_.mark_changed(id);
  });
}

Status ManagerVersionHost::publish_split(const routing::Split& split) {
  const auto directory = control_.directory();
  const std::pair<std::string, std::int32_t> shares[] = {
      {split.stable, routing::kWholeShare - split.candidate_share},
      {split.candidate, split.candidate_share}};
  for (const auto& [version, share] : shares) {
    if (share == 0) continue;
    const VersionEntry* entry = find_entry(*directory, split.name, version);
    if (entry == nullptr) return unknown_version(*directory, split.name, version);
    if (entry->served == nullptr) {
      return failed_precondition(
          str("'", model_id(split.name, version), "' is ", version_state_name(entry->info.state)));
    }
  }
  change([this, split] {
    take_hold(split.name, split.stable);
    take_hold(split.name, split.candidate);
    control_.routing = control_.routing.with(split);
    control_.list_changed = true;
  });
  return ok_status();
}

Status ManagerVersionHost::set_live(std::string_view name, std::string_view version) {
  const auto directory = control_.directory();
  if (find_entry(*directory, name, version) == nullptr) {
    return unknown_version(*directory, name, version);
  }
  // On record first: what a restart finds is what was decided.
  if (Catalog* const catalog = control_.options.catalog;
      catalog != nullptr && !catalog->snapshot()->versions(name).empty() &&
      catalog->snapshot()->live_version(name) != version) {
    RETURN_IF_ERROR(catalog->set_live_version(name, version, kRolloutActor));
  }
  change([this, name = std::string(name), version = std::string(version)] {
    control_.routing = control_.routing.without(name);
    control_.list_changed = true;
    const VersionId id = control_.lifecycle.find(name, version);
    if (id == 0) return;
    control_.mark_changed(id);
    control_.lifecycle.set_live(id, control_.now());
  });
  return ok_status();
}

observe::Outcomes ManagerVersionHost::outcomes(std::string_view name, std::string_view version) {
  const auto directory = control_.directory();
  const VersionEntry* entry = find_entry(*directory, name, version);
  if (entry == nullptr || entry->served == nullptr) return {};
  return entry->served->metrics->outcomes.read(control_.now());
}

Status ManagerVersionHost::start_golden(std::string_view name,
                                        std::string_view version,
                                        std::span<const GoldenPrompt> prompts) {
  const auto directory = control_.directory();
  const VersionEntry* entry = find_entry(*directory, name, version);
  if (entry == nullptr) return unknown_version(*directory, name, version);
  if (entry->served == nullptr) {
    return failed_precondition(str("'", model_id(name, version), "' is not ready"));
  }
  if (entry->served->tokenizer == nullptr) {
    return failed_precondition(str("'", model_id(name, version), "' has no tokenizer"));
  }
  const auto run = std::make_shared<GoldenRun>(entry->served, prompts);
  std::shared_ptr<GoldenRun> former;
  {
    const std::lock_guard lock(mutex_);
    former = std::exchange(golden_[model_id(name, version)], run);
  }
  if (former != nullptr) former->stop();
  run->start();
  return ok_status();
}

std::optional<GoldenOutcome> ManagerVersionHost::golden_outcome(std::string_view name,
                                                                std::string_view version) {
  std::shared_ptr<GoldenRun> run;
  {
    const std::lock_guard lock(mutex_);
    const auto found = golden_.find(model_id(name, version));
    if (found != golden_.end()) run = found->second;
  }
  return run == nullptr ? std::nullopt : run->outcome();
}

}  // namespace

std::unique_ptr<VersionHost> make_version_host(ManagerControl& control) {
  return std::make_unique<ManagerVersionHost>(control);
}

}  // namespace inferneo::manager
