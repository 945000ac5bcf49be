// Updates and rollouts of /api/v1/model_serving: another version becomes the live one.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"
#include "manager/events.h"
#include "manager/rollout_controller.h"
#include "manager/rollout_json.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::ModelAdmin;
using manager::RolloutPhase;
using text::Value;

struct UpdateBody {
  std::string model_id;
  std::string new_version;
  bool rollback_on_failure = true;
  bool wait = false;
  bool dry_run = false;
  std::string strategy = "rollout";
  std::optional<manager::RolloutPolicy> policy;
};

Status bind_policy(Value& value, UpdateBody& body) {
  Result<manager::RolloutPolicy> policy = manager::policy_from(value);
  if (!policy.has_value()) {
    const std::string member = policy.error().where();
    return std::move(policy).error().with_where(member.empty() ? "policy" : "policy." + member);
  }
  body.policy = *std::move(policy);
  return ok_status();
}

Status bind_strategy(Value& value, UpdateBody& body) {
  ASSIGN_OR_RETURN(body.strategy, take_string(value, 16));
  if (body.strategy == "rollout" || body.strategy == "at_once") return ok_status();
  return invalid_argument("must be 'rollout' or 'at_once'");
}

constexpr Field<UpdateBody> kUpdateFields[] = {
    {{"model_id", FieldUse::kWorks, "name of a model"},
     bind_text<&UpdateBody::model_id, kModelIdSizeMax, UpdateBody>},
    {{"new_version", FieldUse::kWorks, "registered version that is to become the live one"},
     bind_text<&UpdateBody::new_version, limits::kModelVersionSizeMax, UpdateBody>},
    {{"rollback_on_failure",
      FieldUse::kWorks,
      "false: a gate that fails pauses the rollout instead of rolling it back (true)"},
     bind_flag<&UpdateBody::rollback_on_failure, UpdateBody>},
    {{"wait", FieldUse::kWorks, "true: answer at the end; else 202 at once (false)"},
     bind_flag<&UpdateBody::wait, UpdateBody>},
    {{"dry_run",
      FieldUse::kWorks,
      "true: what would happen, in numbers; nothing is changed (false)"},
     bind_flag<&UpdateBody::dry_run, UpdateBody>},
    {{"strategy",
      FieldUse::kWorks,
      "`rollout`: in stages with gates; `at_once`: as soon as the version is loaded (`rollout`)"},
     bind_strategy},
    {{"policy", FieldUse::kWorks, "object: stages, settle times and gates of a rollout"},
     bind_policy},
};

std::vector<FieldRow> update_rows() { return rows_of(kUpdateFields); }

// How an update ended, in the words of the API's first version, with the status that says so too.
void answer_update(http::Exchange& exchange,
                   const ModelAdmin& admin,
                   const manager::UpdateRequest& update,
                   const Status& failure,
                   bool rolled_back) {
  Value::Dict data;
  data.emplace_back("model_id", update.name);
  data.emplace_back("new_version", update.version);
  data.emplace_back("update_successful", failure.ok());
  if (failure.ok()) {
    const auto record = admin.catalog().snapshot()->find(update.name, update.version);
    data.emplace_back(
        "resource_allocation",
        record == nullptr ? Value() : Value(manager::model_id(record->name, record->version)));
    data.emplace_back("zero_downtime", true);
    return answer_data(exchange,
                       std::move(data),
                       str("Model '", update.name, "' now serves version ", update.version));
  }
  data.emplace_back("rollback_performed", rolled_back);
  http::Response response = http::error_response(failure);
  // Why 409 where there was a rollback: the server did what it should, the version is at fault.
  if (rolled_back || response.status < 400) response.status = 409;
  Value::Dict body;
  body.emplace_back("status", "failed");
  body.emplace_back("message", failure.message());
  body.emplace_back("detail", failure.message());
  body.emplace_back("data", std::move(data));
  body.emplace_back("server_side_rendered", true);
  response.body = text::to_json(body);
  exchange.respond(std::move(response));
}

void answer_ended(http::Exchange& exchange,
                  const ModelAdmin& admin,
                  const manager::UpdateRequest& update,
                  const manager::RolloutRecord& record) {
  if (record.phase == RolloutPhase::kCompleted) {
    return answer_update(exchange, admin, update, ok_status(), false);
  }
  const std::string why =
      record.reason.empty() ? std::string(manager::phase_name(record.phase)) : record.reason;
  answer_update(exchange,
                admin,
                update,
                failed_precondition(why).with_where("version"),
                record.phase != RolloutPhase::kFailed);
}

// Answers when the rollout has ended: looks at it at each of its events.
class RolloutWaiter final : public std::enable_shared_from_this<RolloutWaiter> {
 public:
  RolloutWaiter(std::shared_ptr<http::Exchange> exchange,
                ModelAdmin& admin,
                manager::UpdateRequest update,
                std::int64_t id)
      : exchange_(std::move(exchange)), admin_(admin), update_(std::move(update)), id_(id) {}

