#include "manager/model_admin.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "manager/events.h"
#include "manager/model_settings.h"
#include "manager/rollout_controller.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

Status at_path(Status status) { return std::move(status).with_where("path"); }

Status no_server() {
  return failed_precondition("no server runs, so nothing can be loaded")
      .with_hint("start one with `inferneo serve`");
}

std::string json_object(std::string_view key, std::string_view value) {
  text::Value::Dict dict;
  dict.emplace_back(std::string(key), value);
  return text::to_json(dict);
}

// Of the states that the catalog keeps for us.
constexpr std::string_view kPolicyOwner = "version_policy";

std::string id_of(const VersionInfo& version) { return model_id(version.name, version.version); }

}  // namespace

// Tasks one after the other on the thread admin-0.
class ModelAdmin::Worker {
 public:
  Worker() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

  bool add(UniqueFunction<void()>& task) {
    const std::lock_guard lock(mutex_);
    if (has_ended_ || tasks_.size() >= limits::kAdminTaskCountMax) return false;
    tasks_.push_back(std::move(task));
    changed_.notify_one();
    return true;
  }

  void end() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    std::deque<UniqueFunction<void()>> dropped;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    dropped.swap(tasks_);
  }

 private:
  void run(const std::stop_token& stop) {
    set_thread_name("admin-0");
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return !tasks_.empty(); })) {
      if (stop.stop_requested()) return;
      UniqueFunction<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = {};  // what it owns goes away outside the lock
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<UniqueFunction<void()>> tasks_;
  bool has_ended_ = false;
  std::jthread thread_;  // declared last: ends before what it uses
};

ModelAdmin::ModelAdmin(AdminEnvironment environment)
    : environment_(std::move(environment)), worker_(std::make_unique<Worker>()) {}
ModelAdmin::~ModelAdmin() = default;

void ModelAdmin::stop() { worker_->end(); }

Status ModelAdmin::run(UniqueFunction<void()> task) {
  if (worker_->add(task)) return ok_status();
  return unavailable("too many management requests wait").with_hint("try again in a moment");
}

std::shared_ptr<const ModelRecord> ModelAdmin::record_of(std::string_view target) const {
  auto found = catalog().snapshot()->resolve(target);
  return found.has_value() ? *std::move(found) : nullptr;
}

Result<const runtime::Runtime*> ModelAdmin::runtime_for(const std::string& path) const {
  const runtime::Runtime* best = nullptr;
  int best_score = 0;
  for (const runtime::Runtime* runtime : environment_.runtimes) {
    const int score = runtime->probe(path);
    if (score <= best_score) continue;
    best = runtime;
    best_score = score;
  }
  if (best != nullptr) return best;
  return at_path(
      unsupported(str("no runtime of this program can load '", printable(path, 256), "'")));
}

Result<FoundModel> ModelAdmin::find_and_plan(const std::string& path,
                                             const ModelSettings& settings) const {
  ASSIGN_OR_RETURN(FoundModel found, find_model_files(path, environment_.model_root));
  if (environment_.runtimes.empty()) return found;
  ASSIGN_OR_RETURN(const ModelSettings checked, checked_settings(settings));
  ASSIGN_OR_RETURN(const runtime::Runtime* runtime, runtime_for(found.path));
  const Result<runtime::MemoryPlan> plan =
      runtime->plan(found.path, environment_.load_options(checked));
  if (!plan.has_value()) return at_path(plan.error());
  return found;
}

Status ModelAdmin::follow() {
  if (environment_.manager == nullptr) return ok_status();
  RETURN_IF_ERROR(environment_.manager->follow_catalog());
  return apply_version_policies();
}

VersionPolicy ModelAdmin::version_policy(std::string_view name) const {
  const auto recorded = catalog().states(kPolicyOwner);
  const auto count = recorded.has_value() ? recorded->size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [key, text] = (*recorded)[i];
    const Result<VersionPolicy> policy = parse_version_policy(text);
    if (key == name && policy.has_value()) return *policy;
  }
  const auto& configured = environment_.version_policies;
  auto found = configured.find(std::string(name));
  if (found == configured.end()) found = configured.find(std::string());
  return found == configured.end() ? VersionPolicy() : found->second;
}

