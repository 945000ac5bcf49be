#include "manager/rollout_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <string>

#include "base/str.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using text::Value;

constexpr std::array<std::string_view, 3> kInconclusiveNames{"advance", "pause", "rollback"};
constexpr std::array<std::string_view, 2> kFailureNames{"rollback", "pause"};
constexpr std::array<std::string_view, 2> kCrashNames{"resume", "rollback"};
constexpr std::array<std::string_view, 3> kWhenNames{"before_stage", "after_stage", "end"};
constexpr std::size_t kPhaseCount = static_cast<std::size_t>(RolloutPhase::kFailed) + 1;

Status damaged(std::string_view member) {
  return corrupt_data(str("'", member, "' is not of the right kind, or out of its range"))
      .with_where(std::string(member));
}

// Reads members of one object; the first failure stays.
class Reader {
 public:
  explicit Reader(const Value& object) : object_(object) {}

  void read(std::string_view name, std::string& out) {
    const Value* value = find(name);
    if (value == nullptr) return;
    const std::string* text = value->as_string();
    text != nullptr ? void(out = *text) : fail(name);
  }
  void read(std::string_view name, bool& out) {
    const Value* value = find(name);
    if (value == nullptr) return;
    const bool* flag = value->as_bool();
    flag != nullptr ? void(out = *flag) : fail(name);
  }
  template <std::integral Integer>
  void read(std::string_view name, Integer& out) {
    const Value* value = find(name);
    if (value == nullptr) return;
    const std::int64_t* number = value->as_int();
    if (number == nullptr || *number < std::int64_t{std::numeric_limits<Integer>::min()} ||
        *number > std::int64_t{std::numeric_limits<Integer>::max()}) {
      fail(name);
      return;
    }
    out = static_cast<Integer>(*number);
  }
  void read(std::string_view name, double& out) {
    const Value* value = find(name);
    if (value == nullptr) return;
    if (const std::int64_t* number = value->as_int()) {
      out = static_cast<double>(*number);
    } else if (const double* real = value->as_double()) {
      out = *real;
    } else {
      fail(name);
    }
  }
  void read(std::string_view name, milliseconds& out) {
    std::int64_t count = out.count();
    read(name, count);
    out = milliseconds(count);
  }
  template <typename Enum>
  void read(std::string_view name, std::span<const std::string_view> names, Enum& out) {
    std::string text;
    read(name, text);
    if (text.empty()) return;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == text) {
        out = static_cast<Enum>(i);
        return;
      }
    }
    fail(name);
  }
  void read(std::string_view name, RolloutPhase& out) {
    std::array<std::string_view, kPhaseCount> names;
    for (std::size_t i = 0; i < kPhaseCount; ++i)
      names[i] = phase_name(static_cast<RolloutPhase>(i));
    read(name, names, out);
  }
  // Calls `each` with every element of a list.
  template <typename Each>
  void list(std::string_view name, const Each& each) {
    const Value* value = find(name);
    if (value == nullptr) return;
    const Value::List* elements = value->as_list();
    if (elements == nullptr) return fail(name);
    for (const Value& element : *elements) {
      if (status_.ok()) status_ = each(element);
    }
  }
  void fail(std::string_view name) {
    if (status_.ok()) status_ = damaged(name);
  }
  const Value* find(std::string_view name) const {
    const Value* value = object_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const Value& object_;
  Status status_;
};

Value percents(const std::vector<std::int32_t>& values) {
  Value::List list;
  for (const std::int32_t value : values) list.emplace_back(std::int64_t{value});
  return list;
}

Value gates_value(const GatePolicy& gates) {
  Value value;
  value.set("false_alarm_rate", gates.false_alarm_rate);
  value.set("sample_count_min", gates.sample_count_min);
  value.set("error_rate_max", gates.error_rate_max);
  value.set("latency_ratio_max", gates.latency_ratio_max);
  value.set("first_token_slack_ms", gates.first_token_slack_ms);
  value.set("non_finite_count_max", gates.non_finite_count_max);
  return value;
}

Value event_value(const RolloutEvent& event) {
  Value value;
  value.set("unix_ms", event.unix_ms);
  value.set("phase", phase_name(event.phase));
  value.set("candidate_percent", std::int64_t{event.candidate_percent});
  value.set("text", event.text);
  return value;
}

