#include "gateway/endpoints/anthropic/blocks.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/field.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints::anthropic {
namespace {

using text::Value;

Status fail(std::string where, std::string_view what) {
  return invalid_argument(std::string(what)).with_where(std::move(where));
}

Status wrong_at(std::string_view expected, const Value& value, std::string where) {
  return wrong_value(expected, value).with_where(std::move(where));
}

// The text of a member that must be a string.
Result<std::string> text_member(const Value& block,
                                std::string_view name,
                                const std::string& where) {
  const Value* member = block.find(name);
  const std::string* text = member != nullptr ? member->as_string() : nullptr;
  if (text == nullptr) return fail(str(where, ".", name), "must be a string");
  return *text;
}

Result<std::string> type_of(const Value& block, const std::string& where) {
  if (block.as_dict() == nullptr) return wrong_at("an object with a type", block, where);
  return text_member(block, "type", where);
}

Status unknown_type(const std::string& type, std::string_view known, const std::string& where) {
  for (const std::string_view media : {"image", "document", "file", "audio"}) {
    if (type == media) {
      return unsupported(str("is of type '", type, "', but the model reads text only"))
          .with_where(where + ".type");
    }
  }
  return fail(where + ".type", str("must be ", known, ", but is '", printable(type), "'"));
}

void append_line(std::string& out, std::string_view text) {
  if (!out.empty()) out += '\n';
  out += text;
}

Value message_of(std::string_view role, std::string content) {
  Value::Dict message;
  message.emplace_back("role", Value(role));
  message.emplace_back("content", Value(std::move(content)));
  return Value(std::move(message));
}

// What a message's blocks amount to.
class MessageBuilder {
 public:
  MessageBuilder(std::string role, Value::List& out) : role_(std::move(role)), out_(out) {}

  Status add(Value& block, const std::string& where) {
    ASSIGN_OR_RETURN(const std::string type, type_of(block, where));
    if (type == "text") {
      ASSIGN_OR_RETURN(const std::string text, text_member(block, "text", where));
      append_line(text_, text);
      has_text_ = true;
      return ok_status();
    }
    if (role_ == "user" && type == "tool_result") return add_result(block, where);
    if (role_ == "assistant" && type == "tool_use") return add_call(block, where);
    if (role_ == "assistant" && type == "thinking") {
      ASSIGN_OR_RETURN(const std::string thinking, text_member(block, "thinking", where));
      append_line(reasoning_, thinking);
      return ok_status();
    }
    // Encrypted for another model; nothing here can read it.
    if (role_ == "assistant" && type == "redacted_thinking") return ok_status();
    return unknown_type(
        type,
        role_ == "user" ? "\"text\" or \"tool_result\"" : "\"text\", \"tool_use\" or \"thinking\"",
        where);
  }

  // Appends the message of what is left.
  void finish() {
    if (!has_text_ && calls_.empty() && reasoning_.empty()) return;
    Value message = message_of(role_, std::move(text_));
    if (!calls_.empty()) message.set("tool_calls", Value(std::move(calls_)));
    if (!reasoning_.empty()) message.set("reasoning_content", Value(std::move(reasoning_)));
    out_.push_back(std::move(message));
  }

 private:
  Status add_result(Value& block, const std::string& where) {
    ASSIGN_OR_RETURN(const std::string id, text_member(block, "tool_use_id", where));
    std::string content;
    for (auto& [name, value] : *block.as_dict()) {
      if (name != "content" || value.is_null()) continue;
      ASSIGN_OR_RETURN(content, join_text(value, where + ".content"));
    }
    const Value* is_error = block.find("is_error");
    if (is_error != nullptr && is_error->as_bool() != nullptr && *is_error->as_bool()) {
      content = "Error: " + content;
    }
    // Text before the result belongs before it.
    finish();
    text_.clear();
    has_text_ = false;
    Value message = message_of("tool", std::move(content));
    message.set("tool_call_id", Value(id));
    out_.push_back(std::move(message));
    return ok_status();
  }

  Status add_call(Value& block, const std::string& where) {
    ASSIGN_OR_RETURN(std::string id, text_member(block, "id", where));
    ASSIGN_OR_RETURN(std::string name, text_member(block, "name", where));
    const Value* input = block.find("input");
    if (input == nullptr || input->as_dict() == nullptr) {
      return fail(where + ".input", "must be an object");
    }
    Value function;
    function.set("name", Value(std::move(name)));
    function.set("arguments", Value(text::to_json(*input)));
    Value call;
    call.set("id", Value(std::move(id)));
    call.set("type", Value("function"));
    call.set("function", std::move(function));
    calls_.push_back(std::move(call));
    return ok_status();
  }