Status ModelAdmin::apply_version_policies() {
  if (environment_.manager == nullptr) return ok_status();
  const auto recorded = catalog().states(kPolicyOwner);
  // Nobody has ever asked for one: there may be thousands of names.
  if (environment_.version_policies.empty() && (!recorded.has_value() || recorded->empty())) {
    return ok_status();
  }
  std::string last;
  const auto snapshot = catalog().snapshot();
  for (const auto& model : snapshot->models()) {
    if (model->name == last) continue;
    last = model->name;
    RETURN_IF_ERROR(environment_.manager->set_version_policy(last, version_policy(last)));
  }
  return ok_status();
}

Status ModelAdmin::set_version_policy(const std::string& name,
                                      std::string_view policy,
                                      const Actor& actor) {
  const std::string before = json_object("policy", version_policy_text(version_policy(name)));
  const Result<VersionPolicy> parsed = parse_version_policy(policy);
  Status status = parsed.status();
  if (status.ok() && catalog().snapshot()->versions(name).empty()) {
    status = not_found(str("there is no model '", printable(name), "'")).with_where("model_id");
  }
  if (status.ok()) {
    status = catalog().save_state(kPolicyOwner, name, version_policy_text(*parsed));
  }
  note(actor, "policy", name, before, json_object("policy", policy), status);
  RETURN_IF_ERROR(status);
  return apply_version_policies();
}

void ModelAdmin::tell(const Actor& actor,
                      std::string_view action,
                      const std::string& subject,
                      const Status& result) {
  log::info("models",
            str(action,
                " '",
                subject,
                "' by ",
                actor.principal,
                actor.address.empty() ? "" : " at ",
                actor.address,
                result.ok() ? "" : ": ",
                result.message()));
  if (environment_.events == nullptr || !result.ok()) return;
  text::Value::Dict detail;
  detail.emplace_back("action", action);
  detail.emplace_back("by", actor.principal);
  environment_.events->publish(
      {.kind = "catalog", .model = subject, .detail = text::to_json(detail)});
}

void ModelAdmin::note(const Actor& actor,
                      std::string_view action,
                      const std::string& subject,
                      std::string before,
                      std::string after,
                      const Status& result) {
  AuditRecord record{.actor = actor,
                     .action = std::string(action),
                     .subject = subject,
                     .before = std::move(before),
                     .after = result.ok() ? std::move(after) : std::string()};
  if (!result.ok()) {
    record.result = status_code_name(result.code());
    record.message = result.message();
  }
  if (const Status status = catalog().append_audit(std::move(record)); !status.ok()) {
    log::warning("models",
                 str("the audit lacks ", action, " of '", subject, "': ", status.message()));
  }
  tell(actor, action, subject, result);
}

Status ModelAdmin::check_not_moving(std::string_view name) const {
  if (environment_.rollouts == nullptr || !environment_.rollouts->is_under_way(name)) {
    return ok_status();
  }
  return failed_precondition(str("a rollout of '", name, "' is under way"))
      .with_where("model_id")
      .with_hint("wait for its end, or abort it");
}

Result<std::shared_ptr<const ModelRecord>> ModelAdmin::register_model(RegisterRequest request,
                                                                      const Actor& actor) {
  ModelRegistration& model = request.model;
  const std::string subject = model_id(model.name, model.version);
  if (!model.version.empty() && catalog().snapshot()->find(model.name, model.version) != nullptr) {
    // Refused and recorded by the catalog, without reading gigabytes first.
    return catalog().register_model(model, actor);
  }
  Status status;
  if (environment_.root_for_clients && environment_.model_root.empty() && !request.by_operator) {
    status = permission_denied("no model root is set, so no path of a client is taken")
                 .with_where("path")
                 .with_hint("start the server with --model-root DIR");
  }
  Result<FoundModel> found =
      status.ok() ? find_and_plan(model.path, model.settings) : Result<FoundModel>(status);
  status = found.status();
  const auto check_files = [&] {
    if (status.ok() && request.check_files) status = request.check_files(found->files);
  };
  check_files();
  if (status.ok() && request.digests) {
    status = compute_digests(*found);
    check_files();
  }
  if (!status.ok()) {
    note(actor, "register", subject, {}, {}, status);
    return status;
  }
  model.path = found->path;
  model.format = found->format;
  model.files = std::move(found->files);
  ASSIGN_OR_RETURN(const std::shared_ptr<const ModelRecord> record,
                   catalog().register_model(model, actor));
  const std::string id = model_id(record->name, record->version);
  for (const std::string& alias : request.aliases) {
    RETURN_IF_ERROR(catalog().set_alias(alias, id, actor));
  }
  RETURN_IF_ERROR(follow());
  tell(actor, "register", id, ok_status());
  return record;
}

