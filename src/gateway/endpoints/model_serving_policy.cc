// POST /api/v1/model_serving/version_policy: which versions of a name requests may ask for.
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/model_serving_fields.h"
#include "manager/version_policy.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::ModelAdmin;
using text::Value;

constexpr std::size_t kPolicySizeMax = 1024;

struct PolicyBody {
  std::string model_id;
  std::string policy;
};

constexpr Field<PolicyBody> kPolicyFields[] = {
    {{"model_id", FieldUse::kWorks, "name of a model"},
     bind_text<&PolicyBody::model_id, kModelIdSizeMax, PolicyBody>},
    {{"policy", FieldUse::kWorks, "`all`, `latest`, `latest:N` or `specific:V,V`"},
     bind_text<&PolicyBody::policy, kPolicySizeMax, PolicyBody>},
};

std::vector<FieldRow> policy_rows() { return rows_of(kPolicyFields); }

void handle_policy(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const Result<PolicyBody> body = read_body(*exchange, kPolicyFields);
  if (!body.has_value()) return answer_failure(*exchange, body.error());
  change_models(
      services, exchange, [exchange, body = *body](ModelAdmin& admin, const manager::Actor& actor) {
        const Status status = admin.set_version_policy(body.model_id, body.policy, actor);
        if (!status.ok()) return answer_failure(*exchange, status);
        const std::string policy =
            manager::version_policy_text(admin.version_policy(body.model_id));
        Value::Dict data;
        data.emplace_back("model_id", body.model_id);
        data.emplace_back("version_policy", policy);
        answer_data(*exchange,
                    std::move(data),
                    str("Model '", body.model_id, "' serves versions: ", policy));
      });
}

}  // namespace

extern const Endpoint kModelServingPolicyEndpoint;
const Endpoint kModelServingPolicyEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/version_policy",
    .summary = "Sets which versions of a model requests may ask for beside the live one",
    .handle = handle_policy,
    .fields = policy_rows,
};

}  // namespace inferneo::gateway::endpoints
