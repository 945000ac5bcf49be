// What Ollama's requests have in common: the model's name with its tag, options, keep_alive, think,
// and messages in its shape.
// Spec: Ollama API reference (docs/api.md), parameters of a Modelfile.
// Thread: any (values).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/field.h"

namespace inferneo::gateway::endpoints::ollama {

struct CommonRequest {
  ChatRequest chat;
};

// Rows of model, stream, options, keep_alive, think, format.
std::span<const Field<CommonRequest>> common_fields();
// Those of them that an embedding request knows: model, options, keep_alive.
std::span<const Field<CommonRequest>> model_fields();

// Messages of roles system, user, assistant and tool, whose tool calls have no ids.
Result<text::Value> translate_messages(text::Value& value);

// The name under which a model is served: Ollama's clients may add ":latest".
std::string served_name(const Services& services, std::string name);

// Spec: RFC 3339 with nanoseconds, UTC.
std::string timestamp(std::chrono::system_clock::time_point time);
std::string timestamp_now();

}  // namespace inferneo::gateway::endpoints::ollama
