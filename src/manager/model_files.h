// The files of a model on disk, before anything reads them as a model: what format they are, that
// they are whole, plain files inside the model root, and their digests.
// Thread: any; reading digests takes as long as reading the files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "manager/catalog_record.h"

namespace inferneo::manager {

struct FoundModel {
  // Where the model really is: absolute, without symbolic links. What is recorded and loaded, so
  // that a link which is turned later cannot lead elsewhere.
  std::string path;
  ModelFormat format = ModelFormat::kHuggingFace;
  std::vector<ModelFile> files;  // sorted by name; sizes and identities, no digests
};

// Looks at `path` (a directory or a GGUF file; a directory whose only model is one GGUF file stands
// for that). `root` is where models may be, empty for anywhere. Failures, all at "path":
//   not_found            there is nothing, or a file that an index names is missing
//   permission_denied    outside the root, also through a symbolic link; or not readable
//   invalid_argument     a FIFO, socket or device; several models in one directory; too many files
//   unsupported          another format, by name
//   failed_precondition  a copy is still going on, as its left-over names say
Result<FoundModel> find_model_files(const std::string& path, const std::string& root);

// Called with bytes done and in all; false stops.
using DigestProgress = UniqueFunction<bool(std::uint64_t done, std::uint64_t total)>;

// Fills in the digests. Failures: cancelled, corrupt_data when a file changes meanwhile, those of
// reading.
Status compute_digests(FoundModel& model, DigestProgress progress = {});

enum class DigestCheck : std::uint8_t {
  kNever,
  // The digest of a file is computed again only when its identity (device, inode, size, times) is
  // not what it was: microseconds for a model that nobody touched.
  kChanged,
  kAlways,
};

// Before a load: that the files of a record are still those that were registered, and still inside
// the root. Files without a recorded digest are compared by size. Failures: as find_model_files,
// corrupt_data naming the file that differs.
Status verify_model_files(const ModelRecord& record, const std::string& root, DigestCheck check);

}  // namespace inferneo::manager
