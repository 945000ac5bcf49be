#include "gateway/endpoints/response_input.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/field.h"
#include "gateway/endpoints/generation.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::size_t kIdSize = 32;

Status fail(std::string where, std::string_view what) {
  return invalid_argument(std::string(what)).with_where(std::move(where));
}

Value part(std::string_view type, std::string text) {
  Value made{Value::Dict{}};
  made.set("type", Value(type));
  made.set("text", Value(std::move(text)));
  return made;
}

Value message_of(std::string_view role, std::string content) {
  Value message{Value::Dict{}};
  message.set("role", Value(role));
  message.set("content", Value(std::move(content)));
  return message;
}

const std::string* string_of(const Value& item, std::string_view name) {
  const Value* member = item.find(name);
  return member == nullptr ? nullptr : member->as_string();
}

Result<std::string> required_string(const Value& item,
                                    std::string_view name,
                                    const std::string& where) {
  const std::string* text = string_of(item, name);
  if (text == nullptr) return fail(str(where, ".", name), "must be a string");
  return *text;
}

void set_id(Value& made, const Value& item, std::string_view prefix) {
  const std::string* id = string_of(item, "id");
  made.set("id", Value(id != nullptr ? *id : random_id(prefix, kIdSize)));
}

// The text of one part of a content.
Result<std::string> part_text(const Value& item, const std::string& where) {
  if (item.as_dict() == nullptr)
    return wrong_value("an object with a type", item).with_where(where);
  const std::string* type = string_of(item, "type");
  if (type == nullptr) return fail(where + ".type", "must be a string, such as \"input_text\"");
  if (*type == "refusal") return required_string(item, "refusal", where);
  constexpr std::array<std::string_view, 5> kTexts{
      "input_text", "output_text", "text", "summary_text", "reasoning_text"};
  for (const std::string_view known : kTexts) {
    if (*type == known) return required_string(item, "text", where);
  }
  if (*type == "input_image" || *type == "input_file" || *type == "input_audio") {
    return unsupported(str("is of type '", *type, "', but the model reads text only"))
        .with_where(where + ".type");
  }
  return fail(where + ".type",
              str("must be \"input_text\" or \"output_text\", but is '", printable(*type), "'"));
}

// A string, or a list of parts, which are joined by `separator`.
Result<std::string> content_text(const Value* content,
                                 const std::string& where,
                                 std::string_view separator = "\n") {
  if (content == nullptr || content->is_null()) return fail(where, "must be given");
  if (const std::string* text = content->as_string()) return *text;
  const Value::List* parts = content->as_list();
  if (parts == nullptr) {
    return wrong_value("a string or a list of parts", *content).with_where(where);
  }
  std::string joined;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    ASSIGN_OR_RETURN(const std::string text, part_text((*parts)[i], str(where, "[", i, "]")));
    if (i > 0) joined += separator;
    joined += text;
  }
  return joined;
}

class InputReader {
 public:
  Status take_text(const std::string& text) {
    Value item{Value::Dict{}};
    add_message_item(std::move(item), "user", text);
    return ok_status();
  }

  Status take(const Value& item, const std::string& where) {
    if (item.as_dict() == nullptr) return wrong_value("an object", item).with_where(where);
    const std::string* type = string_of(item, "type");
    if (type == nullptr || *type == "message") return take_message(item, where);
    if (*type == "function_call") return take_call(item, where);
    if (*type == "function_call_output") return take_call_output(item, where);
    if (*type == "reasoning") return take_reasoning(item, where);
    if (*type == "item_reference") {
      return unsupported(
                 "of type 'item_reference' is not supported: send the item, or use "
                 "previous_response_id")
          .with_where(where + ".type");
    }
    return unsupported(str("of type '",
                           printable(*type),
                           "' is not supported; message, function_call, function_call_output and "
                           "reasoning are"))
        .with_where(where + ".type");
  }

  ResponseInput take_result() { return std::move(input_); }