  const std::string role_;
  Value::List& out_;
  std::string text_;
  bool has_text_ = false;
  std::string reasoning_;
  Value::List calls_;
};

Status translate_message(Value& value, const std::string& where, Value::List& out) {
  Value::Dict* message = value.as_dict();
  if (message == nullptr) return wrong_at("an object", value, where);
  for (const auto& [name, member] : *message) {
    if (name != "role" && name != "content" && name != "cache_control") {
      return fail(str(where, ".", printable(name)), "is not a field of a message");
    }
  }
  ASSIGN_OR_RETURN(const std::string role, text_member(value, "role", where));
  if (role != "user" && role != "assistant") {
    return fail(where + ".role",
                str("must be \"user\" or \"assistant\", but is '", printable(role), "'"));
  }
  Value* content = nullptr;
  for (auto& [name, member] : *message) {
    if (name == "content") content = &member;
  }
  if (content == nullptr) return fail(where + ".content", "must be given");
  if (const std::string* text = content->as_string()) {
    out.push_back(message_of(role, *text));
    return ok_status();
  }
  Value::List* blocks = content->as_list();
  if (blocks == nullptr) {
    return wrong_at("a string or a list of blocks", *content, where + ".content");
  }
  MessageBuilder builder(role, out);
  for (std::size_t i = 0; i < blocks->size(); ++i) {
    RETURN_IF_ERROR(builder.add((*blocks)[i], str(where, ".content[", i, "]")));
  }
  builder.finish();
  return ok_status();
}

Result<Value> translate_tool(Value& value, const std::string& where) {
  if (value.as_dict() == nullptr) return wrong_at("an object", value, where);
  if (const Value* type = value.find("type");
      type != nullptr && !type->is_null() &&
      (type->as_string() == nullptr || *type->as_string() != "custom")) {
    return unsupported("is not supported: tools run at the client, of the type \"custom\"")
        .with_where(where + ".type");
  }
  ASSIGN_OR_RETURN(std::string name, text_member(value, "name", where));
  if (name.empty()) return fail(where + ".name", "must not be empty");
  const Value* schema = value.find("input_schema");
  if (schema == nullptr || schema->as_dict() == nullptr) {
    return fail(where + ".input_schema", "must be an object (a JSON schema)");
  }
  Value function;
  function.set("name", Value(std::move(name)));
  if (const Value* description = value.find("description")) {
    if (!description->is_null()) function.set("description", *description);
  }
  function.set("parameters", *schema);
  if (const Value* strict = value.find("strict")) {
    if (!strict->is_null()) function.set("strict", *strict);
  }
  Value tool;
  tool.set("type", Value("function"));
  tool.set("function", std::move(function));
  return tool;
}

}  // namespace

Result<std::string> join_text(Value& value, const std::string& where) {
  if (const std::string* text = value.as_string()) return *text;
  const Value::List* blocks = value.as_list();
  if (blocks == nullptr) return wrong_at("a string or a list of text blocks", value, where);
  std::string joined;
  for (std::size_t i = 0; i < blocks->size(); ++i) {
    const std::string place = str(where, "[", i, "]");
    ASSIGN_OR_RETURN(const std::string type, type_of((*blocks)[i], place));
    if (type != "text") return unknown_type(type, "\"text\"", place);
    ASSIGN_OR_RETURN(const std::string text, text_member((*blocks)[i], "text", place));
    append_line(joined, text);
  }
  return joined;
}

Result<Value> translate_messages(Value& value) {
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
  Value::List out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    RETURN_IF_ERROR(translate_message((*list)[i], str("messages[", i, "]"), out));
  }
  if (out.empty()) return invalid_argument("hold no text");
  return Value(std::move(out));
}

Result<Value> translate_tools(Value& value) {
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of tools", value);
  if (list->size() > limits::kToolCountMax) {
    return invalid_argument(str(
        "holds ", list->size(), " tools, but at most ", limits::kToolCountMax, " are accepted"));
  }
  Value::List tools;
  for (std::size_t i = 0; i < list->size(); ++i) {
    ASSIGN_OR_RETURN(Value tool, translate_tool((*list)[i], str("tools[", i, "]")));
    tools.push_back(std::move(tool));
  }
  return Value(std::move(tools));
}

}  // namespace inferneo::gateway::endpoints::anthropic
