#include "gateway/endpoints/batch/batches.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "base/thread.h"
#include "gateway/endpoints/batch/result_file.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

namespace fs = std::filesystem;
using text::Value;

constexpr std::string_view kRecordSuffix = ".json";
constexpr std::size_t kRecordSizeMax = 256 * 1024;
constexpr std::size_t kErrorCountMax = 20;

Status no_batch(std::string_view id) {
  return not_found(str("no batch with the id '", printable(id), "'")).with_where("batch_id");
}

void write_time(JsonWriter& json, std::string_view name, std::optional<std::int64_t> time) {
  json.key(name);
  if (time) {
    json.integer(*time);
  } else {
    json.null();
  }
}

void write_id(JsonWriter& json, std::string_view name, const std::string& id) {
  if (id.empty()) {
    json.member_null(name);
  } else {
    json.member(name, id);
  }
}

void write_errors(JsonWriter& json, const std::vector<BatchError>& errors) {
  json.key("errors");
  if (errors.empty()) return json.null();
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  for (const BatchError& error : errors) {
    json.begin_object();
    json.member("code", "invalid_request");
    json.member("message", error.message);
    json.member_null("param");
    write_time(json, "line", error.line > 0 ? std::optional(error.line) : std::nullopt);
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

std::string text_of(const Value& record, std::string_view name) {
  const Value* member = record.find(name);
  return member != nullptr && member->as_string() != nullptr ? *member->as_string() : std::string();
}

std::optional<std::int64_t> number_of(const Value& record, std::string_view name) {
  const Value* member = record.find(name);
  if (member == nullptr || member->as_int() == nullptr) return std::nullopt;
  return *member->as_int();
}

std::vector<BatchError> errors_of(const Value& record) {
  std::vector<BatchError> errors;
  const Value* list = record.find("errors");
  const Value* data = list != nullptr ? list->find("data") : nullptr;
  if (data == nullptr || data->as_list() == nullptr) return errors;
  for (const Value& error : *data->as_list()) {
    errors.push_back({text_of(error, "message"), number_of(error, "line").value_or(0)});
  }
  return errors;
}

std::optional<BatchRecord> parse_record(const std::string& text) {
  const Result<Value> value = parse_json(text);
  if (!value.has_value()) return std::nullopt;
  BatchRecord record;
  record.id = text_of(*value, "id");
  record.endpoint = text_of(*value, "endpoint");
  record.input_file_id = text_of(*value, "input_file_id");
  record.completion_window = text_of(*value, "completion_window");
  record.status = text_of(*value, "status");
  record.output_file_id = text_of(*value, "output_file_id");
  record.error_file_id = text_of(*value, "error_file_id");
  record.errors = errors_of(*value);
  record.created_at = number_of(*value, "created_at").value_or(0);
  record.expires_at = number_of(*value, "expires_at").value_or(0);
  record.in_progress_at = number_of(*value, "in_progress_at");
  record.finalizing_at = number_of(*value, "finalizing_at");
  record.completed_at = number_of(*value, "completed_at");
  record.failed_at = number_of(*value, "failed_at");
  record.expired_at = number_of(*value, "expired_at");
  record.cancelling_at = number_of(*value, "cancelling_at");
  record.cancelled_at = number_of(*value, "cancelled_at");
  if (const Value* counts = value->find("request_counts")) {
    record.total = number_of(*counts, "total").value_or(0);
    record.completed = number_of(*counts, "completed").value_or(0);
    record.failed = number_of(*counts, "failed").value_or(0);
  }
  if (const Value* metadata = value->find("metadata")) record.metadata = *metadata;
  if (record.id.empty() || record.status.empty()) return std::nullopt;
  return record;
}

// The lines of a text, one after the other.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool next(std::string& line) {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    line.assign(text_.substr(at_, end - at_));
    at_ = end + 1;
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

void write_batch(JsonWriter& json, const BatchRecord& record) {
  json.begin_object();
  json.member("id", record.id);
  json.member("object", "batch");
  json.member("endpoint", record.endpoint);
  write_errors(json, record.errors);
  json.member("input_file_id", record.input_file_id);
  json.member("completion_window", record.completion_window);
  json.member("status", record.status);
  write_id(json, "output_file_id", record.output_file_id);
  write_id(json, "error_file_id", record.error_file_id);
  json.member("created_at", record.created_at);
  write_time(json, "in_progress_at", record.in_progress_at);
  json.member("expires_at", record.expires_at);
  write_time(json, "finalizing_at", record.finalizing_at);
  write_time(json, "completed_at", record.completed_at);
  write_time(json, "failed_at", record.failed_at);
  write_time(json, "expired_at", record.expired_at);
  write_time(json, "cancelling_at", record.cancelling_at);
  write_time(json, "cancelled_at", record.cancelled_at);
  json.key("request_counts");
  json.begin_object();
  json.member("total", record.total);
  json.member("completed", record.completed);
  json.member("failed", record.failed);
  json.end_object();
  json.key("metadata");
  json.members(text::to_json(record.metadata));
  json.end_object();
}

Result<std::unique_ptr<Batches>> Batches::open(const std::string& directory, Files& files) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error) fs::permissions(directory, fs::perms::owner_all, error);
  if (error) {
    return Status(StatusCode::kPermissionDenied,
                  str("cannot use the directory ", directory, ": ", error.message()));
  }
  std::unique_ptr<Batches> batches(new Batches(directory, files));
  batches->load();
  return batches;
}