 private:
  void add_message_item(Value item, std::string_view role, const std::string& text) {
    Value made{Value::Dict{}};
    set_id(made, item, "msg_");
    made.set("type", Value("message"));
    made.set("status", Value("completed"));
    made.set("role", Value(role));
    Value shown = part(role == "assistant" ? "output_text" : "input_text", text);
    if (role == "assistant") shown.set("annotations", Value(Value::List{}));
    Value::List content;
    content.push_back(std::move(shown));
    made.set("content", Value(std::move(content)));
    input_.items.push_back(std::move(made));
    append_message(input_.messages, message_of(role, text));
  }

  Status take_message(const Value& item, const std::string& where) {
    constexpr std::string_view kRoles = "must be user, assistant, system or developer";
    const std::string* role = string_of(item, "role");
    if (role == nullptr) return fail(where + ".role", kRoles);
    if (*role != "user" && *role != "assistant" && *role != "system" && *role != "developer") {
      return fail(where + ".role", str(kRoles, ", but is '", printable(*role), "'"));
    }
    ASSIGN_OR_RETURN(const std::string text,
                     content_text(item.find("content"), where + ".content"));
    add_message_item(item, *role, text);
    return ok_status();
  }

  Status take_call(const Value& item, const std::string& where) {
    ASSIGN_OR_RETURN(std::string call_id, required_string(item, "call_id", where));
    ASSIGN_OR_RETURN(std::string name, required_string(item, "name", where));
    ASSIGN_OR_RETURN(std::string arguments, required_string(item, "arguments", where));
    Value made{Value::Dict{}};
    set_id(made, item, "fc_");
    made.set("type", Value("function_call"));
    made.set("status", Value("completed"));
    made.set("call_id", Value(call_id));
    made.set("name", Value(name));
    made.set("arguments", Value(arguments));
    input_.items.push_back(std::move(made));
    Value function{Value::Dict{}};
    function.set("name", Value(std::move(name)));
    function.set("arguments", Value(std::move(arguments)));
    Value call{Value::Dict{}};
    call.set("id", Value(std::move(call_id)));
    call.set("type", Value("function"));
    call.set("function", std::move(function));
    Value message = message_of("assistant", "");
    Value::List calls;
    calls.push_back(std::move(call));
    message.set("tool_calls", Value(std::move(calls)));
    append_message(input_.messages, std::move(message));
    return ok_status();
  }

  Status take_call_output(const Value& item, const std::string& where) {
    ASSIGN_OR_RETURN(std::string call_id, required_string(item, "call_id", where));
    ASSIGN_OR_RETURN(const std::string output,
                     content_text(item.find("output"), where + ".output"));
    Value made{Value::Dict{}};
    set_id(made, item, "fco_");
    made.set("type", Value("function_call_output"));
    made.set("status", Value("completed"));
    made.set("call_id", Value(call_id));
    made.set("output", Value(output));
    input_.items.push_back(std::move(made));
    Value message = message_of("tool", output);
    message.set("tool_call_id", Value(std::move(call_id)));
    input_.messages.push_back(std::move(message));
    return ok_status();
  }

  // What an earlier answer thought; encrypted content is another server's and says nothing here.
  Status take_reasoning(const Value& item, const std::string& where) {
    std::string text;
    const Value* content = item.find("content");
    if (content != nullptr && !content->is_null()) {
      ASSIGN_OR_RETURN(text, content_text(content, where + ".content"));
    }
    const Value* summary = item.find("summary");
    if (text.empty() && summary != nullptr && !summary->is_null()) {
      ASSIGN_OR_RETURN(text, content_text(summary, where + ".summary"));
    }
    Value made{Value::Dict{}};
    set_id(made, item, "rs_");
    made.set("type", Value("reasoning"));
    made.set("summary", Value(Value::List{}));
    Value::List parts;
    parts.push_back(part("reasoning_text", text));
    made.set("content", Value(std::move(parts)));
    input_.items.push_back(std::move(made));
    if (text.empty()) return ok_status();
    Value message = message_of("assistant", "");
    message.set("reasoning_content", Value(std::move(text)));
    append_message(input_.messages, std::move(message));
    return ok_status();
  }

  ResponseInput input_;
};

Value function_choice(const std::string& name) {
  Value function{Value::Dict{}};
  function.set("name", Value(name));
  Value choice{Value::Dict{}};
  choice.set("type", Value("function"));
  choice.set("function", std::move(function));
  return choice;
}

}  // namespace

