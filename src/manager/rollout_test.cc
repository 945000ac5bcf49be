// Policies, their JSON, and the stores; the controller is tested in tests/sim.
#include "manager/rollout.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/limits.h"
#include "base/str.h"
#include "manager/rollout_json.h"
#include "manager/rollout_store.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;

Result<RolloutPolicy> policy_of(std::string_view json) {
  return policy_from(text::parse_json(json).value());
}

RolloutRecord full_record() {
  RolloutRecord record;
  record.id = 12;
  record.name = "team/\"model\"";
  record.stable = "1";
  record.candidate = "2-beta";
  record.policy = policy_of(R"({"stages_percent":[10,100],"extended_percent":[10],
      "settle_below_half_ms":7,"settle_from_half_ms":8,"evidence_timeout_ms":9,
      "on_inconclusive":"pause","on_failure":"pause","after_crash":"rollback",
      "load_timeout_ms":10,"golden_timeout_ms":11,
      "gates":{"false_alarm_rate":0.05,"sample_count_min":3,"error_rate_max":0.5,
               "latency_ratio_max":3.5,"first_token_slack_ms":4,
               "non_finite_count_max":2},
      "golden":[{"prompt":"a","max_tokens":5,"expected":"b"}],
      "webhooks":[{"url":"http://h/x","when":"end","required":true}]})")
                      .value();
  record.phase = RolloutPhase::kExtended;
  record.stage = 0;
  record.candidate_percent = 10;
  record.salt = 0xfedcba9876543210U;
  record.paused = true;
  record.reason = "because";
  record.outcome = RolloutPhase::kAborted;
  record.created_unix_ms = 1'700'000'000'001;
  record.updated_unix_ms = 1'700'000'000'002;
  record.history.push_back({.unix_ms = 1'700'000'000'000,
                            .phase = RolloutPhase::kLoading,
                            .candidate_percent = 0,
                            .text = "began"});
  return record;
}

TEST(RolloutPolicy, defaults_are_valid_and_those_of_the_reference) {
  const RolloutPolicy policy = policy_of("{}").value();
  EXPECT_EQ(policy.stages_percent, (std::vector<std::int32_t>{5, 15, 30, 50, 75, 90, 100}));
  EXPECT_EQ(policy.settle_below_half, milliseconds(2000));
  EXPECT_EQ(policy.settle_from_half, milliseconds(5000));
  EXPECT_EQ(policy.extended_percent, (std::vector<std::int32_t>{50, 90}));
  EXPECT_TRUE(policy.webhooks.empty());
}

