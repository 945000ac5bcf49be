// The management API over a catalog in memory and a manager without runtimes: shapes, refusals and
// events. Loads and rollouts of real models are in tests/e2e/catalog_test.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/limits.h"
#include "base/manual_clock.h"
#include "base/str.h"
#include "gateway/endpoints/endpoint.h"
#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/manager.h"
#include "manager/model_admin.h"
#include "memory_exchange.h"

namespace inferneo::api_test {
namespace {

using gateway::endpoints::ManagementUse;
using nlohmann::json;
using ::testing::HasSubstr;

const std::string kApi = "/api/v1/model_serving";
const std::string kStarter = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";

class ManagementTest : public ::testing::Test {
 protected:
  ManagementTest() : catalog_(manager::Catalog::open({}).value()) {
    manager::ManagerOptions options;
    options.catalog = catalog_.get();
    options.events = &events_;
    options.options_of = [](const manager::ModelRecord& record) -> Result<manager::ModelOptions> {
      manager::ModelOptions of_record;
      of_record.path = record.path;
      return of_record;
    };
    manager_ = std::make_unique<manager::ModelManager>(
        std::vector<const runtime::Runtime*>(), clock_, options);
    manager::AdminEnvironment environment;
    environment.catalog = catalog_.get();
    environment.manager = manager_.get();
    environment.events = &events_;
    admin_ = std::make_unique<manager::ModelAdmin>(environment);
    services_ = {.manager = manager_.get(), .server_metrics = &server_metrics_, .clock = &clock_};
    services_.admin = admin_.get();
    services_.management = ManagementUse::kOn;
    dispatcher_ = gateway::endpoints::make_dispatcher(services_);
  }
  ~ManagementTest() override {
    admin_->stop();
    manager_.reset();
  }

  void set_use(ManagementUse use) {
    services_.management = use;
    dispatcher_ = gateway::endpoints::make_dispatcher(services_);
  }

  std::shared_ptr<MemoryExchange> start(const std::string& method,
                                        const std::string& target,
                                        const json& body = json::object()) {
    gateway::http::Request request;
    request.head.method = method;
    const std::size_t query = target.find('?');
    request.head.path = kApi + target.substr(0, query);
    if (query != std::string::npos) request.head.query = target.substr(query + 1);
    request.head.request_id = "test";
    request.head.remote_address = "192.0.2.7";
    request.head.headers = {{"content-type", "application/json"}};
    request.body = body.dump();
    auto exchange = std::make_shared<MemoryExchange>(std::move(request));
    const Result<std::size_t> admitted = dispatcher_->admit(exchange->request().head);
    EXPECT_TRUE(admitted.has_value()) << method << " " << target;
    if (admitted.has_value()) dispatcher_->dispatch(exchange);
    return exchange;
  }
  json call(const std::string& method,
            const std::string& target,
            const json& body = json::object(),
            int status = 200) {
    const auto exchange = start(method, target, body);
    EXPECT_TRUE(exchange->wait()) << method << " " << target;
    EXPECT_EQ(exchange->misuse(), "");
    EXPECT_EQ(exchange->response().status, status) << exchange->response().body;
    return json::parse(exchange->response().body, nullptr, false);
  }
  json add(const std::string& id) {
    return call(
        "POST", "/register", {{"model_id", id}, {"path", kStarter}, {"digests", false}}, 201);
  }

