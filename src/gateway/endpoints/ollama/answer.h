// The answers of /api/chat and /api/generate: one JSON object, or one a line of which the last has
// done: true and the durations in nanoseconds.
// Thread: one at a time. Ownership: by value.
#pragma once

#include <memory>

#include "gateway/endpoints/answer.h"

namespace inferneo::gateway::endpoints::ollama {

enum class AnswerKind { kChat, kGenerate };

std::unique_ptr<Answer> make_answer(AnswerOptions options, AnswerKind kind, bool stream);

// The whole answer to a request that asks for no text: the model is in memory, or has been told to
// leave it.
std::string load_answer(AnswerKind kind, std::string_view model, std::string_view done_reason);

}  // namespace inferneo::gateway::endpoints::ollama
