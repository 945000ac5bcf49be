#include "gateway/endpoints/completion_request.h"

#include <limits>
#include <utility>

#include "base/limits.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct CompletionBinding : CompletionRequest {
  std::optional<std::int32_t> best_of;
};

constexpr std::string_view kPromptKinds =
    "a string, a list of strings, a list of token ids, or a list of such lists";

Status bind_prompt_list(Value::List& list, CompletionBinding& request) {
  if (list.size() > limits::kPromptCountMax) {
    return invalid_argument(str(
        "holds ", list.size(), " prompts, but at most ", limits::kPromptCountMax, " are accepted"));
  }
  const bool texts = list.front().as_string() != nullptr;
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::string where = str("prompt[", i, "]");
    if (texts) {
      const std::string* text = list[i].as_string();
      if (text == nullptr)
        return wrong_value("a string, as the first is", list[i]).with_where(where);
      request.prompts.emplace_back(*text);
      continue;
    }
    Result<std::vector<TokenId>> ids = read_token_ids(list[i]);
    if (!ids.has_value()) return std::move(ids).error().with_where(std::move(where));
    request.prompts.emplace_back(*std::move(ids));
  }
  return ok_status();
}

Status bind_prompt(Value& value, CompletionBinding& request) {
  if (const std::string* text = value.as_string()) {
    request.prompts.emplace_back(*text);
    return ok_status();
  }
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value(kPromptKinds, value);
  if (list->empty()) return invalid_argument("must not be empty");
  if (list->front().as_string() != nullptr || list->front().as_list() != nullptr) {
    return bind_prompt_list(*list, request);
  }
  if (list->front().as_int() == nullptr) {
    return wrong_value(kPromptKinds, list->front()).with_where("prompt[0]");
  }
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, read_token_ids(value));
  request.prompts.emplace_back(std::move(ids));
  return ok_status();
}

Status bind_logprobs(Value& value, CompletionBinding& request) {
  ASSIGN_OR_RETURN(request.sampling.logprobs, read_int32(value, 0, limits::kTopLogprobsMax));
  return ok_status();
}

Status bind_echo(Value& value, CompletionBinding& request) {
  ASSIGN_OR_RETURN(request.echo, read_bool(value));
  return ok_status();
}

Status bind_best_of(Value& value, CompletionBinding& request) {
  ASSIGN_OR_RETURN(request.best_of, read_int32(value, 1, limits::kChoiceCountMax));
  return ok_status();
}

Status bind_suffix(Value& value, CompletionBinding& request) {
  ASSIGN_OR_RETURN(request.suffix, take_string(value, std::numeric_limits<std::size_t>::max()));
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;

constexpr Field<CompletionBinding> kFields[] = {
    {{"prompt",
      kWorks,
      "a string, a list of strings, a list of token ids, or a list of such lists; at most 64"},
     bind_prompt},
    {{"logprobs", kWorks, "0 to 20 alternatives per token, besides the chosen one"}, bind_logprobs},
    {{"echo", kWorks, "begin each text with its prompt; with logprobs, with those of the prompt"},
     bind_echo},
    {{"best_of", kNoEffect, "only the value of n is accepted"}, bind_best_of},
    {{"suffix",
      kWorks,
      "text behind the gap that the model fills; models whose vocabulary has tokens for it, "
      "prompts "
      "that are texts"},
     bind_suffix},
};

Status check_completion(CompletionBinding& request) {
  if (request.prompts.empty()) {
    return invalid_argument("'prompt' must be given").with_where("prompt");
  }
  if (request.best_of && *request.best_of != request.choice_count) {
    return unsupported(
               str("'best_of' must equal 'n' (", request.choice_count, "): choices are not ranked"))
        .with_where("best_of");
  }
  if (!request.suffix.empty()) {
    if (request.echo) {
      return unsupported("'suffix' cannot be combined with 'echo'").with_where("suffix");
    }
    for (const TextOrIds& prompt : request.prompts) {
      if (std::holds_alternative<std::string>(prompt)) continue;
      return unsupported("'suffix' needs prompts that are texts").with_where("suffix");
    }
  }
  // A prompt that is echoed shows its log probabilities like the text that follows it.
  if (request.echo) request.sampling.prompt_logprobs = request.sampling.logprobs;
  return check_generation(request, request.echo);
}

}  // namespace

Result<std::vector<TokenId>> read_token_ids(const Value& value) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of token ids", value);
  if (list->empty()) return invalid_argument("must hold at least one token id");
  std::vector<TokenId> ids;
  ids.reserve(list->size());
  for (const Value& item : *list) {
    ASSIGN_OR_RETURN(const std::int32_t id,
                     read_int32(item, 0, std::numeric_limits<std::int32_t>::max()));
    ids.push_back(id);
  }
  return ids;
}

Result<CompletionRequest> bind_completion_request(Value::Dict body) {
  CompletionBinding request;
  RETURN_IF_ERROR(bind_fields(
      body, generation_fields(), std::span<const Field<CompletionBinding>>(kFields), request));
  RETURN_IF_ERROR(check_completion(request));
  return CompletionRequest(std::move(request));
}

std::vector<FieldRow> completion_field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<CompletionBinding>>(kFields), rows);
  append_rows(generation_fields(), rows);
  return rows;
}

}  // namespace inferneo::gateway::endpoints
