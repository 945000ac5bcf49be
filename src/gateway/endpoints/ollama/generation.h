// What happens to a request for text once Ollama's endpoints have read it.
// Thread: front.
#pragma once

#include <memory>

#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/ollama/answer.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints::ollama {

// Everything but make_job.
GenerationPlan plan_generation(const CommonRequest& request);

// Answers a request that asks for no text: it loads the model, or unloads it where the model is to
// leave memory at once.
void answer_load(const Services& services,
                 const std::shared_ptr<http::Exchange>& exchange,
                 const CommonRequest& request,
                 AnswerKind kind);

}  // namespace inferneo::gateway::endpoints::ollama
