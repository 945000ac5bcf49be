// Files and batches of the server: where they are kept, and the thread that runs them.
// Thread: main. Ownership: owns both; the dispatcher of start() must outlive stop().
#pragma once

#include <memory>

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
  void start(gateway::http::Dispatcher& dispatcher);
  void stop();

 private:
  Status open(const Config& config);

  std::unique_ptr<gateway::endpoints::batch::Files> files_;
  std::unique_ptr<gateway::endpoints::batch::Batches> batches_;  // after what it uses
};

}  // namespace inferneo::app
