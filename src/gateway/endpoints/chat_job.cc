#include "gateway/endpoints/chat_job.h"

#include <memory>
#include <utility>

#include "gateway/endpoints/prompts.h"
#include "gateway/endpoints/reply_format.h"

namespace inferneo::gateway::endpoints {
namespace {

text::ReplyOptions reply_options(const ChatRequest& chat,
                                 const text::ToolFormat* tools,
                                 const text::ReasoningFormat* reasoning,
                                 std::string_view prompt) {
  text::ReplyOptions reply;
  if (!chat.prompt.tools.is_null()) {
    reply.tool_format = tools;
    reply.tools = std::make_shared<const text::Value>(chat.prompt.tools);
    reply.one_call = !chat.parallel_tool_calls;
  }
  reply.reasoning_format = reasoning;
  reply.begins_in_reasoning = reasoning != nullptr && text::ends_in_reasoning(*reasoning, prompt);
  return reply;
}

AnswerOptions answer_options(const ChatRequest& chat,
                             const manager::ServedModel& model,
                             std::string_view id_prefix) {
  AnswerOptions options;
  options.identity = make_identity(id_prefix, model);
  options.choice_count = chat.choice_count;
  options.logprobs = chat.logprobs;
  options.prompt_logprobs = chat.prompt_logprobs.has_value();
  options.return_token_ids = chat.return_token_ids;
  options.include_usage = chat.include_usage;
  options.continuous_usage = chat.continuous_usage;
  options.return_timings = chat.return_timings;
  options.skip_special_tokens = chat.skip_special_tokens;
  options.include_reasoning = chat.include_reasoning;
  options.tokenizer = model.tokenizer.get();
  return options;
}

}  // namespace

Result<GenerationJob> make_chat_job(const Services& services,
                                    ChatRequest chat,
                                    manager::Lease lease,
                                    TimePoint started_at,
                                    std::string_view id_prefix,
                                    MakeAnswer make_answer) {
  const manager::ServedModel& model = lease.model();
  AnswerOptions options = answer_options(chat, model, id_prefix);
  const text::ToolFormat* tool_format = tool_format_of(services.reply_formats, model);
  const text::ReasoningFormat* reasoning_format =
      reasoning_format_of(services.reply_formats, model);
  const text::Value tools = chat.prompt.tools;
  ASSIGN_OR_RETURN(const std::string text, render_chat(model, std::move(chat.prompt)));
  chat.prompt.tools = tools;
  options.reply = reply_options(chat, tool_format, reasoning_format, text);
  options.call_id_prefix = tool_format->call_id_prefix;
  options.call_id_size = tool_format->call_id_size;
  if (model.tokenizer != nullptr &&
      has_special_marks(options.reply.tool_format, reasoning_format, *model.tokenizer)) {
    chat.skip_special_tokens = false;
  }
  // What comes behind the only wanted call need not be generated.
  if (options.reply.one_call && !tool_format->call_end.empty() && chat.sampling.stop.empty()) {
    chat.sampling.stop.emplace_back(tool_format->call_end);
  }
  ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                   encode(model, text, chat.add_special_tokens.value_or(false)));
  ASSIGN_OR_RETURN(request::GenerateRequest request,
                   make_generate_request(model, chat, std::move(ids), 0, "messages"));
  options.prompts.push_back({.text = {}, .ids = request.prompt});
  GenerationJob job{.lease = std::move(lease),
                    .requests = {},
                    .answer = make_answer(std::move(options)),
                    .stream = chat.stream,
                    .started_at = started_at};
  job.requests.push_back(std::move(request));
  return job;
}

}  // namespace inferneo::gateway::endpoints