  void start() {
    admin_.events()->subscribe(admin_.events()->last_id(),
                               [self = shared_from_this()](const manager::Event& event) {
                                 return self->look_later(event);
                               });
    look();
  }

 private:
  // The hub's lock is held: the controller is asked elsewhere.
  bool look_later(const manager::Event& event) {
    if (event.kind != "rollout") return !is_done();
    [[maybe_unused]] const Status added = admin_.run([self = shared_from_this()] { self->look(); });
    return !is_done();
  }
  void look() {
    const auto status = admin_.rollouts()->status(id_);
    if (status.has_value() && !manager::is_terminal(status->record.phase)) return;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(done_, true)) return;
    }
    if (!status.has_value()) return answer_failure(*exchange_, status.error());
    answer_ended(*exchange_, admin_, update_, status->record);
  }
  bool is_done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }

  const std::shared_ptr<http::Exchange> exchange_;
  ModelAdmin& admin_;
  const manager::UpdateRequest update_;
  const std::int64_t id_;
  std::mutex mutex_;
  bool done_ = false;
};

void answer_started(http::Exchange& exchange,
                    const ModelAdmin& admin,
                    const manager::UpdateRequest& update,
                    std::int64_t id) {
  Value::Dict data;
  data.emplace_back("model_id", update.name);
  data.emplace_back("new_version", update.version);
  data.emplace_back("update_successful", Value());
  data.emplace_back("rollout_id", id == 0 ? Value() : Value(id));
  if (id != 0 && admin.rollouts() != nullptr) {
    const auto status = admin.rollouts()->status(id);
    if (status.has_value()) data.emplace_back("rollout", manager::to_value(*status));
  }
  answer_data(exchange,
              std::move(data),
              str("Update of '", update.name, "' to version ", update.version, " started"),
              202);
}

void run_update(const std::shared_ptr<http::Exchange>& exchange,
                ModelAdmin& admin,
                const manager::UpdateRequest& update,
                bool wait,
                const manager::Actor& actor) {
  const bool answers_later = update.at_once && wait;
  const auto started =
      admin.update(update, actor, [exchange, &admin, update, answers_later](const Status& status) {
        if (answers_later) answer_update(*exchange, admin, update, status, false);
      });
  if (!started.has_value()) {
    return answer_update(*exchange, admin, update, started.error(), false);
  }
  if (answers_later) return;
  if (!wait) return answer_started(*exchange, admin, update, *started);
  std::make_shared<RolloutWaiter>(exchange, admin, update, *started)->start();
}

void preview(http::Exchange& exchange,
             const ModelAdmin& admin,
             const manager::UpdateRequest& update) {
  if (admin.rollouts() == nullptr) {
    return answer_failure(exchange, unsupported("this server has no rollouts"));
  }
  const auto preview = admin.rollouts()->preview(
      {.name = update.name, .candidate = update.version, .policy = update.policy});
  if (!preview.has_value()) return answer_failure(exchange, preview.error());
  answer_data(exchange, manager::to_value(*preview), "Nothing was changed");
}

Result<manager::UpdateRequest> to_request(const UpdateBody& body) {
  ASSIGN_OR_RETURN(const manager::ModelReference reference, reference_of(body.model_id, {}));
  if (!reference.version.empty()) {
    return invalid_argument("'model_id' is the name alone; 'new_version' says which version")
        .with_where("model_id");
  }
  if (body.new_version.empty()) {
    return invalid_argument("'new_version' must be given").with_where("new_version");
  }
  manager::UpdateRequest update{
      .name = reference.name, .version = body.new_version, .at_once = body.strategy == "at_once"};
  if (body.policy) update.policy = *body.policy;
  if (!body.rollback_on_failure) update.policy.on_failure = manager::OnFailure::kPause;
  return update;
}

void handle_update(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<UpdateBody> body = read_body(*exchange, kUpdateFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<manager::UpdateRequest> update = to_request(*body);
  if (!update.has_value()) return answer_failure(*exchange, update.error());
  change_models(services,
                exchange,
                [exchange, update = *update, wait = body->wait, dry_run = body->dry_run](
                    ModelAdmin& admin, const manager::Actor& actor) {
                  if (dry_run) return preview(*exchange, admin, update);
                  run_update(exchange, admin, update, wait, actor);
                });
}

void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  Value::List list;
  if (services.admin->rollouts() != nullptr) {
    for (const manager::RolloutStatus& rollout : services.admin->rollouts()->list()) {
      list.push_back(manager::to_value(rollout));
    }
  }
  Value::Dict data;
  data.emplace_back("total_count", number(list.size()));
  data.emplace_back("rollouts", std::move(list));
  answer_data(*exchange, std::move(data));
}

const Endpoint& show_endpoint();

