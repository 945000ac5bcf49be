// Rollouts as JSON values, with one set of names for the store, the management API and webhooks.
// Times are milliseconds.
// Thread: any (pure functions).
#pragma once

#include "base/result.h"
#include "manager/rollout.h"
#include "text/value.h"

namespace inferneo::manager {

// Members that are left out keep their defaults; those of extended_percent as far as they are
// stages. Failures: invalid_argument with where() naming the member, also for one that does not
// exist and for values out of range.
Result<RolloutPolicy> policy_from(const text::Value& object);

text::Value to_value(const RolloutPolicy& policy);
// The record without its policy, with what was measured in the current stage.
text::Value to_value(const RolloutStatus& status);
text::Value to_value(const RolloutPreview& preview);

}  // namespace inferneo::manager
