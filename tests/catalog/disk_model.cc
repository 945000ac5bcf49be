#include "disk_model.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace inferneo::catalog_test {
namespace {

constexpr std::size_t kSectorSize = 512;

}  // namespace

std::shared_ptr<DiskModel::File> DiskModel::file_at(const std::string& path) {
  const auto found = names_.find(path);
  if (found != names_.end()) return found->second;
  auto file = std::make_shared<File>();
  const NameChange change{.removed = {}, .added = path, .file = file};
  apply(change, names_);
  name_changes_.push_back(change);
  return file;
}

void DiskModel::apply(const NameChange& change, Names& names) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.file;
}

void DiskModel::apply(const Write& write, std::string& content) {
  const auto offset = static_cast<std::size_t>(write.offset);
  if (write.truncates) {
    content.resize(offset, '\0');
    return;
  }
  if (content.size() < offset + write.bytes.size()) content.resize(offset + write.bytes.size());
  content.replace(offset, write.bytes.size(), write.bytes);
}

void DiskModel::record(const DiskCall& call) {
  switch (call.kind) {
    case CallKind::kWrite:
      file_at(call.path)->unsynced.push_back({call.offset, call.bytes, false});
      return;
    case CallKind::kTruncate:
      file_at(call.path)->unsynced.push_back({call.offset, {}, true});
      return;
    case CallKind::kSync: {
      if (call.path == directory_) {
        synced_names_ = names_;
        name_changes_.clear();
        return;
      }
      const std::shared_ptr<File> file = file_at(call.path);
      for (const Write& write : file->unsynced) apply(write, file->synced);
      file->unsynced.clear();
      return;
    }
    case CallKind::kRename:
    case CallKind::kUnlink: {
      const auto found = names_.find(call.path);
      if (found == names_.end()) return;
      const NameChange change{call.path, call.target, found->second};
      apply(change, names_);
      name_changes_.push_back(change);
      return;
    }
  }
}

bool DiskModel::has_unsynced() const {
  return !name_changes_.empty() || std::ranges::any_of(names_, [](const auto& entry) {
    return !entry.second->unsynced.empty();
  });
}

// Any subset of the writes that are not safe, each whole or cut at a sector, in any order.
std::string DiskModel::content_of(const File& file, std::mt19937_64& random) {
  std::string content = file.synced;
  std::vector<Write> writes = file.unsynced;
  const std::uint64_t manner = random() % 4;  // all of them, none, a prefix, or a shuffled subset
  if (manner == 1) return content;
  if (manner == 2) writes.resize(random() % (writes.size() + 1));
  if (manner == 3) {
    std::ranges::shuffle(writes, random);
    std::erase_if(writes, [&](const Write&) { return random() % 3 == 0; });
  }
  for (Write write : writes) {
    if (manner != 0 && !write.truncates && random() % 4 == 0) {
      const std::size_t sectors = write.bytes.size() / kSectorSize;
      write.bytes.resize(sectors == 0 ? write.bytes.size()
                                      : (random() % (sectors + 1)) * kSectorSize);
    }
    apply(write, content);
  }
  return content;
}

void DiskModel::materialise(std::mt19937_64& random, const std::string& target) const {
  Names names = synced_names_;
  const std::size_t kept = random() % (name_changes_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) apply(name_changes_[i], names);
  for (const auto& [path, file] : names) {
    CHECK(path.starts_with(directory_));
    std::ofstream out(target + path.substr(directory_.size()), std::ios::binary);
    out << content_of(*file, random);
  }
}

}  // namespace inferneo::catalog_test
