#include "gateway/endpoints/chat_messages.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/field.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::array<std::string_view, 5> kRoles{
    "system", "developer", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 11> kMemberNames{"role",
                                                        "content",
                                                        "name",
                                                        "tool_calls",
                                                        "tool_call_id",
                                                        "reasoning_content",
                                                        "refusal",
                                                        "audio",
                                                        "function_call",
                                                        "annotations",
                                                        "reasoning"};
constexpr std::string_view kRoleNames = "system, developer, user, assistant or tool";

Status fail(std::string where, std::string_view what) {
  return invalid_argument(std::string(what)).with_where(std::move(where));
}
// `status` of a value, at its place.
Status at(Status status, std::string where) {
  return status.where().empty() ? std::move(status).with_where(std::move(where)) : status;
}

Value* member(Value::Dict& dict, std::string_view name) {
  const auto it = std::find_if(
      dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == name; });
  return it == dict.end() || it->second.is_null() ? nullptr : &it->second;
}

Result<std::string> part_text(Value& part, const std::string& where) {
  Value::Dict* dict = part.as_dict();
  if (dict == nullptr) return at(wrong_value("an object with a type", part), where);
  Value* type = member(*dict, "type");
  const std::string* name = type != nullptr ? type->as_string() : nullptr;
  if (name == nullptr) return fail(where + ".type", "must be a string, such as \"text\"");
  if (*name != "text" && *name != "refusal") {
    if (*name == "image_url" || *name == "input_audio" || *name == "file" || *name == "video_url") {
      return unsupported(str("is of type '", *name, "', but the model reads text only"))
          .with_where(where + ".type");
    }
    return fail(where + ".type", str("must be \"text\", but is '", printable(*name), "'"));
  }
  Value* content = member(*dict, *name);
  const std::string* text = content != nullptr ? content->as_string() : nullptr;
  if (text == nullptr) return fail(str(where, ".", *name), "must be a string");
  return *text;
}

Result<std::string> content_text(Value& content, const std::string& where) {
  if (const std::string* text = content.as_string()) return *text;
  Value::List* parts = content.as_list();
  if (parts == nullptr) return at(wrong_value("a string or a list of parts", content), where);
  std::string joined;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    ASSIGN_OR_RETURN(const std::string text, part_text((*parts)[i], str(where, "[", i, "]")));
    if (i > 0) joined += '\n';
    joined += text;
  }
  return joined;
}

// Why objects: templates print arguments with tojson, which would quote a string once more.
Value arguments_value(const std::string& arguments) {
  Result<Value> parsed = parse_json(arguments);
  if (parsed.has_value() && parsed->as_dict() != nullptr) return *std::move(parsed);
  return Value(arguments);
}

Result<Value> take_tool_call(Value& call, const std::string& where) {
  Value::Dict* dict = call.as_dict();
  if (dict == nullptr) return at(wrong_value("an object", call), where);
  if (const Value* type = member(*dict, "type");
      type != nullptr && (type->as_string() == nullptr || *type->as_string() != "function")) {
    return fail(where + ".type", "must be \"function\"");
  }
  Value* function = member(*dict, "function");
  Value::Dict* members = function != nullptr ? function->as_dict() : nullptr;
  if (members == nullptr) return fail(where + ".function", "must be an object");
  Value* name = member(*members, "name");
  if (name == nullptr || name->as_string() == nullptr) {
    return fail(where + ".function.name", "must be a string");
  }
  Value* arguments = member(*members, "arguments");
  if (arguments != nullptr && arguments->as_string() == nullptr &&
      arguments->as_dict() == nullptr) {
    return fail(where + ".function.arguments", "must be a string of JSON");
  }
  Value::Dict made;
  if (Value* id = member(*dict, "id")) {
    if (id->as_string() == nullptr) return fail(where + ".id", "must be a string");
    made.emplace_back("id", std::move(*id));
  }
  made.emplace_back("type", Value("function"));
  Value::Dict made_function;
  made_function.emplace_back("name", std::move(*name));
  Value made_arguments{Value::Dict{}};
  if (arguments != nullptr) {
    made_arguments = arguments->as_string() != nullptr ? arguments_value(*arguments->as_string())
                                                       : std::move(*arguments);
  }
  made_function.emplace_back("arguments", std::move(made_arguments));
  made.emplace_back("function", Value(std::move(made_function)));
  return Value(std::move(made));
}

Result<Value> take_tool_calls(Value& calls, const std::string& where) {
  Value::List* list = calls.as_list();
  if (list == nullptr) return at(wrong_value("a list", calls), where);
  if (list->size() > limits::kToolCountMax) {
    return fail(where,
                str("has ",
                    list->size(),
                    " entries, but at most ",
                    limits::kToolCountMax,
                    " are accepted"));
  }
  Value::List made;
  for (std::size_t i = 0; i < list->size(); ++i) {
    ASSIGN_OR_RETURN(Value call, take_tool_call((*list)[i], str(where, "[", i, "]")));
    made.push_back(std::move(call));
  }
  return Value(std::move(made));
}

