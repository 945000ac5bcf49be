#include "gateway/endpoints/ollama/generation.h"

#include <utility>

#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/ollama/error.h"

namespace inferneo::gateway::endpoints::ollama {

GenerationPlan plan_generation(const CommonRequest& request) {
  return {.model = request.chat.model,
          .wait = {.keep_alive = request.chat.keep_alive},
          .make_job = {},
          .error_response = error_response};
}

void answer_load(const Services& services,
                 const std::shared_ptr<http::Exchange>& exchange,
                 const CommonRequest& request,
                 AnswerKind kind) {
  const std::optional<Duration> keep_alive = request.chat.keep_alive;
  const bool unloads = keep_alive && *keep_alive == Duration::zero();
  with_model(services,
             exchange,
             request.chat.model,
             [exchange, kind, unloads](const Result<manager::Lease>& lease) {
               if (!lease.has_value()) return exchange->respond(error_response(lease.error()));
               http::Response response;
               response.body = load_answer(kind, lease->model().name, unloads ? "unload" : "load");
               exchange->respond(std::move(response));
             },
             {.keep_alive = keep_alive});
}

}  // namespace inferneo::gateway::endpoints::ollama
