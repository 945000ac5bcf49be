// Pins and aliases of /api/v1/model_serving.
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"
#include "manager/catalog_json.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::ModelAdmin;
using text::Value;

struct PinBody {
  std::string model_id;
  std::string version;
  bool pinned = true;
};

constexpr Field<PinBody> kPinFields[] = {
    {{"model_id", FieldUse::kWorks, "name, name:version or alias"},
     bind_text<&PinBody::model_id, kModelIdSizeMax, PinBody>},
    {{"version", FieldUse::kWorks, "version (`latest`, the live one)"},
     bind_text<&PinBody::version, limits::kModelVersionSizeMax, PinBody>},
    {{"pinned", FieldUse::kWorks, "false lets it be evicted again (true)"},
     bind_flag<&PinBody::pinned, PinBody>},
};

struct AliasBody {
  std::string alias;
  std::string model_id;
  std::string version;
};

constexpr Field<AliasBody> kAliasFields[] = {
    {{"alias", FieldUse::kWorks, "the further name; one that exists moves"},
     bind_text<&AliasBody::alias, limits::kModelNameSizeMax, AliasBody>},
    {{"model_id", FieldUse::kWorks, "name (the alias follows its live version) or name:version"},
     bind_text<&AliasBody::model_id, kModelIdSizeMax, AliasBody>},
    {{"version", FieldUse::kWorks, "version (none: the live one)"},
     bind_text<&AliasBody::version, limits::kModelVersionSizeMax, AliasBody>},
};

std::vector<FieldRow> pin_rows() { return rows_of(kPinFields); }
std::vector<FieldRow> alias_rows() { return rows_of(kAliasFields); }

void handle_pin(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<PinBody> body = read_body(*exchange, kPinFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<std::string> target = target_of(body->model_id, body->version);
  if (!target.has_value()) return answer_failure(*exchange, target.error());
  change_models(services,
                exchange,
                [exchange, target = *target, pinned = body->pinned](ModelAdmin& admin,
                                                                    const manager::Actor& actor) {
                  manager::ModelChange change;
                  change.pinned = pinned;
                  const auto record = admin.change_model(target, change, actor);
                  if (!record.has_value()) return answer_failure(*exchange, record.error());
                  answer_data(*exchange,
                              manager::model_value(**record),
                              str("Model '", target, pinned ? "' pinned" : "' unpinned"));
                });
}

void handle_aliases(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  Value::List aliases;
  for (const manager::AliasRecord& alias : services.admin->catalog().snapshot()->aliases()) {
    aliases.push_back(manager::alias_value(alias));
  }
  Value::Dict data;
  data.emplace_back("total_count", number(aliases.size()));
  data.emplace_back("aliases", std::move(aliases));
  answer_data(*exchange, std::move(data));
}

void handle_set_alias(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<AliasBody> body = read_body(*exchange, kAliasFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<std::string> target = target_of(body->model_id, body->version);
  if (!target.has_value()) return answer_failure(*exchange, target.error());
  change_models(services,
                exchange,
                [exchange, alias = body->alias, target = *target](ModelAdmin& admin,
                                                                  const manager::Actor& actor) {
                  const Status status = admin.set_alias(alias, target, actor);
                  if (!status.ok()) return answer_failure(*exchange, status);
                  Value::Dict data;
                  data.emplace_back("alias", alias);
                  data.emplace_back("model_id", target);
                  answer_data(
                      *exchange, std::move(data), str("'", alias, "' now means '", target, "'"));
                });
}

const Endpoint& alias_endpoint();

void handle_remove_alias(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const std::string alias(path_id(alias_endpoint(), exchange->request().head.path));
  change_models(
      services, exchange, [exchange, alias](ModelAdmin& admin, const manager::Actor& actor) {
        const Status status = admin.remove_alias(alias, actor);
        if (!status.ok()) return answer_failure(*exchange, status);
        Value::Dict data;
        data.emplace_back("alias", alias);
        data.emplace_back("removed", true);
        answer_data(*exchange, std::move(data), str("Alias '", alias, "' removed"));
      });
}

}  // namespace

extern const Endpoint kModelServingPinEndpoint;
const Endpoint kModelServingPinEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/pin",
    .summary = "Pins a version in memory (it is never evicted), or lets it go again",
    .handle = handle_pin,
    .fields = pin_rows,
};

extern const Endpoint kModelServingAliasesEndpoint;
const Endpoint kModelServingAliasesEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/aliases",
    .summary = "Further names of models",
    .handle = handle_aliases,
};

extern const Endpoint kModelServingAliasEndpoint;
const Endpoint kModelServingAliasEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/alias",
    .summary = "Gives a model or a version a further name",
    .handle = handle_set_alias,
    .fields = alias_rows,
};

extern const Endpoint kModelServingRemoveAliasEndpoint;
const Endpoint kModelServingRemoveAliasEndpoint{
    .method = "DELETE",
    .path = "/api/v1/model_serving/aliases/{id}",
    .summary = "Removes a further name",
    .handle = handle_remove_alias,
};

namespace {

const Endpoint& alias_endpoint() { return kModelServingRemoveAliasEndpoint; }

}  // namespace

}  // namespace inferneo::gateway::endpoints
