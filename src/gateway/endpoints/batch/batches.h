// Batches: a file of requests is run through the endpoints in the background, one batch at a time,
// and its results become files. Every state is on disk before it is told, so that a batch goes on
// after a restart with the requests that have no result yet.
// Spec: OpenAI API reference, Batch.
// Thread: any; one thread of its own runs the batches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/batch/files.h"
#include "gateway/endpoints/batch/runner.h"
#include "gateway/http/server.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints::batch {

struct BatchError {
  std::string message;
  std::int64_t line = 0;  // 0: of the whole file
};

struct BatchRecord {
  std::string id;  // "batch_..."
  std::string endpoint;
  std::string input_file_id;
  std::string completion_window;
  // validating, in_progress, finalizing, completed, failed, expired, cancelling, cancelled
  std::string status = "validating";
  std::string output_file_id;  // empty while there is none
  std::string error_file_id;
  std::vector<BatchError> errors;
  std::int64_t total = 0;
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  std::int64_t created_at = 0;
  std::int64_t expires_at = 0;
  std::optional<std::int64_t> in_progress_at;
  std::optional<std::int64_t> finalizing_at;
  std::optional<std::int64_t> completed_at;
  std::optional<std::int64_t> failed_at;
  std::optional<std::int64_t> expired_at;
  std::optional<std::int64_t> cancelling_at;
  std::optional<std::int64_t> cancelled_at;
  text::Value metadata;  // an object or null
  [[nodiscard]] bool is_over() const {
    return status == "completed" || status == "failed" || status == "expired" ||
           status == "cancelled";
  }
};

void write_batch(JsonWriter& json, const BatchRecord& record);

class Batches {
 public:
  // `files` must outlive it. Failures: as Files::open.
  static Result<std::unique_ptr<Batches>> open(const std::string& directory, Files& files);
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  // Takes up what is to be done. `dispatcher` must outlive the next stop().
  void start(http::Dispatcher& dispatcher);
  // Leaves the running batch where it is; start() goes on with it.
  void stop();

  // Failures: not_found (file), invalid_argument (endpoint), resource_exhausted (as many batches
  // wait as are kept, or there is no room for results).
  Result<BatchRecord> create(BatchRecord record);
  // Failures of both: not_found with where() "batch_id".
  [[nodiscard]] Result<BatchRecord> find(std::string_view id) const;
  Result<BatchRecord> cancel(std::string_view id);
  // Newest first. A batch that is over is kept for limits::kBatchAgeMax.
  [[nodiscard]] std::vector<BatchRecord> list() const;

 private:
  Batches(std::string directory, Files& files) : directory_(std::move(directory)), files_(files) {}
  void load();
  // Forgets batches that ended long ago, and the oldest that are over where there are too many.
  void trim_locked();
  void forget(const BatchRecord& record) const;
  void run(const std::stop_token& stop, http::Dispatcher& dispatcher);
  std::optional<std::string> next(const std::stop_token& stop);
  void run_batch(const std::string& id, const std::stop_token& stop, http::Dispatcher& dispatcher);
  Status validate(const std::string& id, const std::string& content);
  Result<bool> run_lines(const std::string& id,
                         const std::string& content,
                         const std::stop_token& stop,
                         http::Dispatcher& dispatcher);
  void finish(const std::string& id, const Status& status);
  [[nodiscard]] std::string keep_results(const std::string& id, std::string_view kind);
  [[nodiscard]] bool must_stop(const std::string& id) const;
  // Changes a record and writes it to disk before others see it.
  template <typename Change>
  BatchRecord update(std::string_view id, const Change& change);
  void save(const BatchRecord& record) const;
  [[nodiscard]] std::string path(std::string_view id, std::string_view kind) const;

  const std::string directory_;
  Files& files_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, BatchRecord, std::less<>> records_;
  std::jthread thread_;  // declared last: ends before what it uses
};

}  // namespace inferneo::gateway::endpoints::batch
