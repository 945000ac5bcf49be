#include "gateway/endpoints/chat_job.h"

#include <memory>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/chat_prompt.h"
#include "gateway/endpoints/prompts.h"
#include "gateway/endpoints/reply_format.h"
#include "gateway/endpoints/tool_constraint.h"
#include "text/grammar/either.h"
#include "text/reasoning/reasoned_answer.h"

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

// Whether a reply can begin with reasoning, and whether it may where its form is prescribed.
struct ReasoningPlan {
  bool possible = false;
  bool wanted = false;
};

ReasoningPlan plan_reasoning(const ChatRequest& chat,
                             const text::ReplyOptions& reply,
                             std::string_view prompt) {
  if (reply.reasoning_format == nullptr) return {};
  if (reply.begins_in_reasoning) return {true, true};
  const text::Value* argument = chat.prompt.template_arguments.find("enable_thinking");
  const bool* switched = argument == nullptr ? nullptr : argument->as_bool();
  const bool is_off = (switched != nullptr && !*switched) || chat.reasoning_budget == 0 ||
                      text::ends_behind_reasoning(*reply.reasoning_format, prompt);
  return {true, !is_off};
}

// What the reply must be: a call where one is forced, else a call or the form of the answer.
ConstraintPtr join(ConstraintPtr answer, const ConstraintPtr& calls, ToolChoice choice) {
  if (calls == nullptr) return answer;
  if (answer == nullptr || choice == ToolChoice::kRequired) return calls;
  return text::grammar::make_either(std::move(answer), calls);
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
  ASSIGN_OR_RETURN(EncodedChat prompt, encode_chat(model, chat));
  options.reply = reply_options(chat, tool_format, reasoning_format, prompt.text);
  options.call_id_prefix = tool_format->call_id_prefix;
  options.call_id_size = tool_format->call_id_size;
  if (model.tokenizer != nullptr &&
      has_special_marks(options.reply.tool_format, reasoning_format, *model.tokenizer)) {
    chat.skip_special_tokens = false;
  }
  ASSIGN_OR_RETURN(
      const ConstraintPtr calls,
      tool_constraint(model, chat, *tool_format, /*calls_only=*/chat.structured.given()));
  const ReasoningPlan reasoning = plan_reasoning(chat, options.reply, prompt.text);
  // What comes behind the only wanted call need not be generated.
  if (options.reply.one_call && calls == nullptr && !tool_format->call_end.empty() &&
      chat.sampling.stop.empty()) {
    chat.sampling.stop.emplace_back(tool_format->call_end);
  }
  ASSIGN_OR_RETURN(request::GenerateRequest request,
                   make_generate_request(model, chat, std::move(prompt.ids), 0, "messages"));
  request.constraint = join(std::move(request.constraint), calls, chat.tool_choice);
  const bool is_bounded = reasoning.possible && chat.reasoning_budget.has_value();
  const bool comes_first = request.constraint != nullptr ? reasoning.wanted : is_bounded;
  if (model.tokenizer != nullptr && comes_first) {
    request.constraint =
        text::make_reasoned_answer({.token_count_max = chat.reasoning_budget,
                                    .begins_in_reasoning = options.reply.begins_in_reasoning,
                                    .answer = std::move(request.constraint)},
                                   model.reasoning.vocabulary(*reasoning_format, model.tokenizer));
  }
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
