#include "gateway/endpoints/prompts.h"

#include <algorithm>
#include <utility>

#include "base/str.h"
#include "text/tools/tool_format.h"

namespace inferneo::gateway::endpoints {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Cuts what the template puts after the last message, so that the model goes on inside it.
// Spec: as transformers does: templates may trim a content, then its end counts as trimmed.
Result<std::string> cut_after_final_message(std::string rendered, const std::string& content) {
  const std::string_view trimmed = trim(content);
  const std::size_t at = rendered.rfind(trimmed);
  if (at == std::string::npos) {
    return invalid_argument(
               "the last message cannot be continued: the model's template changes its text")
        .with_where("continue_final_message");
  }
  const std::string_view with_tail =
      std::string_view(content).substr(std::min(content.find(trimmed), content.size()));
  const bool tail_kept = std::string_view(rendered).substr(at).starts_with(with_tail);
  rendered.resize(at + (tail_kept ? with_tail.size() : trimmed.size()));
  return rendered;
}

Status check_length(const manager::ServedModel& model,
                    std::size_t token_count,
                    bool generates,
                    std::string_view field) {
  if (token_count == 0) {
    return invalid_argument("the prompt is empty").with_where(std::string(field));
  }
  const auto room = static_cast<std::size_t>(model.context_tokens_max - (generates ? 1 : 0));
  if (token_count <= room) return ok_status();
  return invalid_argument(str("the prompt has ",
                              token_count,
                              " tokens, but the context of model '",
                              model.name,
                              "' is ",
                              model.context_tokens_max,
                              " tokens",
                              generates ? ", at least one of them for the answer" : ""))
      .with_where(std::string(field))
      .with_hint("shorten it, or set truncate_prompt_tokens");
}

// Tools that the template does not show go into the system message.
void describe_tools_in_system_message(ChatPrompt& prompt) {
  const std::string description = text::describe_tools(prompt.tools);
  text::Value::List& messages = *prompt.messages.as_list();
  text::Value::Dict* first = messages.front().as_dict();
  const bool has_system = *first->front().second.as_string() == "system";
  if (has_system) {
    for (auto& [name, value] : *first) {
      if (name == "content") value = text::Value(str(*value.as_string(), "\n\n", description));
    }
  } else {
    text::Value::Dict system;
    system.emplace_back("role", text::Value("system"));
    system.emplace_back("content", text::Value(description));
    messages.insert(messages.begin(), text::Value(std::move(system)));
  }
  prompt.tools = text::Value();
}

}  // namespace

Result<std::string> render_chat(const manager::ServedModel& model, ChatPrompt prompt) {
  if (model.chat_template == nullptr) {
    return unsupported(str("model '", model.name, "' has no chat template"))
        .with_where("model")
        .with_hint("send the text to /v1/completions");
  }
  const bool shows_tools = model.chat_template->source().find("tools") != std::string_view::npos;
  if (!prompt.tools.is_null() && !shows_tools) describe_tools_in_system_message(prompt);
  std::string last_content;
  if (prompt.continue_final_message) {
    const text::Value& last = prompt.messages.as_list()->back();
    for (const auto& [name, value] : *last.as_dict()) {
      if (name == "content") last_content = *value.as_string();
    }
  }
  text::ChatInput input;
  input.messages = std::move(prompt.messages);
  input.tools = std::move(prompt.tools);
  input.arguments = std::move(prompt.template_arguments);
  input.add_generation_prompt =
      prompt.add_generation_prompt.value_or(!prompt.continue_final_message);
  Result<std::string> rendered = model.chat_template->render(input);
  if (!rendered.has_value()) {
    Status status = std::move(rendered).error().with_context("the chat template refused");
    return std::move(status).with_where("messages");
  }
  if (!prompt.continue_final_message) return rendered;
  return cut_after_final_message(*std::move(rendered), last_content);
}

// Known limit, shared with other servers: the template's text is encoded as a whole, so control
// tokens that a user types into a message become control tokens.
Result<std::vector<TokenId>> encode(const manager::ServedModel& model,
                                    std::string_view text,
                                    bool add_special_tokens) {
  if (model.tokenizer == nullptr) {
    return unsupported(str("model '", model.name, "' has no tokenizer"))
        .with_where("model")
        .with_hint("send a prompt of token ids to /v1/completions");
  }
  return model.tokenizer->encode(
      text, {.add_special_tokens = add_special_tokens, .parse_added_tokens = true});
}

AnswerPrompt make_answer_prompt(const manager::ServedModel& model,
                                const TextOrIds& source,
                                std::vector<TokenId> ids) {
  AnswerPrompt prompt;
  if (const std::string* text = std::get_if<std::string>(&source)) {
    prompt.text = *text;
  } else if (model.tokenizer != nullptr) {
    prompt.text = model.tokenizer->decode(ids, false);
  }
  prompt.ids = std::move(ids);
  return prompt;
}

Result<request::GenerateRequest> make_generate_request(const manager::ServedModel& model,
                                                       const GenerationParams& params,
                                                       std::vector<TokenId> ids,
                                                       std::int32_t max_tokens_default,
                                                       std::string_view field) {
  if (params.truncate_prompt_tokens) {
    const auto keep = static_cast<std::size_t>(*params.truncate_prompt_tokens);
    if (ids.size() > keep) ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(keep));
  }
  RETURN_IF_ERROR(check_length(model, ids.size(), params.max_tokens != 0, field));
  request::GenerateRequest request;
  const std::int32_t left = model.context_tokens_max - static_cast<std::int32_t>(ids.size());
  const std::int32_t fitting = max_tokens_default == 0 ? left : std::min(left, max_tokens_default);
  request.prompt = std::move(ids);
  request.sampling = resolve_sampling(params, model.model->info().generation);
  request.sampling.max_tokens = params.max_tokens.value_or(fitting);
  if (request.sampling.min_tokens > request.sampling.max_tokens) {
    return invalid_argument(str("'min_tokens' (",
                                request.sampling.min_tokens,
                                ") is above what may be generated (",
                                request.sampling.max_tokens,
                                ")"))
        .with_where("min_tokens");
  }
  ASSIGN_OR_RETURN(request.constraint, compile_structured_output(model, params.structured));
  request.choice_count = params.choice_count;
  request.priority = params.priority;
  request.cache_salt = params.cache_salt;
  request.skip_special_tokens = params.skip_special_tokens;
  return request;
}

}  // namespace inferneo::gateway::endpoints
