#include "app/batch_storage.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

// Spec: XDG Base Directory, state of the user.
std::string default_directory() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return str(state, "/inferneo");
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? str(home, "/.local/state/inferneo") : std::string();
}

}  // namespace

BatchStorage::BatchStorage(const Config& config) {
  const Status status = open(config);
  if (status.ok()) return;
  log::warning("batch", str("no files and batches: ", status.message()));
  batches_.reset();
  files_.reset();
}

Status BatchStorage::open(const Config& config) {
  namespace batch = gateway::endpoints::batch;
  const std::string directory = config.files_dir.empty() ? default_directory() : config.files_dir;
  if (directory.empty()) return not_found("files_dir is empty and there is no HOME");
  ASSIGN_OR_RETURN(files_,
                   batch::Files::open(str(directory, "/files"),
                                      static_cast<std::uint64_t>(config.files_bytes_max)));
  ASSIGN_OR_RETURN(batches_, batch::Batches::open(str(directory, "/batches"), *files_));
  return ok_status();
}

void BatchStorage::offer(gateway::endpoints::Services& services) const {
  services.files = files_.get();
  services.batches = batches_.get();
}

void BatchStorage::start(gateway::http::Dispatcher& dispatcher) {
  const std::lock_guard lock(mutex_);
  if (batches_ != nullptr && !has_finished_) batches_->start(dispatcher);
}

void BatchStorage::stop() {
  const std::lock_guard lock(mutex_);
  if (batches_ != nullptr) batches_->stop();
}

void BatchStorage::finish() {
  const std::lock_guard lock(mutex_);
  has_finished_ = true;
  if (batches_ != nullptr) batches_->stop();
}

}  // namespace inferneo::app
