#include "manager/rollout_catalog.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

constexpr std::string_view kOwner = "rollout";

// Keys sort as the numbers do.
std::string key_of(std::int64_t id) {
  std::string digits = str(id);
  return digits.insert(0, 12 - std::min<std::size_t>(12, digits.size()), '0');
}

}  // namespace

Status CatalogRolloutStore::save(const RolloutRecord& record) {
  RETURN_IF_ERROR(catalog_.save_state(kOwner, key_of(record.id), encode(record)));
  if (!is_terminal(record.phase)) return ok_status();
  // History is bounded: the oldest that have ended leave when one ends.
  ASSIGN_OR_RETURN(const auto states, catalog_.states(kOwner));
  for (std::size_t i = 0; i + limits::kRolloutKeptCountMax < states.size(); ++i) {
    const Result<RolloutRecord> old = decode_rollout(states[i].second);
    if (old.has_value() && !is_terminal(old->phase)) continue;
    RETURN_IF_ERROR(catalog_.remove_state(kOwner, states[i].first));
  }
  return ok_status();
}

Result<std::vector<RolloutRecord>> CatalogRolloutStore::load() {
  ASSIGN_OR_RETURN(const auto states, catalog_.states(kOwner));
  std::vector<RolloutRecord> records;
  for (const auto& [key, text] : states) {
    ASSIGN_OR_RETURN(RolloutRecord record, decode_rollout(text));
    records.push_back(std::move(record));
  }
  return records;
}

void RolloutNews::on_event(const RolloutRecord& record, const RolloutEvent& event) {
  text::Value::Dict detail;
  detail.emplace_back("rollout_id", record.id);
  detail.emplace_back("phase", phase_name(event.phase));
  detail.emplace_back("from_version", record.stable);
  detail.emplace_back("new_version_traffic", std::int64_t{event.candidate_percent});
  detail.emplace_back("text", event.text);
  events_.publish({.kind = "rollout",
                   .model = model_id(record.name, record.candidate),
                   .detail = text::to_json(detail)});
  if (!is_terminal(event.phase)) return;
  AuditRecord audit{.actor = {.principal = "rollout"},
                    .action = str("rollout.", phase_name(event.phase)),
                    .subject = model_id(record.name, record.candidate),
                    .after = text::to_json(detail)};
  if (event.phase != RolloutPhase::kCompleted) audit.message = record.reason;
  if (const Status status = catalog_.append_audit(std::move(audit)); !status.ok()) {
    log::warning("models", str("the audit lacks the end of a rollout: ", status.message()));
  }
}

}  // namespace inferneo::manager
