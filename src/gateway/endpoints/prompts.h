// From what a client sends to token ids that fit the model: chat templates, tokenization, the bound
// of the context.
// Thread: any; runs on front threads, since long prompts take milliseconds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "manager/manager.h"
#include "request/generate_request.h"

namespace inferneo::gateway::endpoints {

// The text that the model's template makes of a conversation. Takes the messages.
// Failures: unsupported when the model has no template, else as ChatTemplate::render.
Result<std::string> render_chat(const manager::ServedModel& model, ChatPrompt prompt);

// Failures: unsupported when the model has no tokenizer.
Result<std::vector<TokenId>> encode(const manager::ServedModel& model,
                                    std::string_view text,
                                    bool add_special_tokens);

// The text of a prompt as echo repeats it.
AnswerPrompt make_answer_prompt(const manager::ServedModel& model,
                                const TextOrIds& source,
                                std::vector<TokenId> ids);

// One engine request of a prompt, with the model's sampling defaults and a max_tokens that fits
// (`max_tokens_default` unless the request names one; 0 means all that is left of the context).
// Failures: invalid_argument at `field` when the prompt is empty or fills the context.
Result<request::GenerateRequest> make_generate_request(const manager::ServedModel& model,
                                                       const GenerationParams& params,
                                                       std::vector<TokenId> ids,
                                                       std::int32_t max_tokens_default,
                                                       std::string_view field);

}  // namespace inferneo::gateway::endpoints