  ManualClock clock_;
  manager::EventHub events_;
  std::unique_ptr<manager::Catalog> catalog_;
  observe::ServerMetrics server_metrics_;
  std::unique_ptr<manager::ModelManager> manager_;
  std::unique_ptr<manager::ModelAdmin> admin_;
  gateway::endpoints::Services services_;
  std::unique_ptr<gateway::http::Dispatcher> dispatcher_;
};

TEST_F(ManagementTest, answers_have_the_envelope_and_the_named_members) {
  const json added = add("team/model:v1");
  EXPECT_EQ(added["status"], "success");
  EXPECT_EQ(added["server_side_rendered"], true);
  EXPECT_EQ(added["data"]["model_id"], "team/model");
  EXPECT_EQ(added["data"]["version"], "v1");
  const json status = call("GET", "/status")["data"];
  for (const char* name : {"overview",
                           "performance_metrics",
                           "resource_allocation",
                           "health_summary",
                           "load_balancer_status",
                           "engine_integration",
                           "server_rendered",
                           "timestamp",
                           "serving_manager_active",
                           "api_version"}) {
    EXPECT_TRUE(status.contains(name)) << name;
  }
  for (const char* name :
       {"cached_models", "active_versions", "load_balancer_entries", "health_tracked_models"}) {
    EXPECT_TRUE(status["overview"].contains(name)) << name;
  }
  const json split = status["load_balancer_status"]["team/model"]["traffic_split"];
  EXPECT_EQ(split["old_version_traffic"], 100);
  const json metrics = call("GET", "/metrics")["data"];
  for (const char* name : {"total_loads",
                           "successful_loads",
                           "failed_loads",
                           "zero_downtime_updates",
                           "average_load_time",
                           "cache_hit_rate",
                           "cache_hits",
                           "success_rate_percent",
                           "failure_rate_percent",
                           "total_models_cached",
                           "healthy_models",
                           "engine_integrated_models"}) {
    EXPECT_TRUE(metrics["performance_metrics"].contains(name)) << name;
  }
  for (const char* name : {"resource_overview", "load_balancer_summary", "metrics_timestamp"}) {
    EXPECT_TRUE(metrics.contains(name)) << name;
  }
  const json list = call("GET", "/models")["data"];
  for (const char* name :
       {"total_count", "healthy_count", "dtesn_optimized_count", "engine_integrated_count"}) {
    EXPECT_TRUE(list.contains(name)) << name;
  }
  for (const char* name : {"model_id",
                           "version",
                           "status",
                           "memory_usage_gb",
                           "dtesn_optimized",
                           "engine_integrated",
                           "zero_downtime_capable",
                           "loaded_at",
                           "load_time_ms"}) {
    EXPECT_TRUE(list["models"][0].contains(name)) << name;
  }
  const json one = call("GET", "/models/team/model")["data"];
  for (const char* name :
       {"model_allocation", "health_summary", "load_balancer_status", "performance_context"}) {
    EXPECT_TRUE(one.contains(name)) << name;
  }
  for (const char* name : {"model_id",
                           "version",
                           "memory_usage",
                           "dtesn_optimizations",
                           "engine_integration",
                           "serving_config",
                           "health_status",
                           "load_balancer_config",
                           "last_updated"}) {
    EXPECT_TRUE(one["model_allocation"].contains(name)) << name;
  }
  const json health = call("GET", "/health/team/model:v1")["data"];
  for (const char* name : {"model_id",
                           "health_status",
                           "load_balancer_config",
                           "resource_health",
                           "overall_health_summary",
                           "health_check_timestamp"}) {
    EXPECT_TRUE(health.contains(name)) << name;
  }
  const json check = call("POST", "/health_check/team/model")["data"];
  EXPECT_EQ(check["health_check_passed"], false);
  EXPECT_EQ(check["comprehensive_check"], true);
}

TEST_F(ManagementTest, what_is_unknown_is_404_with_a_detail) {
  for (const auto& [method, target] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/models/none"},
                                                        {"DELETE", "/models/none"},
                                                        {"GET", "/health/none"},
                                                        {"POST", "/health_check/none"},
                                                        {"GET", "/rollouts/none"},
                                                        {"DELETE", "/aliases/none"}}) {
    EXPECT_NE(call(method, target, json::object(), 404)["detail"], nullptr);
  }
  call("POST", "/load", {{"model_id", "none"}}, 404);
  call("POST", "/unload", {{"model_id", "none"}}, 404);
  call("POST", "/pin", {{"model_id", "none"}}, 404);
}

// Why: a misspelt version would otherwise mean all versions.
TEST_F(ManagementTest, an_unknown_parameter_of_the_query_is_refused_by_name) {
  add("m");
  for (const char* method : {"GET", "DELETE", "PATCH"}) {
    gateway::http::RequestHead head;
    head.method = method;
    head.path = kApi + "/models/m";
    head.query = "vrsion=2";
    head.headers = {{"content-type", "application/json"}};
    const Result<std::size_t> admitted = dispatcher_->admit(head);
    ASSERT_FALSE(admitted.has_value()) << method;
    EXPECT_EQ(admitted.error().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(admitted.error().where(), "vrsion");
    EXPECT_EQ(admitted.error().hint(), "did you mean 'version'?");
  }
  call("GET", "/models/m?version=1");
  call("DELETE", "/models/m?version=1");
}

TEST_F(ManagementTest, what_cannot_be_done_is_not_reported_as_done) {
  add("m");
  const json asleep = call("POST", "/sleep", {{"model_id", "m"}}, 409);
  EXPECT_THAT(asleep["detail"].get<std::string>(), HasSubstr("not in memory"));
  const json nothing = call("PATCH", "/models/m", json::object(), 400);
  EXPECT_THAT(nothing["detail"].get<std::string>(), HasSubstr("nothing to change"));
}

TEST_F(ManagementTest, a_wrong_policy_is_refused_with_its_member) {
  add("m:1");
  add("m:2");
  const json refused =
      call("POST",
           "/update",
           {{"model_id", "m"}, {"new_version", "2"}, {"policy", {{"stages", {50, 100}}}}},
           400);
  EXPECT_EQ(refused["error"]["param"], "policy.stages");
  EXPECT_THAT(refused["detail"].get<std::string>(), HasSubstr("did you mean 'stages_percent'"));
}

TEST_F(ManagementTest, a_health_check_needs_no_body) {
  add("m");
  gateway::http::RequestHead head;
  head.method = "POST";
  head.path = kApi + "/health_check/m";
  EXPECT_TRUE(dispatcher_->admit(head).has_value());
}

TEST_F(ManagementTest, a_failed_update_says_so_in_status_and_body) {
  add("m");
  const json failed = call("POST", "/update", {{"model_id", "m"}, {"new_version", "2"}}, 400);
  EXPECT_EQ(failed["status"], "failed");
  EXPECT_EQ(failed["data"]["update_successful"], false);
  EXPECT_EQ(failed["data"]["rollback_performed"], false);
}

TEST_F(ManagementTest, changes_are_recorded_with_who_made_them) {
  add("m");
  call("POST", "/pin", {{"model_id", "m"}});
  call("PATCH", "/models/m", {{"tags", {"a"}}, {"config", {{"context_tokens_max", 128}}}});
  call("POST", "/alias", {{"alias", "x"}, {"model_id", "m"}});
  call("DELETE", "/models/m", json::object(), 409);
  const json records = call("GET", "/audit?model=m")["data"]["records"];
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0]["action"], "remove");
  EXPECT_EQ(records[0]["result"], "failed_precondition");
  EXPECT_THAT(records[0]["message"].get<std::string>(), HasSubstr("alias 'x'"));
  EXPECT_EQ(records[1]["after"]["config"]["context_tokens_max"], "128");
  EXPECT_EQ(records[2]["before"]["pinned"], false);
  EXPECT_EQ(records[2]["after"]["pinned"], true);
  EXPECT_EQ(records[3]["address"], "192.0.2.7");
  EXPECT_EQ(call("GET", "/audit?limit=2")["data"]["next_before"], 4);
  call("GET", "/audit?limit=x", json::object(), 400);
}