Value gate_value(const GateReport& gate) {
  Value value;
  value.set("gate", gate.gate);
  value.set("verdict", verdict_name(gate.verdict));
  value.set("candidate", gate.candidate);
  value.set("stable", gate.stable);
  value.set("candidate_samples", gate.candidate_samples);
  value.set("stable_samples", gate.stable_samples);
  value.set("evidence", gate.evidence);
  value.set("evidence_needed", gate.evidence_needed);
  value.set("text", gate.text);
  return value;
}

std::int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration).count();
}

Value load_value(const LoadPreview& load) {
  Value value;
  value.set("is_loaded", load.is_loaded);
  value.set("bytes_needed", static_cast<std::int64_t>(load.bytes_needed));
  value.set("bytes_available", static_cast<std::int64_t>(load.bytes_available));
  value.set("fits", load.fits);
  value.set("note", load.note);
  return value;
}

Value policy_value(const RolloutPolicy& policy) {
  Value value;
  value.set("stages_percent", percents(policy.stages_percent));
  value.set("settle_below_half_ms", std::int64_t{policy.settle_below_half.count()});
  value.set("settle_from_half_ms", std::int64_t{policy.settle_from_half.count()});
  value.set("extended_percent", percents(policy.extended_percent));
  value.set("evidence_timeout_ms", std::int64_t{policy.evidence_timeout.count()});
  value.set("on_inconclusive",
            kInconclusiveNames[static_cast<std::size_t>(policy.on_inconclusive)]);
  value.set("on_failure", kFailureNames[static_cast<std::size_t>(policy.on_failure)]);
  value.set("after_crash", kCrashNames[static_cast<std::size_t>(policy.after_crash)]);
  value.set("load_timeout_ms", std::int64_t{policy.load_timeout.count()});
  value.set("golden_timeout_ms", std::int64_t{policy.golden_timeout.count()});
  value.set("gates", gates_value(policy.gates));
  Value::List golden;
  for (const GoldenPrompt& prompt : policy.golden) {
    Value entry;
    entry.set("prompt", prompt.prompt);
    entry.set("max_tokens", std::int64_t{prompt.max_tokens});
    entry.set("expected", prompt.expected);
    golden.push_back(std::move(entry));
  }
  value.set("golden", std::move(golden));
  Value::List webhooks;
  for (const Webhook& hook : policy.webhooks) {
    Value entry;
    entry.set("url", hook.url);
    entry.set("when", kWhenNames[static_cast<std::size_t>(hook.when)]);
    entry.set("required", hook.required);
    webhooks.push_back(std::move(entry));
  }
  value.set("webhooks", std::move(webhooks));
  return value;
}

Status read_percents(Reader& reader, std::string_view name, std::vector<std::int32_t>& out) {
  if (reader.find(name) == nullptr) return ok_status();
  out.clear();
  reader.list(name, [&](const Value& element) {
    const std::int64_t* number = element.as_int();
    if (number == nullptr || *number < 0 || *number > 100) return damaged(name);
    out.push_back(static_cast<std::int32_t>(*number));
    return ok_status();
  });
  return reader.status();
}

// What is wrong stands in a member of the policy.
Status within(std::string_view place, Status status) {
  if (status.ok()) return status;
  std::string where = str(place, status.where());
  if (where.ends_with('.')) where.pop_back();
  return std::move(status).with_where(std::move(where));
}

Status read_gates(const Value& value, GatePolicy& gates) {
  Reader reader(value);
  reader.read("false_alarm_rate", gates.false_alarm_rate);
  reader.read("sample_count_min", gates.sample_count_min);
  reader.read("error_rate_max", gates.error_rate_max);
  reader.read("latency_ratio_max", gates.latency_ratio_max);
  reader.read("first_token_slack_ms", gates.first_token_slack_ms);
  reader.read("non_finite_count_max", gates.non_finite_count_max);
  return within("gates.", reader.status());
}

