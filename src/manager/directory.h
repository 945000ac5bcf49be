// All registered models at one moment, as requests see them: which names there are, what each
// stands for, and what is in memory. The control thread publishes a new one with each change;
// models that did not change are shared between them.
// Thread: any (const). Ownership: keeps the models in it alive, so readers let go of it soon.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "manager/manager.h"
#include "manager/served_model.h"
#include "routing/routing_table.h"

namespace inferneo::manager {

// How far a load is. Written by the loading thread.
struct LoadMeter {
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> total{0};
  [[nodiscard]] double share() const;
};

// One version. `info` is complete but for what changes without a new directory (see read_info).
struct VersionEntry {
  std::uint32_t id = 0;
  VersionInfo info;
  TimePoint retry_at{};
  Duration keep_alive = Duration::max();  // unless requests say otherwise; max: pinned or held
  std::shared_ptr<ServedModel> served;    // null unless ready
  std::shared_ptr<VersionUse> use;
  std::shared_ptr<const LoadMeter> meter;
};

struct ModelEntry {
  std::string name;
  std::vector<std::shared_ptr<const VersionEntry>> versions;  // ascending
  const VersionEntry* live = nullptr;                         // one of them, or none
};

struct Directory {
  std::vector<std::shared_ptr<const ModelEntry>> models;  // by name
  std::vector<AliasInfo> aliases;                         // by alias
  routing::RoutingTable routing;

  struct Target {
    const ModelEntry* model = nullptr;
    const VersionEntry* version = nullptr;  // null: none is live
    bool names_version = false;             // the request named it
  };
  // "name", "name:version" or an alias; empty: the only model there is. A name that is split gives
  // the version of the subject. What the version policy does not serve is not found, with the same
  // message as what does not exist. Failures: not_found, invalid_argument.
  [[nodiscard]] Result<Target> resolve(std::string_view text,
                                       const routing::SubjectSource* subject) const;
  [[nodiscard]] const ModelEntry* find(std::string_view name) const;
};

// The entry's information with its counters as they are now.
VersionInfo read_info(const VersionEntry& entry, TimePoint now);

}  // namespace inferneo::manager
