#include "gateway/endpoints/reply_format.h"

#include <algorithm>
#include <optional>

#include "base/str.h"

namespace inferneo::gateway::endpoints {
namespace {

struct Entry {
  std::string_view model;  // empty: all
  std::string_view format;
};

Entry split(std::string_view entry) {
  const std::size_t equals = entry.rfind('=');
  if (equals == std::string_view::npos) return {.model = {}, .format = entry};
  return {.model = entry.substr(0, equals), .format = entry.substr(equals + 1)};
}

// The format that the configuration names for a model; "auto" when it names none.
std::string_view configured(const std::vector<std::string>& entries, std::string_view model) {
  std::string_view found = "auto";
  for (const std::string& text : entries) {
    const Entry entry = split(text);
    if (entry.model == model) return entry.format;
    if (entry.model.empty()) found = entry.format;
  }
  return found;
}

template <typename Formats>
Status check(const std::vector<std::string>& entries,
             std::string_view key,
             const Formats& formats,
             std::string_view more) {
  for (const std::string& text : entries) {
    const std::string_view name = split(text).format;
    if (name == "auto" || (!more.empty() && name == more)) continue;
    std::string known = str("auto", more.empty() ? "" : ", ", more);
    bool is_known = false;
    for (const auto* format : formats) {
      is_known = is_known || format->name == name;
      known += str(", ", format->name);
    }
    if (is_known) continue;
    return invalid_argument(str("'", printable(text), "' names no format"))
        .with_where(std::string(key))
        .with_hint(str("the formats are ", known, "; MODEL=FORMAT chooses for one model"));
  }
  return ok_status();
}

std::string_view template_source(const manager::ServedModel& model) {
  return model.chat_template == nullptr ? std::string_view() : model.chat_template->source();
}

bool is_special(std::string_view mark, const text::Tokenizer& tokenizer) {
  const std::optional<TokenId> id = tokenizer.find_token(mark);
  return id && tokenizer.is_special(*id);
}

}  // namespace

Status check_reply_formats(const ReplyFormatChoice& choice) {
  RETURN_IF_ERROR(check(choice.tools, "tool_format", text::tool_formats(), ""));
  return check(choice.reasoning, "reasoning_format", text::reasoning_formats(), "none");
}

const text::ToolFormat* tool_format_of(const ReplyFormatChoice& choice,
                                       const manager::ServedModel& model) {
  const text::ToolFormat* format = text::find_tool_format(configured(choice.tools, model.name));
  return format != nullptr ? format : text::choose_tool_format(template_source(model));
}

const text::ReasoningFormat* reasoning_format_of(const ReplyFormatChoice& choice,
                                                 const manager::ServedModel& model) {
  const std::string_view name = configured(choice.reasoning, model.name);
  if (name == "none") return nullptr;
  const text::ReasoningFormat* format = text::find_reasoning_format(name);
  return format != nullptr ? format : text::choose_reasoning_format(template_source(model));
}

bool has_special_marks(const text::ToolFormat* tools,
                       const text::ReasoningFormat* reasoning,
                       const text::Tokenizer& tokenizer) {
  if (reasoning != nullptr &&
      (is_special(reasoning->begin, tokenizer) || is_special(reasoning->end, tokenizer))) {
    return true;
  }
  return tools != nullptr &&
         std::any_of(tools->marks.begin(), tools->marks.end(), [&](std::string_view mark) {
           return is_special(mark, tokenizer);
         });
}

}  // namespace inferneo::gateway::endpoints
