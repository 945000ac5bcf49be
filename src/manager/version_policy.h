// The order of versions, and which of a model's versions may be served.
// Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::manager {

// Natural order: runs of digits compare as numbers, so that 10 follows 9 and 1.10 follows 1.9.
// Negative, zero or positive.
int compare_versions(std::string_view a, std::string_view b);

struct VersionPolicy {
  enum class Kind { kAll, kLatest, kSpecific };
  Kind kind = Kind::kAll;
  int latest_count = 1;               // kLatest: so many of the highest ones
  std::vector<std::string> versions;  // kSpecific

  bool operator==(const VersionPolicy&) const = default;
};

// "all", "latest", "latest:2" or "specific:1,3". Failures: invalid_argument.
Result<VersionPolicy> parse_version_policy(std::string_view text);
std::string version_policy_text(const VersionPolicy& policy);

// Whether the policy serves `version`; `sorted` are all versions of the model in natural order.
bool policy_serves(const VersionPolicy& policy,
                   const std::vector<std::string>& sorted,
                   std::string_view version);

}  // namespace inferneo::manager