Batches::~Batches() { stop(); }

std::string Batches::path(std::string_view id, std::string_view kind) const {
  return str(directory_, "/", id, ".", kind);
}

void Batches::load() {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kRecordSuffix)) continue;
    const Result<std::string> text = read_file(entry.path().string(), kRecordSizeMax);
    std::optional<BatchRecord> record;
    if (text.has_value()) record = parse_record(*text);
    if (!record || record->id + std::string(kRecordSuffix) != name) {
      log::warning("batch", str("left alone: ", entry.path().string(), " is no record of a batch"));
      continue;
    }
    records_.emplace(record->id, *std::move(record));
  }
}

void Batches::forget(const BatchRecord& record) const {
  std::error_code error;
  for (const char* kind : {"json", "output", "errors"}) fs::remove(path(record.id, kind), error);
}

void Batches::trim_locked() {
  const std::int64_t oldest_kept = files_.now() - limits::kBatchAgeMax.count();
  std::erase_if(records_, [&](const auto& entry) {
    const BatchRecord& record = entry.second;
    if (!record.is_over() || record.created_at > oldest_kept) return false;
    forget(record);
    return true;
  });
  while (records_.size() >= limits::kBatchFileCountMax) {
    auto oldest = records_.end();
    for (auto at = records_.begin(); at != records_.end(); ++at) {
      if (!at->second.is_over()) continue;
      if (oldest == records_.end() || at->second.created_at < oldest->second.created_at) {
        oldest = at;
      }
    }
    if (oldest == records_.end()) return;
    forget(oldest->second);
    records_.erase(oldest);
  }
}

void Batches::start(http::Dispatcher& dispatcher) {
  thread_ = std::jthread([this, &dispatcher](const std::stop_token& stop) {
    set_thread_name("batch-0");
    run(stop, dispatcher);
  });
}

void Batches::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
}

void Batches::save(const BatchRecord& record) const {
  std::string out;
  JsonWriter json(out);
  write_batch(json, record);
  const Status status = inferneo::write_file(path(record.id, "json"), out);
  if (!status.ok()) log::error("batch", str("cannot save ", record.id, ": ", status.to_string()));
}

template <typename Change>
BatchRecord Batches::update(std::string_view id, const Change& change) {
  const std::lock_guard lock(mutex_);
  BatchRecord& record = records_.find(id)->second;
  change(record);
  save(record);
  changed_.notify_all();
  return record;
}

