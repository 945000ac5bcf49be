// Files and batches of the server: where they are kept, and the thread that runs them.
// Thread: any. Ownership: owns both; the dispatcher of start() must outlive the next stop().
#pragma once

#include <memory>
#include <mutex>

#include "base/config.h"
#include "gateway/endpoints/batch/batches.h"
#include "gateway/endpoints/batch/files.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::app {

class BatchStorage {
 public:
  // A directory that cannot be used is logged; the server then serves without files.
  explicit BatchStorage(const Config& config);

  void offer(gateway::endpoints::Services& services) const;
  // Nothing happens after finish().
  void start(gateway::http::Dispatcher& dispatcher);
  void stop();
  // Stops for good.
  void finish();

 private:
  Status open(const Config& config);

  std::mutex mutex_;  // of start and stop
  bool has_finished_ = false;
  std::unique_ptr<gateway::endpoints::batch::Files> files_;
  std::unique_ptr<gateway::endpoints::batch::Batches> batches_;  // after what it uses
};

}  // namespace inferneo::app