// The number of a rollout, or the name of a model.
Result<manager::RolloutStatus> find_rollout(const ModelAdmin& admin, std::string_view id) {
  if (admin.rollouts() == nullptr) {
    return not_found(str("there is no rollout '", printable(id), "'")).with_where("model_id");
  }
  std::int64_t number = 0;
  const auto parsed = std::from_chars(id.data(), id.data() + id.size(), number);
  if (parsed.ec == std::errc() && parsed.ptr == id.data() + id.size()) {
    auto by_number = admin.rollouts()->status(number);
    if (by_number.has_value()) return by_number;
  }
  return admin.rollouts()->status(id);
}

void handle_show(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  const auto rollout =
      find_rollout(*services.admin, path_id(show_endpoint(), exchange->request().head.path));
  if (!rollout.has_value()) return answer_failure(*exchange, rollout.error());
  answer_data(*exchange, manager::to_value(*rollout));
}

struct StepBody {
  std::string model_id;
  std::string reason;
  bool fully = false;
};

constexpr Field<StepBody> kStepFields[] = {
    {{"model_id", FieldUse::kWorks, "name of the model whose rollout is meant"},
     bind_text<&StepBody::model_id, kModelIdSizeMax, StepBody>},
    {{"reason", FieldUse::kWorks, "kept with the rollout and in the audit"},
     bind_text<&StepBody::reason, kReasonSizeMax, StepBody>},
};
constexpr Field<StepBody> kPromoteFields[] = {
    kStepFields[0],
    kStepFields[1],
    {{"fully", FieldUse::kWorks, "true: to the last stage at once (false)"},
     bind_flag<&StepBody::fully, StepBody>},
};

std::vector<FieldRow> step_rows() { return rows_of(kStepFields); }
std::vector<FieldRow> promote_rows() { return rows_of(kPromoteFields); }

void step(const Services& services,
          const std::shared_ptr<http::Exchange>& exchange,
          const Result<StepBody>& body,
          ModelAdmin::RolloutStep rollout_step) {
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  if (body->model_id.empty()) {
    return answer_failure(*exchange,
                          invalid_argument("'model_id' must be given").with_where("model_id"));
  }
  if (body->fully) rollout_step = ModelAdmin::RolloutStep::kPromoteFully;
  change_models(
      services,
      exchange,
      [exchange, body = *body, rollout_step](ModelAdmin& admin, const manager::Actor& actor) {
        Status status = admin.step_rollout(body.model_id, rollout_step, body.reason, actor);
        if (!status.ok()) {
          if (status.where().empty()) status = std::move(status).with_where("model_id");
          return answer_failure(*exchange, status);
        }
        const auto rollout = admin.rollouts()->status(body.model_id);
        answer_data(*exchange, rollout.has_value() ? manager::to_value(*rollout) : Value());
      });
}

void handle_pause(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  step(services, exchange, read_body(*exchange, kStepFields), ModelAdmin::RolloutStep::kPause);
}
void handle_resume(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  step(services, exchange, read_body(*exchange, kStepFields), ModelAdmin::RolloutStep::kResume);
}
void handle_promote(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  step(services, exchange, read_body(*exchange, kPromoteFields), ModelAdmin::RolloutStep::kPromote);
}
void handle_abort(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  step(services, exchange, read_body(*exchange, kStepFields), ModelAdmin::RolloutStep::kAbort);
}

}  // namespace

extern const Endpoint kModelServingUpdateEndpoint;
const Endpoint kModelServingUpdateEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/update",
    .summary = "Makes another version the live one without interruption: 202, or the end with wait",
    .handle = handle_update,
    .fields = update_rows,
};

extern const Endpoint kModelServingRolloutsEndpoint;
const Endpoint kModelServingRolloutsEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/rollouts",
    .summary = "Rollouts under way and ended ones, latest first",
    .handle = handle_list,
};

extern const Endpoint kModelServingRolloutEndpoint;
const Endpoint kModelServingRolloutEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/rollouts/{id}",
    .summary = "One rollout by its number, or a model's latest by the model's name",
    .handle = handle_show,
};

extern const Endpoint kModelServingPauseEndpoint;
const Endpoint kModelServingPauseEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/rollouts/pause",
    .summary = "Keeps the share of a rollout as it is; its gates go on",
    .handle = handle_pause,
    .fields = step_rows,
};

extern const Endpoint kModelServingResumeEndpoint;
const Endpoint kModelServingResumeEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/rollouts/resume",
    .summary = "Goes on with a paused rollout",
    .handle = handle_resume,
    .fields = step_rows,
};

extern const Endpoint kModelServingPromoteEndpoint;
const Endpoint kModelServingPromoteEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/rollouts/promote",
    .summary = "Goes on to the next stage now, past what the gates lack",
    .handle = handle_promote,
    .fields = promote_rows,
};

extern const Endpoint kModelServingAbortEndpoint;
const Endpoint kModelServingAbortEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/rollouts/abort",
    .summary = "Gives everything back to the former version at once",
    .handle = handle_abort,
    .fields = step_rows,
};

namespace {

const Endpoint& show_endpoint() { return kModelServingRolloutEndpoint; }

}  // namespace

}  // namespace inferneo::gateway::endpoints
