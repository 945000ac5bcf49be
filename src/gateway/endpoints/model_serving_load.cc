// POST /api/v1/model_serving/load, /unload and /sleep: into memory and out of it.
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::ModelAdmin;
using text::Value;

struct LoadBody {
  std::string model_id;
  std::string version;
  bool force_reload = false;
};

constexpr Field<LoadBody> kLoadFields[] = {
    {{"model_id", FieldUse::kWorks, "name, name:version or alias"},
     bind_text<&LoadBody::model_id, kModelIdSizeMax, LoadBody>},
    {{"version", FieldUse::kWorks, "version (`latest`, the live one)"},
     bind_text<&LoadBody::version, limits::kModelVersionSizeMax, LoadBody>},
    {{"force_reload", FieldUse::kWorks, "unload it first when it is loaded (false)"},
     bind_flag<&LoadBody::force_reload, LoadBody>},
};

struct UnloadBody {
  std::string model_id;
  std::string version;
};

constexpr Field<UnloadBody> kUnloadFields[] = {
    {{"model_id", FieldUse::kWorks, "name, name:version or alias"},
     bind_text<&UnloadBody::model_id, kModelIdSizeMax, UnloadBody>},
    {{"version", FieldUse::kWorks, "version (`latest`, the live one)"},
     bind_text<&UnloadBody::version, limits::kModelVersionSizeMax, UnloadBody>},
};

std::vector<FieldRow> load_rows() { return rows_of(kLoadFields); }
std::vector<FieldRow> unload_rows() { return rows_of(kUnloadFields); }

Value loaded_value(const ModelAdmin& admin, const manager::VersionInfo& version) {
  Value::Dict config;
  config.emplace_back("model_id", version.name);
  config.emplace_back("version", version.version);
  config.emplace_back("loaded_at",
                      version.model == nullptr ? Value() : number(version.loaded_unix_seconds));
  config.emplace_back("memory_usage", memory_value(version));
  config.emplace_back("dtesn_optimizations", Value::Dict());
  config.emplace_back("engine_integration", engine_value(version));
  config.emplace_back("health", health_value(admin, version));
  config.emplace_back("serving_config", serving_value(version));
  Value::Dict data;
  data.emplace_back("model_config", std::move(config));
  data.emplace_back("load_time_ms", version.load_seconds * 1000.0);
  data.emplace_back("version", version.version);
  data.emplace_back("dtesn_optimized", false);
  data.emplace_back("engine_integrated", version.model != nullptr);
  return data;
}

void answer_loaded(http::Exchange& exchange,
                   const ModelAdmin& admin,
                   const Result<ModelAdmin::Loaded>& loaded) {
  if (!loaded.has_value()) return answer_failure(exchange, loaded.error());
  if (!loaded->was_loaded) {
    return answer_data(exchange, loaded_value(admin, loaded->version), "Model loaded successfully");
  }
  Value data = allocation_value(admin, loaded->version);
  data.set("cached", true);
  answer_data(exchange, std::move(data), "Model already loaded");
}

void handle_load(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<LoadBody> body = read_body(*exchange, kLoadFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<std::string> target = target_of(body->model_id, body->version);
  if (!target.has_value()) return answer_failure(*exchange, target.error());
  change_models(
      services,
      exchange,
      [exchange, target = *target, force = body->force_reload](ModelAdmin& admin,
                                                               const manager::Actor& actor) {
        admin.load(
            target, force, actor, [exchange, &admin](const Result<ModelAdmin::Loaded>& loaded) {
              answer_loaded(*exchange, admin, loaded);
            });
      });
}

void handle_leave(const Services& services,
                  const std::shared_ptr<http::Exchange>& exchange,
                  bool sleeps) {
  const Result<UnloadBody> body = read_body(*exchange, kUnloadFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<std::string> target = target_of(body->model_id, body->version);
  if (!target.has_value()) return answer_failure(*exchange, target.error());
  change_models(
      services,
      exchange,
      [exchange, target = *target, sleeps](ModelAdmin& admin, const manager::Actor& actor) {
        auto done = [exchange, target, sleeps](const Status& status) {
          if (!status.ok()) return answer_failure(*exchange, status);
          Value::Dict data;
          data.emplace_back("model_id", target);
          data.emplace_back(sleeps ? "sleeping" : "unloaded", true);
          answer_data(*exchange,
                      std::move(data),
                      str("Model '", target, sleeps ? "' put to sleep" : "' unloaded"));
        };
        sleeps ? admin.sleep(target, actor, done) : admin.unload(target, actor, done);
      });
}

void handle_unload(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  handle_leave(services, exchange, false);
}

void handle_sleep(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  handle_leave(services, exchange, true);
}

}  // namespace

extern const Endpoint kModelServingLoadEndpoint;
const Endpoint kModelServingLoadEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/load",
    .summary = "Loads a registered version and answers when it serves",
    .handle = handle_load,
    .fields = load_rows,
};

extern const Endpoint kModelServingSleepEndpoint;
const Endpoint kModelServingSleepEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/sleep",
    .summary = "Puts a version to sleep once its requests have ended; the next request wakes it",
    .handle = handle_sleep,
    .fields = unload_rows,
};

extern const Endpoint kModelServingUnloadEndpoint;
const Endpoint kModelServingUnloadEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/unload",
    .summary = "Unloads a version once its requests have ended; a later request loads it again",
    .handle = handle_unload,
    .fields = unload_rows,
};

}  // namespace inferneo::gateway::endpoints
