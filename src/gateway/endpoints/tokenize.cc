// Text or a conversation to token ids. Spec: shapes of vLLM's /tokenize.
#include <utility>

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_response.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct TokenizeRequest {
  std::string model;
  std::optional<std::string> text;
  ChatPrompt chat;
  std::optional<bool> add_special_tokens;
  bool return_token_strs = false;
};

template <bool TokenizeRequest::*kMember>
Status bind_flag(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.*kMember, read_bool(value));
  return ok_status();
}

Status bind_model(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.model, take_string(value, 256));
  return ok_status();
}

Status bind_prompt(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.text, take_string(value, limits::kHttpBodySizeMax));
  return ok_status();
}

Status bind_add_special_tokens(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.add_special_tokens, read_bool(value));
  return ok_status();
}

Status bind_add_generation_prompt(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.chat.add_generation_prompt, read_bool(value));
  return ok_status();
}

Status bind_continue_final_message(Value& value, TokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.chat.continue_final_message, read_bool(value));
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

#define BIND_CHAT(binder) \
  [](Value& value, TokenizeRequest& request) -> Status { return binder(value, request.chat); }

constexpr Field<TokenizeRequest> kFields[] = {
    {{"model", kWorks, "name of a served model; may be left out when one is served"}, bind_model},
    {{"prompt", kWorks, "the text; or messages"}, bind_prompt},
    {{"messages", kWorks, "a conversation, rendered by the model's template; or prompt"},
     BIND_CHAT(bind_messages)},
    {{"tools", kWorks, "as for chat"}, BIND_CHAT(bind_tools)},
    {{"chat_template_kwargs", kWorks, "as for chat"}, BIND_CHAT(bind_template_arguments)},
    {{"add_generation_prompt", kWorks, "as for chat"}, bind_add_generation_prompt},
    {{"continue_final_message", kWorks, "as for chat"}, bind_continue_final_message},
    {{"add_special_tokens", kWorks, "default true for a prompt, false for messages"},
     bind_add_special_tokens},
    {{"return_token_strs", kWorks, "add the tokens as the vocabulary writes them; default false"},
     bind_flag<&TokenizeRequest::return_token_strs>},
};
#undef BIND_CHAT

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<TokenizeRequest>>(kFields), rows);
  return rows;
}

Result<TokenizeRequest> bind(Value::Dict body) {
  TokenizeRequest request;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<TokenizeRequest>>(),
                              std::span<const Field<TokenizeRequest>>(kFields),
                              request));
  const bool has_messages = !request.chat.messages.is_null();
  if (request.text.has_value() == has_messages) {
    return invalid_argument("give either 'prompt' or 'messages'").with_where("prompt");
  }
  if (has_messages) RETURN_IF_ERROR(check_chat_prompt(request.chat));
  return request;
}

Result<TokenizeRequest> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  return bind(std::move(body));
}

Result<std::string> tokenize(TokenizeRequest request, const manager::ServedModel& model) {
  const bool is_text = request.text.has_value();
  std::string text;
  if (is_text) {
    text = *std::move(request.text);
  } else {
    ASSIGN_OR_RETURN(text, render_chat(model, std::move(request.chat)));
  }
  ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                   encode(model, text, request.add_special_tokens.value_or(is_text)));
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("count", ids.size());
  json.member("max_model_len", model.context_tokens_max);
  json.key("tokens");
  json.begin_array();
  for (const TokenId id : ids) json.integer(id);
  json.end_array();
  json.key("token_strs");
  if (request.return_token_strs) {
    json.begin_array();
    for (const TokenId id : ids) json.string(model.tokenizer->token_name(id));
    json.end_array();
  } else {
    json.null();
  }
  json.end_object();
  return out;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Result<TokenizeRequest> request = read(exchange->request().body);
  if (!request.has_value()) return respond_json(*exchange, request.error());
  const std::string model = request->model;
  with_model(
      services,
      exchange,
      model,
      [exchange, request = *std::move(request)](const Result<manager::Lease>& lease) mutable {
        respond_json(
            *exchange,
            lease.has_value() ? tokenize(std::move(request), lease->model()) : lease.error());
      });
}

}  // namespace

extern const Endpoint kTokenizeEndpoint;
const Endpoint kTokenizeEndpoint{
    .method = "POST",
    .path = "/tokenize",
    .summary = "The token ids of a text or a conversation",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
