#include "manager/rollout_store.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>

#include "base/atomic_file.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"

namespace inferneo::manager {
namespace {

constexpr std::string_view kPrefix = "rollout-";
constexpr std::string_view kSuffix = ".json";
// Policy with golden prompts of the largest size, and the history.
constexpr std::size_t kRecordSizeMax = 16 * 1024 * 1024;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Ended rollouts beyond the bound go, the oldest first; `remove` is told their ids.
template <typename Remove>
void forget_oldest(std::vector<RolloutRecord>& records, const Remove& remove) {
  std::sort(
      records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::size_t excess = records.size() > limits::kRolloutKeptCountMax
                           ? records.size() - limits::kRolloutKeptCountMax
                           : 0;
  std::erase_if(records, [&](const RolloutRecord& record) {
    if (excess == 0 || !is_terminal(record.phase)) return false;
    --excess;
    remove(record.id);
    return true;
  });
}

}  // namespace

Status MemoryRolloutStore::save(const RolloutRecord& record) {
  texts_[record.id] = encode(record);
  return ok_status();
}

Result<std::vector<RolloutRecord>> MemoryRolloutStore::load() {
  std::vector<RolloutRecord> records;
  for (const auto& [id, text] : texts_) {
    ASSIGN_OR_RETURN(RolloutRecord record, decode_rollout(text));
    records.push_back(std::move(record));
  }
  return records;
}

Result<FileRolloutStore> FileRolloutStore::open(std::string directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return permission_denied(
        str("cannot make the directory '", printable(directory, 256), "': ", error.message()));
  }
  return FileRolloutStore(std::move(directory));
}

Status FileRolloutStore::save(const RolloutRecord& record) {
  const std::string text = encode(record);
  ASSIGN_OR_RETURN(AtomicFile file,
                   AtomicFile::create(str(directory_, "/", kPrefix, record.id, kSuffix)));
  RETURN_IF_ERROR(file.write(0, bytes_of(text)));
  RETURN_IF_ERROR(file.sync());
  return file.commit().status();
}

Result<std::vector<RolloutRecord>> FileRolloutStore::load() {
  std::vector<RolloutRecord> records;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    ASSIGN_OR_RETURN(const std::string text, read_file(entry.path().string(), kRecordSizeMax));
    Result<RolloutRecord> record = decode_rollout(text);
    if (!record.has_value()) return std::move(record).error().with_context(name);
    records.push_back(*std::move(record));
  }
  if (error) return permission_denied(str("cannot read '", directory_, "': ", error.message()));
  forget_oldest(records, [&](std::int64_t id) {
    std::filesystem::remove(str(directory_, "/", kPrefix, id, kSuffix), error);
  });
  return records;
}

}  // namespace inferneo::manager
