// Runs the requests of a batch through the endpoints, several at a time, and hands over each answer
// as it comes. What /v1/batches and `inferneo run-batch` share.
// Spec: OpenAI API reference, Batch: the request input and output objects.
// Thread: run() blocks its caller, on which source, emit and stop are called.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/http/server.h"

namespace inferneo::gateway::endpoints::batch {

// One line of the input.
struct LineRequest {
  std::string custom_id;
  std::string url;
  std::string body;  // JSON text
};

// Reads {"custom_id", "method", "url", "body"}. `endpoint`: the only url allowed; empty for any
// that batches may use. Failures: invalid_argument whose where() is the member.
Result<LineRequest> parse_line(std::string_view line, std::string_view endpoint);

// What becomes of a line.
struct LineResult {
  std::string id;  // "batch_req_..."
  std::string custom_id;
  int status = 0;  // 0: the line could not be read; see message
  std::string request_id;
  std::string body;     // JSON text of the answer
  std::string message;  // why the line could not be read
  [[nodiscard]] bool ok() const { return status == 200; }
};

// {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}, without the end
// of the line.
std::string write_result(const LineResult& result);

// What a line that write_result() made says.
struct PastResult {
  std::string custom_id;
  bool ok = false;
};

// None when it is no such line.
std::optional<PastResult> read_result(std::string_view line);

bool is_batch_endpoint(std::string_view url);

struct RunnerOptions {
  http::Dispatcher* dispatcher = nullptr;
  std::string endpoint;            // the only url allowed; empty for any
  std::size_t in_flight_max = 32;  // half of what a model computes at the same time by default
  const std::set<std::string, std::less<>>* skip = nullptr;  // custom_ids that are done
};

// A line that cannot be read, or that repeats a custom_id, is answered under the custom_id
// "line-N". `source` gives the next line, or false at the end. `emit` gets each result; its failure
// ends the run. `stop` is asked about every 50 ms; when it says true, what is in flight is
// cancelled and not emitted. Returns true when all lines were run. Failures: those of `emit`.
Result<bool> run_batch(const RunnerOptions& options,
                       const std::function<bool(std::string& line)>& source,
                       const std::function<Status(const LineResult&)>& emit,
                       const std::function<bool()>& stop);

}  // namespace inferneo::gateway::endpoints::batch