TEST(RolloutPolicy, what_is_wrong_is_named) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"stages_percent":[]})", "stages_percent"},
      {R"({"stages_percent":[5,50]})", "stages_percent"},
      {R"({"stages_percent":[0,100]})", "stages_percent"},
      {R"({"stages_percent":[50,50,100]})", "stages_percent"},
      {R"({"stages_percent":[5,"x",100]})", "stages_percent"},
      {R"({"stages_percent":7})", "stages_percent"},
      {R"({"extended_percent":[7]})", "extended_percent"},
      {R"({"settle_below_half_ms":-1})", "settle_below_half_ms"},
      {R"({"settle_from_half_ms":99999999999999})", "settle_from_half_ms"},
      {R"({"load_timeout_ms":0})", "load_timeout_ms"},
      {R"({"on_failure":"explode"})", "on_failure"},
      {R"({"gates":{"false_alarm_rate":0}})", "gates.false_alarm_rate"},
      {R"({"gates":{"error_rate_max":1.5}})", "gates.error_rate_max"},
      {R"({"gates":{"latency_ratio_max":0.5}})", "gates.latency_ratio_max"},
      {R"({"gates":{"first_token_slack_ms":-1}})", "gates.first_token_slack_ms"},
      {R"({"gates":{"sample_count_min":-1}})", "gates.sample_count_min"},
      {R"({"gates":{"sample_count_min":"5"}})", "gates.sample_count_min"},
      {R"({"golden":[{"prompt":""}]})", "golden[0].prompt"},
      {R"({"golden":[{"prompt":"x","max_tokens":0}]})", "golden[0].max_tokens"},
      {R"({"webhooks":[{"url":"ftp://h/"}]})", "webhooks[0].url"},
      {R"({"webhooks":[{"url":"http://h/ x"}]})", "webhooks[0].url"},
      {R"({"stages":[5]})", "stages"},
      {R"({"gates":5})", "gates"},
      {R"({"golden":[{"prompt":"x"},7]})", "golden[1]"},
      {R"({"golden":[{"prompt":"x"},{"prompt":"x","max_tokens":"y"}]})", "golden[1].max_tokens"},
      {R"({"webhooks":[{"url":"http://h","when":"never"}]})", "webhooks[0].when"},
      {R"({"gates":{"eror_rate_max":1}})", "gates.eror_rate_max"},
      {R"({"golden":[{"prompt":"x","when":"end"}]})", "golden[0].when"},
  };
  for (const auto& [json, where] : cases) {
    const Result<RolloutPolicy> policy = policy_of(json);
    ASSERT_FALSE(policy.has_value()) << json;
    EXPECT_EQ(policy.error().code(), StatusCode::kInvalidArgument) << json;
    EXPECT_EQ(policy.error().where(), where) << json << ": " << policy.error().to_string();
  }
  EXPECT_EQ(policy_of(R"({"gates":{"eror_rate_max":1}})").error().hint(),
            "did you mean 'error_rate_max'?");
  EXPECT_EQ(policy_of(R"({"stages":[5]})").error().hint(), "did you mean 'stages_percent'?");
  EXPECT_NE(policy_of(R"({"xyzzy":1})").error().hint().find("golden, webhooks"), std::string::npos);
  EXPECT_FALSE(policy_of("[]").has_value());
}

TEST(RolloutPolicy, stages_alone_are_enough) {
  const auto policy = policy_of(R"({"stages_percent":[50,100]})");
  ASSERT_TRUE(policy.has_value()) << policy.status().to_string();
  EXPECT_EQ(policy->extended_percent, (std::vector<std::int32_t>{50}));
}

TEST(RolloutPolicy, json_reads_back_what_it_wrote) {
  const RolloutPolicy policy = full_record().policy;
  const auto again = policy_from(to_value(policy));
  ASSERT_TRUE(again.has_value()) << again.status().to_string();
  EXPECT_EQ(text::to_json(to_value(*again)), text::to_json(to_value(policy)));
  EXPECT_EQ(again->gates.latency_ratio_max, 3.5);
  EXPECT_EQ(again->gates.first_token_slack_ms, 4);
  EXPECT_EQ(again->webhooks.at(0).when, Webhook::When::kEnd);
}

TEST(RolloutRecord, survives_its_stored_form_whole) {
  const RolloutRecord record = full_record();
  const auto again = decode_rollout(encode(record));
  ASSERT_TRUE(again.has_value()) << again.status().to_string();
  EXPECT_EQ(encode(*again), encode(record));
  EXPECT_EQ(again->salt, record.salt);
  EXPECT_EQ(again->history.at(0).text, "began");
  EXPECT_EQ(again->outcome, RolloutPhase::kAborted);
}

TEST(RolloutRecord, damage_is_found_wherever_it_is) {
  const std::string good = encode(full_record());
  // Every prefix is damage, and so is each of these changes.
  for (std::size_t size = 0; size < good.size(); size += 7) {
    EXPECT_EQ(decode_rollout(good.substr(0, size)).error().code(), StatusCode::kCorruptData);
  }
  const std::pair<std::string, std::string> changes[] = {
      {R"("phase":"extended")", R"("phase":"flying")"},
      {R"("stage":0)", R"("stage":2)"},
      {R"("stage":0)", R"("stage":4294967296)"},
      {R"("id":12)", R"("id":"12")"},
      {R"("outcome":"aborted")", R"("outcome":"loading")"},
      {R"("salt":"1)", R"("salt":"x)"},
      {R"("name")", R"("nome")"}};
  for (const auto& [from, to] : changes) {
    std::string bad = good;
    const std::size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << good;
    bad.replace(at, from.size(), to);
    EXPECT_FALSE(decode_rollout(bad).has_value()) << to;
  }
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rollouts-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
  }
  ~StoreTest() override { std::filesystem::remove_all(directory); }
  std::string directory;
};

TEST_F(StoreTest, files_give_back_the_last_state_of_each_rollout) {
  auto store = FileRolloutStore::open(directory + "/deep/er");
  ASSERT_TRUE(store.has_value()) << store.status().to_string();
  RolloutRecord record = full_record();
  ASSERT_TRUE(store->save(record).ok());
  record.phase = RolloutPhase::kCompleted;
  ASSERT_TRUE(store->save(record).ok());
  record.id = 3;
  ASSERT_TRUE(store->save(record).ok());
  auto again = FileRolloutStore::open(directory + "/deep/er");
  const auto records = again->load();
  ASSERT_TRUE(records.has_value()) << records.status().to_string();
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ(records->at(0).id, 3);
  EXPECT_EQ(records->at(1).phase, RolloutPhase::kCompleted);
}

TEST_F(StoreTest, a_damaged_file_is_named) {
  auto store = FileRolloutStore::open(directory);
  ASSERT_TRUE(store->save(full_record()).ok());
  ASSERT_TRUE(write_file(directory + "/rollout-13.json", "{\"id\":").ok());
  const auto records = store->load();
  ASSERT_FALSE(records.has_value());
  EXPECT_EQ(records.error().code(), StatusCode::kCorruptData);
  EXPECT_NE(records.error().message().find("rollout-13.json"), std::string::npos);
}

TEST_F(StoreTest, ended_rollouts_are_forgotten_beyond_the_bound_and_running_ones_never) {
  auto store = FileRolloutStore::open(directory);
  RolloutRecord record = full_record();
  for (std::size_t i = 0; i < limits::kRolloutKeptCountMax + 5; ++i) {
    record.id = static_cast<std::int64_t>(i) + 1;
    record.phase = i == 0 ? RolloutPhase::kSettling : RolloutPhase::kCompleted;
    ASSERT_TRUE(write_file(str(directory, "/rollout-", record.id, ".json"), encode(record)).ok());
  }
  const auto records = store->load();
  ASSERT_TRUE(records.has_value()) << records.status().to_string();
  EXPECT_EQ(records->size(), limits::kRolloutKeptCountMax);
  EXPECT_EQ(records->at(0).id, 1);
  EXPECT_EQ(records->at(1).id, 7);
  EXPECT_FALSE(std::filesystem::exists(directory + "/rollout-2.json"));
}

}  // namespace
}  // namespace inferneo::manager