TEST_F(ManagementTest, read_only_management_refuses_changes) {
  add("m");
  set_use(ManagementUse::kReadOnly);
  call("GET", "/models");
  const json refused = call("POST", "/pin", {{"model_id", "m"}}, 403);
  EXPECT_THAT(refused["detail"].get<std::string>(), HasSubstr("read-only"));
  call("DELETE", "/models/m", json::object(), 403);
  set_use(ManagementUse::kOff);
  call("GET", "/models", json::object(), 404);
  call("POST", "/pin", {{"model_id", "m"}}, 404);
}

TEST_F(ManagementTest, watchers_get_events_of_their_model) {
  const auto all = start("GET", "/events");
  const auto one = start("GET", "/events?model=b");
  add("a");
  add("b");
  EXPECT_THAT(all->response().body, HasSubstr("\"model_id\":\"a:1\""));
  EXPECT_THAT(one->response().body, HasSubstr("\"model_id\":\"b:1\""));
  EXPECT_THAT(one->response().body, ::testing::Not(HasSubstr("a:1")));
  EXPECT_EQ(all->response().content_type, "text/event-stream");
  const auto later = start("GET", "/events?after=0");
  EXPECT_THAT(later->response().body, HasSubstr("id: 1\n"));
  events_.publish({.kind = std::string(manager::kServerStopping)});
  for (const auto& exchange : {all, one, later}) EXPECT_TRUE(exchange->wait());
  EXPECT_EQ(events_.subscriber_count(), 0u);
}

TEST_F(ManagementTest, a_watcher_that_reads_too_slowly_is_dropped_with_a_note) {
  const auto slow = start("GET", "/events");
  const auto quick = start("GET", "/events");
  slow->set_waiting_size(limits::kEventWaitingSizeMax);
  add("a");
  EXPECT_TRUE(slow->wait());
  EXPECT_THAT(slow->response().body, HasSubstr("event: dropped"));
  EXPECT_EQ(events_.subscriber_count(), 1u);
  EXPECT_THAT(quick->response().body, HasSubstr("a:1"));
  quick->disconnect();
  EXPECT_EQ(events_.subscriber_count(), 0u);
}

TEST_F(ManagementTest, the_number_of_watchers_is_bounded) {
  std::vector<std::shared_ptr<MemoryExchange>> watchers;
  for (std::size_t i = 0; i < limits::kEventWatcherCountMax; ++i) {
    watchers.push_back(start("GET", "/events"));
  }
  call("GET", "/events", json::object(), 503);
}

TEST_F(ManagementTest, a_thousand_models_are_listed_within_20_ms) {
  for (int i = 0; i < 1000; ++i) {
    manager::ModelRegistration registration;
    registration.name = str("group/model-", i);
    registration.path = kStarter;
    ASSERT_TRUE(catalog_->register_model(registration, {.principal = "test"}).has_value());
  }
  ASSERT_TRUE(manager_->follow_catalog().ok());
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto exchange = start("GET", "/models");
    const auto took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, std::chrono::duration<double, std::milli>(took).count());
    EXPECT_EQ(exchange->response().status, 200);
  }
  RecordProperty("best_ms", str(best));
#ifdef NDEBUG
  EXPECT_LT(best, 20.0);
#endif
}

}  // namespace
}  // namespace inferneo::api_test