Result<std::shared_ptr<const ModelRecord>> ModelAdmin::change_model(const std::string& target,
                                                                    ModelChange change,
                                                                    const Actor& actor) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const ModelRecord> old,
                   catalog().snapshot()->resolve(target));
  if (change.path) {
    ASSIGN_OR_RETURN(FoundModel found,
                     find_and_plan(*change.path, change.settings.value_or(old->settings)));
    RETURN_IF_ERROR(compute_digests(found));
    change.path = found.path;
    change.files = std::move(found.files);
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<const ModelRecord> record,
                   catalog().change_model(old->name, old->version, change, actor));
  RETURN_IF_ERROR(follow());
  tell(actor, "change", model_id(record->name, record->version), ok_status());
  return record;
}

Status ModelAdmin::remove_model(const std::string& target, const Actor& actor) {
  const Result<ModelReference> reference = parse_model_reference(target);
  RETURN_IF_ERROR(reference.status());
  const bool is_latest = target.ends_with(str(":", kLatestVersion));
  Status status = check_not_moving(reference->name);
  if (!status.ok()) {
    note(actor, "remove", target, {}, {}, status);
    return status;
  }
  RETURN_IF_ERROR(catalog().remove_model(
      reference->name, is_latest ? kLatestVersion : std::string_view(reference->version), actor));
  RETURN_IF_ERROR(follow());
  tell(actor, "remove", target, ok_status());
  return ok_status();
}

Status ModelAdmin::set_alias(const std::string& alias,
                             const std::string& target,
                             const Actor& actor) {
  RETURN_IF_ERROR(catalog().set_alias(alias, target, actor));
  RETURN_IF_ERROR(follow());
  tell(actor, "alias", alias, ok_status());
  return ok_status();
}

Status ModelAdmin::remove_alias(const std::string& alias, const Actor& actor) {
  RETURN_IF_ERROR(catalog().remove_alias(alias, actor));
  RETURN_IF_ERROR(follow());
  tell(actor, "unalias", alias, ok_status());
  return ok_status();
}

void ModelAdmin::load(const std::string& target, bool force, const Actor& actor, LoadDone done) {
  if (environment_.manager == nullptr) return done(no_server());
  ModelManager& manager = *environment_.manager;
  Result<VersionInfo> before = manager.find(target);
  if (!before.has_value()) return done(before.error());
  const std::string id = id_of(*before);
  if (before->state == VersionState::kReady && !force) {
    load_hits_.fetch_add(1, std::memory_order_relaxed);
    return done(Loaded{true, *before});
  }
  const std::string state = json_object("state", version_state_name(before->state));
  // The load runs elsewhere; what follows it writes to the catalog and so is a task again.
  auto finish = [this, id, state, actor, done = std::move(done)](const Status& status) mutable {
    note(actor, "load", id, state, json_object("state", "ready"), status);
    if (!status.ok()) return done(status);
    Result<VersionInfo> after = environment_.manager->find(id);
    if (!after.has_value()) return done(after.error());
    done(Loaded{false, *std::move(after)});
  };
  auto load_now = [this, id, finish = std::move(finish)]() mutable {
    environment_.manager->load(id, [this, finish = std::move(finish)](Status status) mutable {
      [[maybe_unused]] const Status added = run(
          [finish = std::move(finish), status = std::move(status)]() mutable { finish(status); });
    });
  };
  if (before->state != VersionState::kReady) return load_now();
  manager.unload(id,
                 limits::kDrainTimeout,
                 [load_now = std::move(load_now)](const Status&) mutable { load_now(); });
}

void ModelAdmin::unload(const std::string& target, const Actor& actor, Done done) {
  leave(target, false, actor, std::move(done));
}

void ModelAdmin::sleep(const std::string& target, const Actor& actor, Done done) {
  leave(target, true, actor, std::move(done));
}

