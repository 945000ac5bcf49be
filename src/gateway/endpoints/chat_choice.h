// One choice of a chat answer while it grows: its text taken apart, the ids of its calls, what its
// tokens were spent on.
// Thread: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/endpoints/answer.h"
#include "request/output.h"
#include "text/reply.h"

namespace inferneo::gateway::endpoints {

class ChatChoice {
 public:
  explicit ChatChoice(const AnswerOptions& options) : options_(&options), parser_(options.reply) {}

  // Appends the parts that a delta makes certain; reasoning that is not wanted is left out. Calls
  // get an id where the model gave none.
  void add(const request::OutputDelta& delta, std::vector<text::ReplyPart>& parts);

  [[nodiscard]] std::int32_t call_count() const { return parser_.call_count(); }
  [[nodiscard]] std::int32_t reasoning_tokens() const { return reasoning_tokens_; }
  // "tool_calls" for a choice that stopped behind calls, else as finish_reason_name().
  [[nodiscard]] std::string_view finish_name(request::FinishReason reason) const;

 private:
  const AnswerOptions* options_;  // outlives the choice
  text::ReplyParser parser_;
  std::int32_t reasoning_tokens_ = 0;
};

// A whole message, put together from parts.
struct ChatMessage {
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
  };
  std::string text;
  std::string reasoning;
  std::vector<Call> calls;

  void add(std::vector<text::ReplyPart>&& parts);
};

}  // namespace inferneo::gateway::endpoints
