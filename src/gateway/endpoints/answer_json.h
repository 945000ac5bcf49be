// Parts that chat and text answers share: identity, usage, log probabilities, event frames.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/json_writer.h"
#include "request/output.h"

namespace inferneo::gateway::endpoints {

// Spec: HTML standard, server-sent events: "data: <json>" and an empty line.
void begin_frame(std::string& out);
void end_frame(std::string& out);
inline constexpr std::string_view kDoneFrame = "data: [DONE]\n\n";

// id, object, created, model and system_fingerprint.
void write_identity(JsonWriter& json, std::string_view object, const AnswerIdentity& identity);

// "stop" or "length"; the other ends are errors and never written as a reason.
std::string_view finish_reason_name(request::FinishReason reason);
bool is_complete(request::FinishReason reason);
// The same members as text, for JsonWriter::members.
std::string identity_members(std::string_view object, const AnswerIdentity& identity);

// The member finish_reason, null while a choice goes on.
void write_finish_reason(JsonWriter& json, std::optional<request::FinishReason> reason);

// `reasoning_tokens`: how many of the completion's were spent on reasoning.
void write_usage(JsonWriter& json, const request::Usage& usage, std::int32_t reasoning_tokens = 0);
// The member timings. Spec: names of llama.cpp's server, and queue_ms.
void write_timings(JsonWriter& json, const AnswerEnd& end);
void write_token_ids(JsonWriter& json, std::string_view name, std::span<const TokenId> ids);

// JSON has no minus infinity; the protocol writes -9999.
float finite_logprob(float logprob);

// A list of {token, logprob, bytes, top_logprobs}, as chat and responses have it.
void write_token_logprobs(JsonWriter& json, std::span<const request::TokenLogprob> logprobs);

// Spec (shape of vLLM): null for the first token, else {"<id>": {logprob, rank, decoded_token}}.
void write_prompt_logprobs(JsonWriter& json, std::span<const request::TokenLogprob> logprobs);

// Running usage of a stream, for continuous_usage.
class UsageCounter {
 public:
  explicit UsageCounter(const AnswerOptions& options) {
    for (const AnswerPrompt& prompt : options.prompts) {
      usage_.prompt_tokens += static_cast<std::int32_t>(prompt.ids.size());
    }
  }
  void count(const request::OutputDelta& delta) {
    usage_.completion_tokens += static_cast<std::int32_t>(delta.token_ids.size());
  }
  // The member `usage` of a chunk: absent, null or the numbers so far.
  void write(JsonWriter& json, const AnswerOptions& options) const {
    if (!options.include_usage && !options.continuous_usage) return;
    json.key("usage");
    if (options.continuous_usage) {
      write_usage(json, usage_);
    } else {
      json.null();
    }
  }

 private:
  request::Usage usage_;
};

}  // namespace inferneo::gateway::endpoints