void ModelAdmin::leave(const std::string& target, bool sleeps, const Actor& actor, Done done) {
  if (environment_.manager == nullptr) return done(no_server());
  const Result<VersionInfo> before = environment_.manager->find(target);
  if (!before.has_value()) return done(before.error());
  const std::string id = id_of(*before);
  const std::string state = json_object("state", version_state_name(before->state));
  if (sleeps &&
      (before->state == VersionState::kRegistered || before->state == VersionState::kUnloaded ||
       before->state == VersionState::kFailed)) {
    return done(failed_precondition(str("the model '", id, "' is not in memory"))
                    .with_where("model_id")
                    .with_hint("load it first"));
  }
  auto finish =
      [this, id, sleeps, state, actor, done = std::move(done)](const Status& status) mutable {
        const std::string_view after = sleeps ? "sleeping" : "unloaded";
        note(actor, sleeps ? "sleep" : "unload", id, state, json_object("state", after), status);
        done(status);
      };
  auto finish_later = [this, finish = std::move(finish)](Status status) mutable {
    [[maybe_unused]] const Status added =
        run([finish = std::move(finish), status = std::move(status)]() mutable { finish(status); });
  };
  if (sleeps) {
    environment_.manager->sleep(id, std::move(finish_later));
  } else {
    environment_.manager->unload(id, limits::kDrainTimeout, std::move(finish_later));
  }
}

Result<std::int64_t> ModelAdmin::update(const UpdateRequest& request,
                                        const Actor& actor,
                                        Done done) {
  if (environment_.manager == nullptr) return no_server();
  const std::string id = model_id(request.name, request.version);
  const std::string live(catalog().snapshot()->live_version(request.name));
  const std::string before = live.empty() ? std::string() : json_object("live_version", live);
  const std::string after = json_object("live_version", request.version);
  if (!request.at_once) {
    if (environment_.rollouts == nullptr) {
      return unsupported("this server has no rollouts").with_hint("update with strategy 'at_once'");
    }
    const Result<std::int64_t> started = environment_.rollouts->start(
        {.name = request.name, .candidate = request.version, .policy = request.policy});
    note(actor, "rollout.start", id, before, after, started.status());
    return started;
  }
  if (Status status = check_not_moving(request.name); !status.ok()) {
    note(actor, "update", id, before, after, status);
    return status;
  }
  auto finish =
      [this, id, before, after, actor, done = std::move(done)](const Status& status) mutable {
        (status.ok() ? updates_ok_ : updates_failed_).fetch_add(1, std::memory_order_relaxed);
        note(actor, "update", id, before, after, status);
        done(status);
      };
  environment_.manager->swap(request.name,
                             request.version,
                             true,
                             [this, finish = std::move(finish)](Status status) mutable {
                               [[maybe_unused]] const Status added =
                                   run([finish = std::move(finish),
                                        status = std::move(status)]() mutable { finish(status); });
                             });
  return std::int64_t{0};
}

Status ModelAdmin::step_rollout(const std::string& name,
                                RolloutStep step,
                                const std::string& reason,
                                const Actor& actor) {
  RolloutController* rollouts = environment_.rollouts;
  if (rollouts == nullptr) {
    return not_found(str("there is no rollout of '", printable(name), "'")).with_where("model_id");
  }
  const std::string why = reason.empty() ? str("by ", actor.principal) : reason;
  Status status;
  std::string_view action;
  switch (step) {
    case RolloutStep::kPause:
      action = "rollout.pause";
      status = rollouts->pause(name, why);
      break;
    case RolloutStep::kResume:
      action = "rollout.resume";
      status = rollouts->resume(name);
      break;
    case RolloutStep::kPromote:
    case RolloutStep::kPromoteFully:
      action = "rollout.promote";
      status = rollouts->promote(name, step == RolloutStep::kPromoteFully);
      break;
    case RolloutStep::kAbort:
      action = "rollout.abort";
      status = rollouts->abort(name, why);
      break;
  }
  note(actor, action, name, {}, json_object("reason", reason), status);
  return status;
}

ModelAdmin::Counts ModelAdmin::counts() const {
  return {.updates_ok = updates_ok_.load(std::memory_order_relaxed),
          .updates_failed = updates_failed_.load(std::memory_order_relaxed),
          .load_hits = load_hits_.load(std::memory_order_relaxed)};
}

}  // namespace inferneo::manager
