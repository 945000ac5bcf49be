// Where rollouts are kept: in the catalog, in memory for programs that keep nothing, or in one
// small file a rollout. Thread: as RolloutStore.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "manager/rollout_controller.h"

namespace inferneo::manager {

class MemoryRolloutStore final : public RolloutStore {
 public:
  Status save(const RolloutRecord& record) override;
  Result<std::vector<RolloutRecord>> load() override;

 private:
  std::map<std::int64_t, std::string> texts_;  // as encoded, by id
};

// `directory`/rollout-ID.json, each replaced as a whole and synced. Ended rollouts beyond
// limits::kRolloutKeptCountMax are removed by load().
class FileRolloutStore final : public RolloutStore {
 public:
  // Failures: those of making the directory.
  static Result<FileRolloutStore> open(std::string directory);
  // Failures: as AtomicFile.
  Status save(const RolloutRecord& record) override;
  // Failures: corrupt_data naming the file; permission_denied, internal.
  Result<std::vector<RolloutRecord>> load() override;

 private:
  explicit FileRolloutStore(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

}  // namespace inferneo::manager