Status read_policy(const text::Value& value, RolloutPolicy& policy) {
  Reader reader(value);
  RETURN_IF_ERROR(read_percents(reader, "stages_percent", policy.stages_percent));
  RETURN_IF_ERROR(read_percents(reader, "extended_percent", policy.extended_percent));
  reader.read("settle_below_half_ms", policy.settle_below_half);
  reader.read("settle_from_half_ms", policy.settle_from_half);
  reader.read("evidence_timeout_ms", policy.evidence_timeout);
  reader.read("on_inconclusive", kInconclusiveNames, policy.on_inconclusive);
  reader.read("on_failure", kFailureNames, policy.on_failure);
  reader.read("after_crash", kCrashNames, policy.after_crash);
  reader.read("load_timeout_ms", policy.load_timeout);
  reader.read("golden_timeout_ms", policy.golden_timeout);
  if (const Value* gates = reader.find("gates")) RETURN_IF_ERROR(read_gates(*gates, policy.gates));
  reader.list("golden", [&](const Value& element) {
    GoldenPrompt& prompt = policy.golden.emplace_back();
    Reader entry(element);
    entry.read("prompt", prompt.prompt);
    entry.read("max_tokens", prompt.max_tokens);
    entry.read("expected", prompt.expected);
    return within(str("golden[", policy.golden.size() - 1, "]."), entry.status());
  });
  reader.list("webhooks", [&](const Value& element) {
    Webhook& hook = policy.webhooks.emplace_back();
    Reader entry(element);
    entry.read("url", hook.url);
    entry.read("when", kWhenNames, hook.when);
    entry.read("required", hook.required);
    return within(str("webhooks[", policy.webhooks.size() - 1, "]."), entry.status());
  });
  return reader.status();
}

// Names of `object` beyond those of `known`, which has the same form.
Status check_names(const Value& object, const Value& known) {
  if (object.as_dict() == nullptr) return invalid_argument("must be an object");
  for (const auto& [name, member] : *object.as_dict()) {
    if (known.find(name) != nullptr) continue;
    std::vector<std::string_view> names;
    for (const auto& entry : *known.as_dict()) names.push_back(entry.first);
    const std::string_view near = nearest_name(name, names);
    return invalid_argument(str("there is no '", printable(name), "' in a rollout policy"))
        .with_where(printable(name))
        .with_hint(near.empty() ? str("it has ", joined(names))
                                : str("did you mean '", near, "'?"));
  }
  return ok_status();
}

Value record_value(const RolloutRecord& record) {
  Value value;
  value.set("id", record.id);
  value.set("name", record.name);
  value.set("stable", record.stable);
  value.set("candidate", record.candidate);
  value.set("phase", phase_name(record.phase));
  value.set("stage", std::int64_t{record.stage});
  value.set("candidate_percent", std::int64_t{record.candidate_percent});
  // As text: JSON integers beyond 63 bits become floats.
  value.set("salt", str(record.salt));
  value.set("paused", record.paused);
  value.set("reason", record.reason);
  value.set("outcome", phase_name(record.outcome));
  value.set("created_unix_ms", record.created_unix_ms);
  value.set("updated_unix_ms", record.updated_unix_ms);
  Value::List history;
  for (const RolloutEvent& event : record.history) history.push_back(event_value(event));
  value.set("history", std::move(history));
  return value;
}

}  // namespace

Value to_value(const RolloutPolicy& policy) { return policy_value(policy); }

Result<RolloutPolicy> policy_from(const text::Value& object) {
  RolloutPolicy full;
  full.golden.emplace_back();
  full.webhooks.emplace_back();
  const Value known = policy_value(full);
  RETURN_IF_ERROR(check_names(object, known));
  for (const std::string_view list : {"golden", "webhooks"}) {
    const Value* entries = object.find(list);
    if (entries == nullptr || entries->as_list() == nullptr) continue;
    std::size_t index = 0;
    for (const Value& entry : *entries->as_list()) {
      RETURN_IF_ERROR(within(str(list, "[", index++, "]."),
                             check_names(entry, known.find(list)->as_list()->front())));
    }
  }
  if (const Value* gates = object.find("gates")) {
    RETURN_IF_ERROR(within("gates.", check_names(*gates, *known.find("gates"))));
  }
  RolloutPolicy policy;
  if (Status read = read_policy(object, policy); !read.ok()) {
    return invalid_argument(read.message()).with_where(read.where());
  }
  // Who names stages of their own need not know which of the usual ones are extended.
  if (object.find("extended_percent") == nullptr) {
    std::erase_if(policy.extended_percent, [&](std::int32_t percent) {
      return std::ranges::find(policy.stages_percent, percent) == policy.stages_percent.end();
    });
  }
  RETURN_IF_ERROR(check_policy(policy));
  return policy;
}

