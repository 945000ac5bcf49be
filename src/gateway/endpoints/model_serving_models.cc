// GET /api/v1/model_serving/models, and one of them: shown, changed, removed.
#include <algorithm>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"
#include "manager/catalog_json.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::VersionInfo;
using text::Value;

Value list_entry(const manager::ModelAdmin& admin,
                 const manager::CatalogSnapshot& snapshot,
                 const VersionInfo& version) {
  const auto record = snapshot.find(version.name, version.version);
  Value::Dict dict;
  dict.emplace_back("model_id", version.name);
  dict.emplace_back("version", version.version);
  dict.emplace_back("status", health_word(admin, version));
  dict.emplace_back("state", manager::version_state_name(version.state));
  dict.emplace_back("reason", or_null(version.reason));
  dict.emplace_back("live", version.live);
  dict.emplace_back("pinned", version.pinned);
  dict.emplace_back("memory_usage_gb", gigabytes(version.reserved_bytes));
  dict.emplace_back("dtesn_optimized", false);
  dict.emplace_back("engine_integrated", version.model != nullptr);
  dict.emplace_back("zero_downtime_capable", true);
  dict.emplace_back("loaded_at",
                    version.model == nullptr ? Value() : number(version.loaded_unix_seconds));
  dict.emplace_back("load_time_ms", version.load_seconds * 1000.0);
  dict.emplace_back("path", version.path);
  dict.emplace_back(
      "format", record == nullptr ? Value() : Value(manager::model_format_name(record->format)));
  dict.emplace_back(
      "tags",
      record == nullptr ? Value::List() : Value::List(record->tags.begin(), record->tags.end()));
  dict.emplace_back("request_count", number(version.request_count));
  dict.emplace_back("lease_count", std::int64_t{version.lease_count});
  dict.emplace_back("waiting_count", std::int64_t{version.waiting_count});
  dict.emplace_back("loaded_share", version.loaded_share);
  dict.emplace_back("idle_seconds", version.idle_seconds ? Value(*version.idle_seconds) : Value());
  return dict;
}

void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  std::vector<VersionInfo> versions = services.manager->versions();
  const auto snapshot = services.admin->catalog().snapshot();
  std::ranges::stable_sort(versions, [](const VersionInfo& a, const VersionInfo& b) {
    return a.created_unix_seconds > b.created_unix_seconds;
  });
  Value::List models;
  std::int64_t healthy = 0;
  std::int64_t integrated = 0;
  for (const VersionInfo& version : versions) {
    healthy += health_word(*services.admin, version) == "healthy" ? 1 : 0;
    integrated += version.model != nullptr ? 1 : 0;
    models.push_back(list_entry(*services.admin, *snapshot, version));
  }
  Value::Dict data;
  data.emplace_back("total_count", number(models.size()));
  data.emplace_back("models", std::move(models));
  data.emplace_back("healthy_count", healthy);
  data.emplace_back("dtesn_optimized_count", 0);
  data.emplace_back("engine_integrated_count", integrated);
  answer_data(*exchange, std::move(data));
}

const Endpoint& show_endpoint();

void handle_show(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  const http::RequestHead& head = exchange->request().head;
  const auto version = services.manager->find(target_of(path_id(show_endpoint(), head.path), head));
  if (!version.has_value()) return answer_failure(*exchange, version.error());
  Value::Dict data;
  data.emplace_back("model_allocation", allocation_value(*services.admin, *version));
  data.emplace_back("health_summary", health_summary_value(services));
  data.emplace_back("load_balancer_status", balance_value(*services.admin, version->name));
  data.emplace_back("performance_context", performance_value(services));
  answer_data(*exchange, std::move(data));
}

void handle_remove(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const http::RequestHead& head = exchange->request().head;
  const std::string target = target_of(path_id(show_endpoint(), head.path), head);
  change_models(services,
                exchange,
                [exchange, target](manager::ModelAdmin& admin, const manager::Actor& actor) {
                  const Result<manager::ModelReference> reference =
                      manager::parse_model_reference(target);
                  if (!reference.has_value()) return answer_failure(*exchange, reference.error());
                  const Status status = admin.remove_model(target, actor);
                  if (!status.ok()) return answer_failure(*exchange, status);
                  Value::Dict data;
                  data.emplace_back("model_id", reference->name);
                  data.emplace_back("version", or_null(reference->version));
                  data.emplace_back("removed", true);
                  answer_data(*exchange, std::move(data), str("Model '", target, "' removed"));
                });
}

using manager::ModelChange;
constexpr Field<ModelChange> kChangeFields[] = {
    {{"path", FieldUse::kWorks, "directory or GGUF file on the server"},
     bind_text<&ModelChange::path, kPathSizeMax, ModelChange>},
    {{"config", FieldUse::kWorks, "object of configuration keys for this model alone"},
     bind_settings<&ModelChange::settings, ModelChange>},
    {{"tags", FieldUse::kWorks, "list of texts"}, bind_tags<&ModelChange::tags, ModelChange>},
    {{"pinned", FieldUse::kWorks, "true: never evicted"},
     bind_flag<&ModelChange::pinned, ModelChange>},
    {{"preload", FieldUse::kWorks, "true: loaded at start"},
     bind_flag<&ModelChange::preload, ModelChange>},
};

std::vector<FieldRow> change_rows() { return rows_of(kChangeFields); }

void handle_change(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const http::RequestHead& head = exchange->request().head;
  const std::string target = target_of(path_id(show_endpoint(), head.path), head);
  Result<manager::ModelChange> change = read_body(*exchange, kChangeFields);
  if (!change.has_value()) return answer_failure(*exchange, change.error());
  if (!change->path && !change->settings && !change->tags && !change->pinned && !change->preload) {
    return answer_failure(*exchange,
                          invalid_argument("nothing to change")
                              .with_hint("give path, config, tags, pinned or preload"));
  }
  change_models(
      services,
      exchange,
      [exchange, target, change = *std::move(change)](manager::ModelAdmin& admin,
                                                      const manager::Actor& actor) {
        const auto record = admin.change_model(target, change, actor);
        if (!record.has_value()) return answer_failure(*exchange, record.error());
        answer_data(*exchange, manager::model_value(**record), str("Model '", target, "' changed"));
      });
}

}  // namespace

extern const Endpoint kModelServingModelsEndpoint;
const Endpoint kModelServingModelsEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/models",
    .summary = "All versions of all models, newest first",
    .handle = handle_list,
    .query = "",
};

extern const Endpoint kModelServingShowEndpoint;
const Endpoint kModelServingShowEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/models/{id}",
    .summary = "One version: `name`, `name:version` or an alias; or `?version=`",
    .handle = handle_show,
    .query = "version",
};

extern const Endpoint kModelServingRemoveEndpoint;
const Endpoint kModelServingRemoveEndpoint{
    .method = "DELETE",
    .path = "/api/v1/model_serving/models/{id}",
    .summary = "Removes a version (`?version=` or `name:version`), or a name with all of them",
    .handle = handle_remove,
    .query = "version",
};

extern const Endpoint kModelServingChangeEndpoint;
const Endpoint kModelServingChangeEndpoint{
    .method = "PATCH",
    .path = "/api/v1/model_serving/models/{id}",
    .summary = "Changes what the catalog records of a version; only the fields given",
    .handle = handle_change,
    .fields = change_rows,
    .query = "version",
};

namespace {

const Endpoint& show_endpoint() { return kModelServingShowEndpoint; }

}  // namespace

}  // namespace inferneo::gateway::endpoints
