#include "gateway/endpoints/chat_prompt.h"

#include <algorithm>
#include <utility>

#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

std::string_view role_of(const Value& message) { return *message.find("role")->as_string(); }

// Places where a shortened conversation may begin, the whole one first.
std::vector<std::size_t> beginnings(const Value::List& messages) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string_view role = role_of(messages[i]);
    if (role != "system" && role != "tool") found.push_back(i);
  }
  return found;
}

Result<EncodedChat> encode_prompt(const manager::ServedModel& model,
                                  ChatPrompt prompt,
                                  bool add_special_tokens) {
  EncodedChat encoded;
  ASSIGN_OR_RETURN(encoded.text, render_chat(model, std::move(prompt)));
  ASSIGN_OR_RETURN(encoded.ids, encode(model, encoded.text, add_special_tokens));
  return encoded;
}

ChatPrompt from_message(ChatPrompt prompt, std::size_t begin) {
  std::size_t place = 0;
  std::erase_if(*prompt.messages.as_list(), [&](const Value& message) {
    return place++ < begin && role_of(message) != "system";
  });
  return prompt;
}

// All but the messages stays where it is: the answer is read with it.
ChatPrompt take_prompt(ChatRequest& chat) {
  ChatPrompt prompt;
  prompt.messages = std::move(chat.prompt.messages);
  prompt.tools = chat.prompt.tools;
  prompt.template_arguments = chat.prompt.template_arguments;
  prompt.add_generation_prompt = chat.prompt.add_generation_prompt;
  prompt.continue_final_message = chat.prompt.continue_final_message;
  return prompt;
}

}  // namespace

Result<EncodedChat> encode_chat(const manager::ServedModel& model, ChatRequest& chat) {
  const bool special = chat.add_special_tokens.value_or(false);
  if (!chat.drops_oldest) return encode_prompt(model, take_prompt(chat), special);
  const ChatPrompt prompt = take_prompt(chat);
  ASSIGN_OR_RETURN(EncodedChat whole, encode_prompt(model, prompt, special));
  const auto answer = static_cast<std::size_t>(chat.max_tokens.value_or(1));
  const auto fits = [&](const EncodedChat& encoded) {
    return encoded.ids.size() + answer <= static_cast<std::size_t>(model.context_tokens_max);
  };
  if (fits(whole)) return whole;
  // The first beginning from which the rest fits; the later, the shorter.
  const std::vector<std::size_t> from = beginnings(*prompt.messages.as_list());
  std::optional<EncodedChat> best;
  std::size_t low = 1;
  std::size_t high = from.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(EncodedChat shorter,
                     encode_prompt(model, from_message(prompt, from[middle]), special));
    if (fits(shorter)) {
      best = std::move(shorter);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return best ? *std::move(best) : std::move(whole);
}

}  // namespace inferneo::gateway::endpoints