Value to_value(const RolloutStatus& status) {
  Value value = record_value(status.record);
  // What it will be is of no use to others, and would read as if it were over.
  if (!is_terminal(status.record.phase)) value.set("outcome", Value());
  value.set("stage_age_ms", ms_of(status.stage_age));
  Value::List gates;
  for (const GateReport& gate : status.gates) gates.push_back(gate_value(gate));
  value.set("gates", std::move(gates));
  return value;
}

Value to_value(const RolloutPreview& preview) {
  Value value;
  value.set("name", preview.name);
  value.set("stable", preview.stable);
  value.set("candidate", preview.candidate);
  value.set("load", load_value(preview.load));
  value.set("requests_per_second", preview.requests_per_second);
  value.set("golden_prompt_count", std::int64_t{preview.golden_prompt_count});
  value.set("webhook_count", std::int64_t{preview.webhook_count});
  value.set("total_ms", ms_of(preview.total));
  Value::List stages;
  for (const RolloutPreview::Stage& stage : preview.stages) {
    Value entry;
    entry.set("percent", std::int64_t{stage.percent});
    entry.set("extended", stage.extended);
    entry.set("begins_ms", ms_of(stage.begins));
    entry.set("settle_ms", ms_of(stage.settle));
    entry.set("wait_ms", ms_of(stage.wait));
    entry.set("candidate_requests",
              stage.candidate_requests < 0 ? Value() : Value(stage.candidate_requests));
    entry.set("enough_samples", stage.enough_samples);
    entry.set("detectable_error_rate", stage.detectable_error_rate);
    stages.push_back(std::move(entry));
  }
  value.set("stages", std::move(stages));
  Value::List obstacles;
  for (const std::string& obstacle : preview.obstacles) obstacles.emplace_back(obstacle);
  value.set("obstacles", std::move(obstacles));
  return value;
}

std::string encode(const RolloutRecord& record) {
  Value value = record_value(record);
  value.set("policy", policy_value(record.policy));
  return text::to_json(value);
}

Result<RolloutRecord> decode_rollout(std::string_view json) {
  Result<Value> parsed = text::parse_json(json);
  if (!parsed.has_value() || parsed->as_dict() == nullptr) {
    return corrupt_data("the record of a rollout is not a JSON object");
  }
  RolloutRecord record;
  Reader reader(*parsed);
  for (const std::string_view needed : {"id", "name", "stable", "candidate", "phase"}) {
    if (reader.find(needed) == nullptr) return damaged(needed);
  }
  reader.read("id", record.id);
  reader.read("name", record.name);
  reader.read("stable", record.stable);
  reader.read("candidate", record.candidate);
  if (const Value* policy = reader.find("policy")) {
    RETURN_IF_ERROR(read_policy(*policy, record.policy));
  }
  reader.read("phase", record.phase);
  reader.read("stage", record.stage);
  reader.read("candidate_percent", record.candidate_percent);
  std::string salt;
  reader.read("salt", salt);
  const char* const end = salt.data() + salt.size();
  if (!salt.empty() && std::from_chars(salt.data(), end, record.salt).ptr != end) {
    reader.fail("salt");
  }
  reader.read("paused", record.paused);
  reader.read("reason", record.reason);
  reader.read("outcome", record.outcome);
  reader.read("created_unix_ms", record.created_unix_ms);
  reader.read("updated_unix_ms", record.updated_unix_ms);
  reader.list("history", [&](const Value& element) {
    RolloutEvent& event = record.history.emplace_back();
    Reader entry(element);
    entry.read("unix_ms", event.unix_ms);
    entry.read("phase", event.phase);
    entry.read("candidate_percent", event.candidate_percent);
    entry.read("text", event.text);
    return entry.status();
  });
  RETURN_IF_ERROR(reader.status());
  // What the machine relies on.
  RETURN_IF_ERROR(check_policy(record.policy).with_context("the record of a rollout"));
  if (record.stage < -1 ||
      record.stage >= static_cast<std::int32_t>(record.policy.stages_percent.size())) {
    return damaged("stage");
  }
  if (!is_terminal(record.outcome)) return damaged("outcome");
  return record;
}

}  // namespace inferneo::manager
