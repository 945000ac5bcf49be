// links: inferneo_manager
// Stored rollouts, policies of clients and webhook-like JSON: arbitrary bytes are refused with a
// reason, or give a value that is written and read back unchanged and that the machine can rely on.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "manager/rollout.h"
#include "manager/rollout_json.h"
#include "text/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<manager::RolloutRecord> record = manager::decode_rollout(text);
  if (record.has_value()) {
    const std::string stored = manager::encode(*record);
    const Result<manager::RolloutRecord> again = manager::decode_rollout(stored);
    CHECK(again.has_value());
    CHECK(manager::encode(*again) == stored);
    CHECK(manager::check_policy(record->policy).ok());
    CHECK(record->stage < static_cast<std::int32_t>(record->policy.stages_percent.size()));
  }
  const Result<text::Value> value = text::parse_json(text);
  if (!value.has_value()) return 0;
  const Result<manager::RolloutPolicy> policy = manager::policy_from(*value);
  if (policy.has_value()) {
    CHECK(manager::check_policy(*policy).ok());
    const text::Value written = manager::to_value(*policy);
    const Result<manager::RolloutPolicy> again = manager::policy_from(written);
    CHECK(again.has_value());
    CHECK(text::to_json(manager::to_value(*again)) == text::to_json(written));
  }
  return 0;
}
