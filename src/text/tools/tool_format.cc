#include "text/tools/tool_format.h"

#include "text/json.h"

namespace inferneo::text {

const ToolFormat* find_tool_format(std::string_view name) {
  for (const ToolFormat* format : tool_formats()) {
    if (format->name == name) return format;
  }
  return nullptr;
}

const ToolFormat* choose_tool_format(std::string_view template_source) {
  const ToolFormat* best = nullptr;
  int best_score = 0;
  for (const ToolFormat* format : tool_formats()) {
    const int score = format->score(template_source);
    if (score > best_score) {
      best = format;
      best_score = score;
    }
  }
  return best;
}

const Value* find_tool_function(const Value* tools, std::string_view name) {
  const Value::List* list = tools == nullptr ? nullptr : tools->as_list();
  if (list == nullptr) return nullptr;
  for (const Value& tool : *list) {
    const Value* function = tool.find("function");
    const Value* function_name = function == nullptr ? nullptr : function->find("name");
    if (function_name == nullptr || function_name->as_string() == nullptr) continue;
    if (*function_name->as_string() == name) return function;
  }
  return nullptr;
}

std::string describe_tools(const Value& tools) {
  std::string out = "You can call these tools:\n";
  for (const Value& tool : *tools.as_list()) {
    const Value* function = tool.find("function");
    out += to_json(function == nullptr ? tool : *function);
    out += '\n';
  }
  out +=
      "\nTo call a tool, reply with:\n<tool_call>\n"
      "{\"name\": <name>, \"arguments\": <arguments>}\n</tool_call>";
  return out;
}

}  // namespace inferneo::text
