#include "gateway/endpoints/chat_choice.h"

#include <algorithm>
#include <utility>

#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/generation.h"

namespace inferneo::gateway::endpoints {

using text::ReplyPart;

void ChatChoice::add(const request::OutputDelta& delta, std::vector<ReplyPart>& parts) {
  const std::size_t before = parts.size();
  const bool was_in_reasoning = parser_.is_in_reasoning();
  parser_.push(delta.text, parts);
  if (delta.finish) parser_.finish(parts);
  // The token that opens reasoning counts as well as the one that closes it.
  if (was_in_reasoning || parser_.is_in_reasoning()) {
    reasoning_tokens_ += static_cast<std::int32_t>(delta.token_ids.size());
  }
  for (std::size_t i = before; i < parts.size(); ++i) {
    ReplyPart& part = parts[i];
    if (part.kind == ReplyPart::Kind::kCall && part.id.empty()) {
      part.id = random_id(options_->call_id_prefix, options_->call_id_size);
    }
  }
  if (options_->include_reasoning) return;
  const auto is_reasoning = [](const ReplyPart& part) {
    return part.kind == ReplyPart::Kind::kReasoning;
  };
  parts.erase(std::remove_if(
                  parts.begin() + static_cast<std::ptrdiff_t>(before), parts.end(), is_reasoning),
              parts.end());
}

std::string_view ChatChoice::finish_name(request::FinishReason reason) const {
  const bool stopped = reason == request::FinishReason::kStop;
  return stopped && call_count() > 0 ? "tool_calls" : finish_reason_name(reason);
}

void ChatMessage::add(std::vector<ReplyPart>&& parts) {
  for (ReplyPart& part : parts) {
    switch (part.kind) {
      case ReplyPart::Kind::kText:
        text += part.text;
        break;
      case ReplyPart::Kind::kReasoning:
        reasoning += part.text;
        break;
      case ReplyPart::Kind::kCall:
        calls.push_back({.id = std::move(part.id), .name = std::move(part.text), .arguments = {}});
        break;
      case ReplyPart::Kind::kArguments:
        calls.back().arguments += part.text;
        break;
    }
  }
}

}  // namespace inferneo::gateway::endpoints
