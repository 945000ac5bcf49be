#include "gateway/endpoints/tool_constraint.h"

#include <algorithm>

#include "base/str.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

bool is_strict(const Value& function) {
  const Value* strict = function.find("strict");
  return strict != nullptr && strict->as_bool() != nullptr && *strict->as_bool();
}

bool may_call(const ChatRequest& chat, const std::string& name) {
  const auto& names = chat.tool_names;
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

ToolCallForm call_form(const text::ToolFormat& format) {
  const text::CallShape& shape = format.shape;
  ToolCallForm form;
  form.list_begin = shape.open;
  form.begin = shape.begin;
  form.middle = shape.middle;
  form.end = shape.end;
  form.separator = shape.between;
  form.list_end = shape.close;
  form.arguments = shape.is_pythonic ? ToolArguments::kPythonic : ToolArguments::kJson;
  return form;
}

}  // namespace

Result<ConstraintPtr> tool_constraint(const manager::ServedModel& model,
                                      const ChatRequest& chat,
                                      const text::ToolFormat& format,
                                      bool calls_only) {
  const Value::List* tools = chat.prompt.tools.as_list();
  if (tools == nullptr) return ConstraintPtr();
  const bool is_forced = chat.tool_choice == ToolChoice::kRequired;
  ToolCallRules rules;
  rules.form = call_form(format);
  rules.text_allowed = !is_forced && !calls_only;
  rules.call_count_max = chat.parallel_tool_calls ? 0 : 1;
  bool any_strict = false;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const Value& function = *(*tools)[i].find("function");
    const std::string& name = *function.find("name")->as_string();
    if (!may_call(chat, name)) continue;
    any_strict = any_strict || is_strict(function);
    ToolSchema tool;
    tool.name = name;
    tool.field = str("tools[", i, "].function.parameters");
    // Of a tool that is neither forced nor strict any object is taken.
    const Value* parameters = function.find("parameters");
    if (parameters != nullptr && (is_forced || is_strict(function))) tool.parameters = *parameters;
    rules.tools.push_back(std::move(tool));
  }
  if (!is_forced && !any_strict && !calls_only) return ConstraintPtr();
  return compile_tool_calls(model, rules);
}

}  // namespace inferneo::gateway::endpoints