Result<std::string> role_of(Value::Dict& message, const std::string& where) {
  Value* role = member(message, "role");
  const std::string* name = role != nullptr ? role->as_string() : nullptr;
  if (name == nullptr) return fail(where + ".role", str("must be ", kRoleNames));
  if (*name == "function") {
    return unsupported("\"function\" is not supported; use \"tool\" with tool_call_id")
        .with_where(where + ".role");
  }
  if (std::find(kRoles.begin(), kRoles.end(), *name) == kRoles.end()) {
    return fail(where + ".role", str("must be ", kRoleNames, ", but is '", printable(*name), "'"));
  }
  return *name == "developer" ? std::string("system") : *name;
}

// Members that clients send back from earlier answers are accepted where they say nothing.
Status check_members(Value::Dict& message, const std::string& role, const std::string& where) {
  for (auto& [name, value] : message) {
    if (std::find(kMemberNames.begin(), kMemberNames.end(), name) == kMemberNames.end()) {
      return unknown_field(name, kMemberNames).with_where(str(where, ".", printable(name)));
    }
    if (value.is_null()) continue;
    if (name == "audio") {
      return unsupported("is not supported: the model reads text only")
          .with_where(where + ".audio");
    }
    if (name == "function_call") {
      return unsupported("is not supported; use tool_calls").with_where(where + ".function_call");
    }
    if (name == "tool_calls" && role != "assistant") {
      return fail(where + ".tool_calls", "belongs to messages of the assistant only");
    }
    const bool text_only = name == "name" || name == "tool_call_id" || name == "refusal" ||
                           name == "reasoning_content" || name == "reasoning";
    if (text_only && value.as_string() == nullptr) {
      return at(wrong_value("a string", value), str(where, ".", name));
    }
  }
  if (role == "tool" && member(message, "tool_call_id") == nullptr) {
    return fail(where + ".tool_call_id", "must name the call that this message answers");
  }
  return ok_status();
}

Result<std::string> content_of(Value::Dict& message,
                               const std::string& role,
                               const std::string& where) {
  if (Value* content = member(message, "content")) {
    return content_text(*content, where + ".content");
  }
  if (Value* refusal = member(message, "refusal")) return *refusal->as_string();
  if (role == "assistant" && member(message, "tool_calls") != nullptr) return std::string();
  return fail(where + ".content",
              role == "assistant" ? "must be given unless there are tool_calls" : "must be given");
}

Result<Value> take_message(Value& value, const std::string& where) {
  Value::Dict* message = value.as_dict();
  if (message == nullptr) return at(wrong_value("an object", value), where);
  ASSIGN_OR_RETURN(std::string role, role_of(*message, where));
  RETURN_IF_ERROR(check_members(*message, role, where));
  ASSIGN_OR_RETURN(std::string content, content_of(*message, role, where));
  Value::Dict made;
  made.emplace_back("role", Value(std::move(role)));
  made.emplace_back("content", Value(std::move(content)));
  if (Value* calls = member(*message, "tool_calls")) {
    ASSIGN_OR_RETURN(Value made_calls, take_tool_calls(*calls, where + ".tool_calls"));
    if (!made_calls.as_list()->empty()) made.emplace_back("tool_calls", std::move(made_calls));
  }
  for (const char* name : {"name", "tool_call_id", "reasoning_content"}) {
    if (Value* text = member(*message, name)) made.emplace_back(name, std::move(*text));
  }
  // The newer name of the same thing.
  if (Value* text = member(*message, "reasoning");
      text != nullptr && member(*message, "reasoning_content") == nullptr) {
    made.emplace_back("reasoning_content", std::move(*text));
  }
  return Value(std::move(made));
}

}  // namespace

Result<Value> take_messages(Value& value) {
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of messages", value);
  if (list->empty()) return invalid_argument("must hold at least one message");
  if (list->size() > limits::kMessageCountMax) {
    return invalid_argument(str("holds ",
                                list->size(),
                                " messages, but at most ",
                                limits::kMessageCountMax,
                                " are accepted"));
  }
  Value::List made;
  made.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    ASSIGN_OR_RETURN(Value message, take_message((*list)[i], str("messages[", i, "]")));
    made.push_back(std::move(message));
  }
  return Value(std::move(made));
}

Result<Value> take_tools(Value& value) {
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of tools", value);
  if (list->size() > limits::kToolCountMax) {
    return invalid_argument(str(
        "holds ", list->size(), " tools, but at most ", limits::kToolCountMax, " are accepted"));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string where = str("tools[", i, "]");
    Value::Dict* tool = (*list)[i].as_dict();
    if (tool == nullptr) return at(wrong_value("an object", (*list)[i]), where);
    const Value* type = member(*tool, "type");
    if (type == nullptr || type->as_string() == nullptr || *type->as_string() != "function") {
      return fail(where + ".type", "must be \"function\"");
    }
    Value* function = member(*tool, "function");
    Value::Dict* members = function != nullptr ? function->as_dict() : nullptr;
    if (members == nullptr) return fail(where + ".function", "must be an object");
    const Value* name = member(*members, "name");
    if (name == nullptr || name->as_string() == nullptr || name->as_string()->empty()) {
      return fail(where + ".function.name", "must be a string that is not empty");
    }
    if (const Value* parameters = member(*members, "parameters");
        parameters != nullptr && parameters->as_dict() == nullptr) {
      return fail(where + ".function.parameters", "must be an object (a JSON schema)");
    }
  }
  return Value(std::move(*list));
}

}  // namespace inferneo::gateway::endpoints
