// One client request in progress: its engine requests (one per prompt), the answer that grows from
// their deltas, and the exchange that carries it. Ends exactly once: complete, failed, or abandoned
// because the client left.
// Thread: started on a front thread; deltas come on the model's output thread, a disconnect on a
// network thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_function.h"
#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_lease.h"
#include "request/generate_request.h"

namespace inferneo::gateway::endpoints {

struct GenerationJob {
  manager::Lease lease;
  std::vector<request::GenerateRequest> requests;  // one per prompt
  std::unique_ptr<Answer> answer;
  bool stream = false;
  TimePoint started_at;
};

// Submits the requests and answers the exchange, now or later. A refusal by the engine becomes an
// error response and cancels what was already submitted.
void start_generation(const Services& services,
                      std::shared_ptr<http::Exchange> exchange,
                      GenerationJob job);

// What an endpoint that generates says about a request that it has read.
struct GenerationPlan {
  std::string model;
  ModelWait wait = {};
  // Called once the model is there.
  UniqueFunction<Result<GenerationJob>(manager::Lease)> make_job;
  // The form of what fails before the job starts.
  UniqueFunction<http::Response(const Status&)> error_response = http::error_response;
};

// Waits for the model (with_model()), makes the job and starts it.
void generate(const Services& services,
              const std::shared_ptr<http::Exchange>& exchange,
              GenerationPlan plan);

// `prefix` and `size` random characters of [0-9a-z], from the system's source of randomness.
std::string random_id(std::string_view prefix, std::size_t size);

// Identity of an answer: a random id after `prefix`, the time, the model and what runs it.
AnswerIdentity make_identity(std::string_view prefix, const manager::ServedModel& model);

}  // namespace inferneo::gateway::endpoints