Result<BatchRecord> Batches::create(BatchRecord record) {
  RETURN_IF_ERROR(files_.find(record.input_file_id).status());
  if (!is_batch_endpoint(record.endpoint)) {
    return invalid_argument(
               str("'endpoint' is '", printable(record.endpoint), "', which batches do not run"))
        .with_where("endpoint")
        .with_hint("/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses");
  }
  RETURN_IF_ERROR(files_.has_room());
  const std::lock_guard lock(mutex_);
  trim_locked();
  if (records_.size() >= limits::kBatchFileCountMax) {
    return resource_exhausted("there are as many batches to do as are kept").with_where("quota");
  }
  record.id = random_id("batch_", 24);
  record.created_at = files_.now();
  record.expires_at = record.created_at + limits::kBatchWindow.count();
  save(record);
  records_.emplace(record.id, record);
  changed_.notify_all();
  return record;
}

Result<BatchRecord> Batches::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found == records_.end()) return no_batch(id);
  return found->second;
}

Result<BatchRecord> Batches::cancel(std::string_view id) {
  ASSIGN_OR_RETURN(const BatchRecord known, find(id));
  if (known.is_over() || known.status == "finalizing") {
    return Status(StatusCode::kFailedPrecondition,
                  str("the batch is ", known.status, " and cannot be cancelled"))
        .with_where("batch_id");
  }
  return update(id, [this](BatchRecord& record) {
    if (record.is_over() || record.status == "cancelling") return;
    record.status = "cancelling";
    record.cancelling_at = files_.now();
  });
}

std::vector<BatchRecord> Batches::list() const {
  std::vector<BatchRecord> found;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : records_) found.push_back(record);
  }
  std::stable_sort(found.begin(), found.end(), [](const BatchRecord& a, const BatchRecord& b) {
    return a.created_at > b.created_at;
  });
  return found;
}

// The oldest batch that is not over; waits for one. Meanwhile files expire.
std::optional<std::string> Batches::next(const std::stop_token& stop) {
  constexpr std::chrono::seconds kExpiryInterval{10};
  while (!stop.stop_requested()) {
    files_.expire();
    std::unique_lock lock(mutex_);
    trim_locked();
    const BatchRecord* oldest = nullptr;
    for (const auto& [id, record] : records_) {
      if (record.is_over()) continue;
      if (oldest == nullptr || record.created_at < oldest->created_at) oldest = &record;
    }
    if (oldest != nullptr) return oldest->id;
    changed_.wait_for(lock, stop, kExpiryInterval, [&] {
      return std::any_of(records_.begin(), records_.end(), [](const auto& entry) {
        return !entry.second.is_over();
      });
    });
  }
  return std::nullopt;
}

void Batches::run(const std::stop_token& stop, http::Dispatcher& dispatcher) {
  while (const std::optional<std::string> id = next(stop)) run_batch(*id, stop, dispatcher);
}

bool Batches::must_stop(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const BatchRecord& record = records_.find(id)->second;
  return record.status == "cancelling" || files_.now() >= record.expires_at;
}

void Batches::run_batch(const std::string& id,
                        const std::stop_token& stop,
                        http::Dispatcher& dispatcher) {
  const BatchRecord known = *find(id);
  Result<std::string> content = files_.read(known.input_file_id);
  if (!content.has_value()) return finish(id, content.error());
  if (known.status == "validating") {
    Status valid = validate(id, *content);
    if (!valid.ok()) return finish(id, valid);
  }
  const Result<bool> complete = run_lines(id, *content, stop, dispatcher);
  if (!complete.has_value()) return finish(id, complete.error());
  if (*complete || must_stop(id)) finish(id, ok_status());
}

Status Batches::validate(const std::string& id, const std::string& content) {
  const std::string endpoint = find(id)->endpoint;
  std::set<std::string> ids;
  std::vector<BatchError> errors;
  std::int64_t total = 0;
  std::int64_t number = 0;
  Lines lines(content);
  for (std::string line; lines.next(line);) {
    ++number;
    if (is_blank(line)) continue;
    ++total;
    const Result<LineRequest> request = parse_line(line, endpoint);
    if (errors.size() >= kErrorCountMax) continue;
    if (!request.has_value()) {
      errors.push_back({request.error().message(), number});
    } else if (!ids.insert(request->custom_id).second) {
      errors.push_back(
          {str("the custom_id '", printable(request->custom_id), "' occurs twice"), number});
    }
  }
  if (total == 0) errors.push_back({"the file holds no requests", 0});
  if (total > static_cast<std::int64_t>(limits::kBatchLineCountMax)) {
    errors.push_back({str("the file holds ",
                          total,
                          " requests, but at most ",
                          limits::kBatchLineCountMax,
                          " are accepted"),
                      0});
  }
  update(id, [&](BatchRecord& record) {
    record.total = total;
    record.errors = errors;
    if (!errors.empty() || record.status != "validating") return;
    record.status = "in_progress";
    record.in_progress_at = files_.now();
  });
  return errors.empty() ? ok_status() : invalid_argument("the input file is not valid");
}

