// Health of one model: as it is known, and found out by a real request of one token.
#include <atomic>
#include <chrono>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/model_serving.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::VersionInfo;
using text::Value;

// A check that waits behind other requests for longer than this has failed.
constexpr std::chrono::seconds kCheckTimeout{10};

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

const Endpoint& health_endpoint();
const Endpoint& check_endpoint();

void handle_health(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  const http::RequestHead& head = exchange->request().head;
  const auto version =
      services.manager->find(target_of(path_id(health_endpoint(), head.path), head));
  if (!version.has_value()) return answer_failure(*exchange, version.error());
  Value::Dict resources;
  resources.emplace_back("memory_allocated", memory_value(*version));
  resources.emplace_back("dtesn_optimizations", Value::Dict());
  resources.emplace_back("engine_integration", engine_value(*version));
  Value::Dict data;
  data.emplace_back("model_id", version->name);
  data.emplace_back("version", version->version);
  data.emplace_back("health_status", health_value(*services.admin, *version));
  data.emplace_back("load_balancer_config", balance_value(*services.admin, version->name));
  data.emplace_back("resource_health", std::move(resources));
  data.emplace_back("overall_health_summary", health_summary_value(services));
  data.emplace_back("health_check_timestamp", unix_now());
  answer_data(*exchange, std::move(data));
}

struct Check {
  VersionInfo version;
  bool passed = false;
  Value details;
};

void answer_check(http::Exchange& exchange, Check check) {
  Value::Dict data;
  data.emplace_back("model_id", check.version.name);
  data.emplace_back("version", check.version.version);
  data.emplace_back("health_check_passed", check.passed);
  data.emplace_back("health_details", std::move(check.details));
  data.emplace_back("check_timestamp", unix_now());
  data.emplace_back("comprehensive_check", true);
  answer_data(exchange, std::move(data));
}

// The answer of the one token. Keeps the lease until it has come.
class CheckSink final : public request::OutputSink {
 public:
  CheckSink(std::shared_ptr<http::Exchange> exchange,
            const manager::ModelAdmin& admin,
            manager::Lease lease,
            VersionInfo version)
      : exchange_(std::move(exchange)),
        admin_(admin),
        lease_(std::move(lease)),
        version_(std::move(version)) {}

  void on_delta(request::OutputDelta&&) override {}
  void on_end(const request::Usage& usage,
              const request::RequestTiming& timing,
              const Status& status) override {
    const bool passed = status.ok() && usage.completion_tokens > 0;
    Value details = health_value(admin_, version_);
    details.set("health_score", passed ? 100 : 0);
    details.set("generated_tokens", std::int64_t{usage.completion_tokens});
    details.set("answer_ms", to_seconds(timing.total) * 1000.0);
    details.set("failure", status.ok() ? Value() : Value(status.message()));
    answer_check(*exchange_, {version_, passed, std::move(details)});
  }

 private:
  const std::shared_ptr<http::Exchange> exchange_;
  const manager::ModelAdmin& admin_;
  const manager::Lease lease_;
  const VersionInfo version_;
};

void fail_check(http::Exchange& exchange,
                const manager::ModelAdmin& admin,
                const VersionInfo& version,
                std::string_view why) {
  Value details = health_value(admin, version);
  details.set("health_score", 0);
  details.set("failure", why);
  answer_check(exchange, {version, false, std::move(details)});
}

void handle_check(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  const http::RequestHead& head = exchange->request().head;
  const auto version =
      services.manager->find(target_of(path_id(check_endpoint(), head.path), head));
  if (!version.has_value()) return answer_failure(*exchange, version.error());
  const manager::ModelAdmin& admin = *services.admin;
  // Why not loaded first: a check must not move other models out of memory.
  const Result<manager::Lease> lease =
      services.manager->acquire(manager::model_id(version->name, version->version));
  if (!lease.has_value()) return fail_check(*exchange, admin, *version, lease.error().message());
  request::GenerateRequest request;
  const runtime::ModelInfo& info = lease->model().model->info();
  request.prompt = {info.bos_token_id.value_or(0)};
  request.sampling.max_tokens = 1;
  request.sampling.temperature = 0;
  request.sampling.ignore_eos = true;
  request.deadline = services.clock->now() + kCheckTimeout;
  const auto id =
      lease->submit(request, std::make_shared<CheckSink>(exchange, admin, *lease, *version));
  if (!id.has_value()) fail_check(*exchange, admin, *version, id.error().message());
}

}  // namespace

extern const Endpoint kModelServingHealthEndpoint;
const Endpoint kModelServingHealthEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/health/{id}",
    .summary = "State, memory and share of requests of one version",
    .handle = handle_health,
    .query = "version",
};

extern const Endpoint kModelServingCheckEndpoint;
const Endpoint kModelServingCheckEndpoint{
    .method = "POST",
    .path = "/api/v1/model_serving/health_check/{id}",
    .summary = "Lets a loaded version generate one token and says how that went",
    .handle = handle_check,
    .query = "version",
    .body_type = "",
};

namespace {

const Endpoint& health_endpoint() { return kModelServingHealthEndpoint; }
const Endpoint& check_endpoint() { return kModelServingCheckEndpoint; }

}  // namespace

}  // namespace inferneo::gateway::endpoints
