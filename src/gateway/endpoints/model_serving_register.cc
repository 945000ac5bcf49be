// POST /api/v1/model_serving/register: a version of a model enters the catalog.
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"
#include "manager/catalog_json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct RegisterBody {
  std::string model_id;
  std::string version;
  std::string path;
  manager::ModelSettings config;
  std::vector<std::string> tags;
  std::vector<std::string> aliases;
  bool pinned = false;
  bool preload = false;
  bool digests = true;
};

Status bind_aliases(Value& value, RegisterBody& body) {
  ASSIGN_OR_RETURN(
      body.aliases,
      read_texts(value, limits::kCatalogAliasPerModelCountMax, limits::kModelNameSizeMax));
  return ok_status();
}

constexpr Field<RegisterBody> kFields[] = {
    {{"model_id", FieldUse::kWorks, "name, or name:version; may hold slashes"},
     bind_text<&RegisterBody::model_id, kModelIdSizeMax, RegisterBody>},
    {{"version", FieldUse::kWorks, "version (the next number)"},
     bind_text<&RegisterBody::version, limits::kModelVersionSizeMax, RegisterBody>},
    {{"path", FieldUse::kWorks, "directory or GGUF file on the server, inside `model_root`"},
     bind_text<&RegisterBody::path, kPathSizeMax, RegisterBody>},
    {{"config", FieldUse::kWorks, "object of configuration keys for this model alone"},
     bind_settings<&RegisterBody::config, RegisterBody>},
    {{"tags", FieldUse::kWorks, "list of texts"}, bind_tags<&RegisterBody::tags, RegisterBody>},
    {{"aliases", FieldUse::kWorks, "list of further names for this version"}, bind_aliases},
    {{"pinned", FieldUse::kWorks, "true: never evicted (false)"},
     bind_flag<&RegisterBody::pinned, RegisterBody>},
    {{"preload", FieldUse::kWorks, "true: loaded at start (false)"},
     bind_flag<&RegisterBody::preload, RegisterBody>},
    {{"digests", FieldUse::kWorks, "compute SHA-256 of all files now (true)"},
     bind_flag<&RegisterBody::digests, RegisterBody>},
};

std::vector<FieldRow> field_rows() { return rows_of(kFields); }

Result<manager::RegisterRequest> to_request(RegisterBody body) {
  ASSIGN_OR_RETURN(manager::ModelReference reference, reference_of(body.model_id, body.version));
  if (body.path.empty()) return invalid_argument("'path' must be given").with_where("path");
  manager::RegisterRequest request;
  request.model = {.name = std::move(reference.name),
                   .version = std::move(reference.version),
                   .path = std::move(body.path),
                   .settings = std::move(body.config),
                   .tags = std::move(body.tags),
                   .pinned = body.pinned,
                   .preload = body.preload};
  request.aliases = std::move(body.aliases);
  request.digests = body.digests;
  return request;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Result<RegisterBody> body = read_body(*exchange, kFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  Result<manager::RegisterRequest> request = to_request(*std::move(body));
  if (!request.has_value()) return answer_failure(*exchange, request.error());
  change_models(
      services,
      exchange,
      [exchange, request = *std::move(request)](manager::ModelAdmin& admin,
                                                const manager::Actor& actor) {
        const auto record = admin.register_model(request, actor);
        if (!record.has_value()) return answer_failure(*exchange, record.error());
        answer_data(
            *exchange,
            manager::model_value(**record),
            str("Model '", manager::model_id((*record)->name, (*record)->version), "' registered"),
            201);
      });
}

}  // namespace

extern const Endpoint kModelServingRegisterEndpoint;
const Endpoint kModelServingRegisterEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/register",
    .summary = "Records a version of a model in the catalog, without loading it",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