Result<bool> Batches::run_lines(const std::string& id,
                                const std::string& content,
                                const std::stop_token& stop,
                                http::Dispatcher& dispatcher) {
  ASSIGN_OR_RETURN(ResultFile output, ResultFile::open(path(id, "output")));
  ASSIGN_OR_RETURN(ResultFile failures, ResultFile::open(path(id, "errors")));
  std::set<std::string, std::less<>> done = output.done();
  done.insert(failures.done().begin(), failures.done().end());
  update(id, [&](BatchRecord& record) {
    record.completed = static_cast<std::int64_t>(output.done().size());
    record.failed = static_cast<std::int64_t>(failures.done().size());
  });
  RunnerOptions options;
  options.dispatcher = &dispatcher;
  options.endpoint = find(id)->endpoint;
  options.skip = &done;
  Lines lines(content);
  const auto emit = [&](const LineResult& result) -> Status {
    RETURN_IF_ERROR((result.ok() ? output : failures).append(write_result(result)));
    const std::lock_guard lock(mutex_);
    BatchRecord& record = records_.find(id)->second;
    ++(result.ok() ? record.completed : record.failed);
    return ok_status();
  };
  ASSIGN_OR_RETURN(const bool complete,
                   batch::run_batch(
                       options,
                       [&](std::string& line) { return lines.next(line); },
                       emit,
                       [&] { return stop.stop_requested() || must_stop(id); }));
  RETURN_IF_ERROR(output.sync());
  RETURN_IF_ERROR(failures.sync());
  return complete;
}

// Makes a file of the results; its id, or nothing when there are none.
std::string Batches::keep_results(const std::string& id, std::string_view kind) {
  std::error_code error;
  const std::string from = path(id, kind);
  if (!fs::exists(from, error)) return {};
  if (fs::file_size(from, error) == 0) {
    fs::remove(from, error);
    return {};
  }
  FileRecord record;
  record.filename = str(id, "_", kind, ".jsonl");
  record.purpose = "batch_output";
  Result<FileRecord> kept = files_.adopt(std::move(record), from);
  if (kept.has_value()) return kept->id;
  log::error("batch", str("results of ", id, " stay at ", from, ": ", kept.error().to_string()));
  return {};
}

void Batches::finish(const std::string& id, const Status& status) {
  if (!status.ok()) {
    update(id, [&](BatchRecord& record) {
      record.status = "failed";
      record.failed_at = files_.now();
      if (record.errors.empty()) record.errors.push_back({status.message(), 0});
    });
    return;
  }
  const BatchRecord before = *find(id);
  const bool cancelled = before.status == "cancelling";
  const bool whole = before.completed + before.failed >= before.total;
  if (!cancelled) {
    update(id, [this](BatchRecord& record) {
      record.status = "finalizing";
      record.finalizing_at = files_.now();
    });
  }
  const std::string output = keep_results(id, "output");
  const std::string errors = keep_results(id, "errors");
  update(id, [&](BatchRecord& record) {
    record.output_file_id = output;
    record.error_file_id = errors;
    const std::int64_t now = files_.now();
    if (cancelled) {
      record.status = "cancelled";
      record.cancelled_at = now;
    } else if (whole) {
      record.status = "completed";
      record.completed_at = now;
    } else {
      record.status = "expired";
      record.expired_at = now;
    }
  });
}

}  // namespace inferneo::gateway::endpoints::batch