void append_message(Value::List& messages, Value message) {
  const std::string* role = string_of(message, "role");
  const std::string* last_role = messages.empty() ? nullptr : string_of(messages.back(), "role");
  if (*role != "assistant" || last_role == nullptr || *last_role != "assistant") {
    messages.push_back(std::move(message));
    return;
  }
  Value& last = messages.back();
  const std::string& text = *string_of(message, "content");
  const bool last_has_calls = last.find("tool_calls") != nullptr;
  // Text behind calls, or a second text, is a message of its own.
  if (!text.empty() && (last_has_calls || !string_of(last, "content")->empty())) {
    messages.push_back(std::move(message));
    return;
  }
  if (!text.empty()) last.set("content", Value(text));
  if (const Value* reasoning = message.find("reasoning_content")) {
    const std::string* before = string_of(last, "reasoning_content");
    last.set("reasoning_content",
             Value(before == nullptr ? *reasoning->as_string()
                                     : str(*before, "\n", *reasoning->as_string())));
  }
  const Value* calls = message.find("tool_calls");
  if (calls == nullptr) return;
  Value::List joined;
  if (last_has_calls) joined = *last.find("tool_calls")->as_list();
  joined.insert(joined.end(), calls->as_list()->begin(), calls->as_list()->end());
  last.set("tool_calls", Value(std::move(joined)));
}

Result<ResponseInput> take_response_input(Value& value) {
  InputReader reader;
  if (const std::string* text = value.as_string()) {
    RETURN_IF_ERROR(reader.take_text(*text));
    return reader.take_result();
  }
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a string or a list of items", value);
  if (list->size() > limits::kMessageCountMax) {
    return invalid_argument(str(
        "holds ", list->size(), " items, but at most ", limits::kMessageCountMax, " are accepted"));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    RETURN_IF_ERROR(reader.take((*list)[i], str("input[", i, "]")));
  }
  return reader.take_result();
}

Result<Value> take_response_tools(const Value& value) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of tools", value);
  Value::List made;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Value& tool = (*list)[i];
    const std::string where = str("tools[", i, "]");
    if (tool.as_dict() == nullptr) return wrong_value("an object", tool).with_where(where);
    ASSIGN_OR_RETURN(const std::string type, required_string(tool, "type", where));
    if (type != "function") {
      return unsupported(str("of type '", printable(type), "' is not supported; functions are"))
          .with_where(where + ".type");
    }
    RETURN_IF_ERROR(required_string(tool, "name", where).status());
    Value function{Value::Dict{}};
    for (const char* name : {"name", "description", "parameters", "strict"}) {
      const Value* member = tool.find(name);
      if (member != nullptr && !member->is_null()) function.set(name, *member);
    }
    Value chat_tool{Value::Dict{}};
    chat_tool.set("type", Value("function"));
    chat_tool.set("function", std::move(function));
    made.push_back(std::move(chat_tool));
  }
  return Value(std::move(made));
}

Result<Value> take_response_tool_choice(const Value& value) {
  if (value.as_dict() == nullptr) return value;
  const std::string* type = string_of(value, "type");
  if (type != nullptr && *type == "function") {
    ASSIGN_OR_RETURN(const std::string name, required_string(value, "name", "tool_choice"));
    return function_choice(name);
  }
  if (type == nullptr || *type != "allowed_tools") {
    return unsupported("other than function and allowed_tools is not supported")
        .with_where("tool_choice.type");
  }
  Value::List tools;
  const Value* named = value.find("tools");
  if (named == nullptr || named->as_list() == nullptr) {
    return fail("tool_choice.tools", "must be a list");
  }
  for (std::size_t i = 0; i < named->as_list()->size(); ++i) {
    ASSIGN_OR_RETURN(
        const std::string name,
        required_string((*named->as_list())[i], "name", str("tool_choice.tools[", i, "]")));
    tools.push_back(function_choice(name));
  }
  Value allowed{Value::Dict{}};
  if (const Value* mode = value.find("mode")) allowed.set("mode", *mode);
  allowed.set("tools", Value(std::move(tools)));
  Value choice{Value::Dict{}};
  choice.set("type", Value("allowed_tools"));
  choice.set("allowed_tools", std::move(allowed));
  return choice;
}

}  // namespace inferneo::gateway::endpoints
