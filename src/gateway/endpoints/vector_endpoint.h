// What the endpoints of vectors have in common: the body is read, the model is had, the vectors are
// computed, and the answer is written of them.
// Thread: front.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/vector_job.h"

namespace inferneo::gateway::endpoints {

template <typename Request>
struct VectorSteps {
  Result<VectorJob> (*make_job)(const Request& request, const manager::Lease& lease) = nullptr;
  http::Response (*write)(const Request& request,
                          const manager::ServedModel& model,
                          Vectors&& vectors) = nullptr;
};

// `request` names its model; a failure of any step is the answer.
template <typename Request>
void answer_with_vectors(const Services& services,
                         const std::shared_ptr<http::Exchange>& exchange,
                         Result<Request> request,
                         VectorSteps<Request> steps) {
  if (!request.has_value()) return exchange->respond(http::error_response(request.error()));
  const std::string model = request->model;
  with_model(services,
             exchange,
             model,
             [&services, exchange, steps, request = *std::move(request)](
                 const Result<manager::Lease>& lease) mutable {
               Result<VectorJob> job =
                   lease.has_value() ? steps.make_job(request, *lease) : lease.error();
               if (!job.has_value()) return exchange->respond(http::error_response(job.error()));
               compute_vectors(services,
                               exchange,
                               *std::move(job),
                               [exchange, steps, lease = *lease, request = std::move(request)](
                                   Result<Vectors> vectors) {
                                 exchange->respond(
                                     vectors.has_value()
                                         ? steps.write(request, lease.model(), *std::move(vectors))
                                         : http::error_response(vectors.error()));
                               });
             });
}

}  // namespace inferneo::gateway::endpoints
