// POST /models/load and /models/unload, as clients of llama.cpp's server know them: other words for
// the same calls of /api/v1/model_serving. They answer when it is done.
#include <utility>

#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::ModelAdmin;

struct ModelBody {
  std::string model;
};

constexpr Field<ModelBody> kModelFields[] = {
    {{"model", FieldUse::kWorks, "name, name:version or alias"},
     bind_text<&ModelBody::model, kModelIdSizeMax, ModelBody>},
};

std::vector<FieldRow> model_rows() { return rows_of(kModelFields); }

void answer_success(http::Exchange& exchange, const Status& status) {
  if (!status.ok()) return answer_failure(exchange, status);
  http::Response response;
  response.body = "{\"success\":true}";
  exchange.respond(std::move(response));
}

// Calls `change(admin, target, actor, done)` for the model that the body names.
template <typename Change>
void change_named_model(const Services& services,
                        const std::shared_ptr<http::Exchange>& exchange,
                        Change change) {
  const Result<ModelBody> body = read_body(*exchange, kModelFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  const Result<std::string> target = target_of(body->model, std::string());
  if (!target.has_value()) {
    return answer_failure(*exchange, Status(target.error()).with_where("model"));
  }
  change_models(
      services,
      exchange,
      [exchange, target = *target, change](ModelAdmin& admin, const manager::Actor& actor) {
        change(admin, target, actor, [exchange](const Status& status) {
          answer_success(*exchange, status);
        });
      });
}

void handle_load(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  change_named_model(
      services,
      exchange,
      [](ModelAdmin& admin, const std::string& target, const manager::Actor& actor, auto done) {
        admin.load(target, false, actor, [done](const Result<ModelAdmin::Loaded>& loaded) {
          done(loaded.status());
        });
      });
}

void handle_unload(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  change_named_model(
      services,
      exchange,
      [](ModelAdmin& admin, const std::string& target, const manager::Actor& actor, auto done) {
        admin.unload(target, actor, [done](const Status& status) { done(status); });
      });
}

}  // namespace

extern const Endpoint kModelsLoadEndpoint;
const Endpoint kModelsLoadEndpoint{
    .method = "POST",
    .path = "/models/load",
    .summary = "Loads a model, as llama.cpp's server does; the same as model_serving/load",
    .handle = handle_load,
    .fields = model_rows,
};

extern const Endpoint kModelsUnloadEndpoint;
const Endpoint kModelsUnloadEndpoint{
    .method = "POST",
    .path = "/models/unload",
    .summary = "Unloads a model, as llama.cpp's server does; the same as model_serving/unload",
    .handle = handle_unload,
    .fields = model_rows,
};

}  // namespace inferneo::gateway::endpoints
