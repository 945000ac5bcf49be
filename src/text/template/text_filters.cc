// Filters that make text.
#include <algorithm>
#include <array>
#include <utility>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/characters.h"
#include "text/template/filters.h"
#include "text/template/formatting.h"
#include "text/template/methods.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

constexpr std::int64_t kIndentMax = 1000;

Result<Object> call_text_method(Evaluation& evaluation,
                                const Object& input,
                                std::string_view method,
                                const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Object text, to_text(evaluation, input));
  return find_text_method(method)->call(evaluation, text, arguments);
}

Result<Object> upper(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return call_text_method(evaluation, input, "upper", arguments);
}

Result<Object> lower(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return call_text_method(evaluation, input, "lower", arguments);
}

Result<Object> capitalize_filter(Evaluation& evaluation,
                                 const Object& input,
                                 const Arguments& arguments) {
  return call_text_method(evaluation, input, "capitalize", arguments);
}

Result<Object> trim(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return call_text_method(evaluation, input, "strip", arguments);
}

Result<Object> center(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("center", arguments, {"width"}, 0));
  Arguments width;
  width.positional.push_back(bound[0].value_or(Object(std::int64_t{80})));
  return call_text_method(evaluation, input, "center", width);
}

// Spec: do_title of jinja2: words begin after white space and any of - ( { [ <.
Result<Object> title(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("title", arguments, {}, 0).status());
  ASSIGN_OR_RETURN(const Object object, to_text(evaluation, input));
  const Text& text = *object.as_text();
  const auto separates = [](char32_t c) {
    return is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
  };
  TextBuilder out(evaluation);
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.bytes.size();) {
    const bool at_end = at == text.bytes.size();
    const utf8::Decoded decoded = at_end ? utf8::Decoded() : utf8::decode(text.bytes, at);
    if (at_end || separates(decoded.code_point)) {
      out.append(capitalize(std::string_view(text.bytes).substr(begin, at - begin)));
      if (!at_end) out.append(std::string_view(text.bytes).substr(at, decoded.size));
      begin = at + decoded.size;
    }
    at += decoded.size;
  }
  return std::move(out).finish(text.safe);
}

Result<Object> replace(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("replace", arguments, {"old", "new", "count"}, 2));
  ASSIGN_OR_RETURN(const Object object, to_text(evaluation, input));
  ASSIGN_OR_RETURN(const Object before, to_text(evaluation, *bound[0]));
  ASSIGN_OR_RETURN(const Object after, to_text(evaluation, *bound[1]));
  std::int64_t count = -1;
  if (bound[2] && !bound[2]->is_none()) {
    ASSIGN_OR_RETURN(count, integer_argument("replace", *bound[2]));
  }
  // Without autoescaping the filter works on plain text.
  Text plain = *object.as_text();
  plain.safe = false;
  return replace_text(evaluation, plain, *before.as_text(), *after.as_text(), count);
}

Result<Object> string(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("string", arguments, {}, 0).status());
  return to_text(evaluation, input);
}

Result<Object> safe(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("safe", arguments, {}, 0).status());
  ASSIGN_OR_RETURN(const Object text, to_text(evaluation, input));
  RETURN_IF_ERROR(evaluation.work(text.as_text()->bytes.size()));
  return Object::text(text.as_text()->bytes, true);
}

Result<Object> escape_text(Evaluation& evaluation, const Object& input, bool keeps_safe) {
  ASSIGN_OR_RETURN(const Object object, to_text(evaluation, input));
  if (keeps_safe && object.as_text()->safe) return object;
  const std::string& text = object.as_text()->bytes;
  // Bound: one character becomes at most five.
  RETURN_IF_ERROR(evaluation.work(text.size() * 5));
  std::string escaped;
  append_escaped(escaped, text);
  return Object::text(std::move(escaped), true);
}

Result<Object> escape(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("escape", arguments, {}, 0).status());
  return escape_text(evaluation, input, true);
}

Result<Object> force_escape(Evaluation& evaluation,
                            const Object& input,
                            const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("forceescape", arguments, {}, 0).status());
  return escape_text(evaluation, input, false);
}

Result<Object> format(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Object text, to_text(evaluation, input));
  if (arguments.named.empty()) {
    ASSIGN_OR_RETURN(const Object values,
                     evaluation.make_sequence(SequenceKind::kTuple, arguments.positional));
    return format_percent(evaluation, *text.as_text(), values);
  }
  if (!arguments.positional.empty()) {
    return invalid_argument("can't handle positional and keyword arguments at the same time");
  }
  auto values = std::make_shared<Dict>();
  for (const auto& [name, value] : arguments.named) {
    values->insert(Object::text(name), str("s", name), value);
  }
  ASSIGN_OR_RETURN(const Object named, evaluation.make_dict(std::move(values)));
  return format_percent(evaluation, *text.as_text(), named);
}

// The indentation that an argument asks for: a width or the text itself.
Result<std::string> indentation(std::string_view function, const Object& width) {
  if (const Text* text = width.as_text()) return text->bytes;
  ASSIGN_OR_RETURN(const std::int64_t count, integer_argument(function, width));
  if (count > kIndentMax) return invalid_argument(str(function, "(): the indentation is too wide"));
  return std::string(static_cast<std::size_t>(std::max<std::int64_t>(count, 0)), ' ');
}

Result<Object> indent(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("indent", arguments, {"width", "first", "blank"}, 0));
  ASSIGN_OR_RETURN(const std::string margin,
                   indentation("indent", bound[0].value_or(Object(std::int64_t{4}))));
  const bool first = bound[1] && truth(*bound[1]);
  const bool blank = bound[2] && truth(*bound[2]);
  ASSIGN_OR_RETURN(const Text* text, text_argument("indent", input));
  RETURN_IF_ERROR(evaluation.work(text->bytes.size()));
  // The added line end makes an empty text one line and keeps an empty last line.
  const std::string ended = text->bytes + "\n";
  const std::vector<std::string_view> lines = split_lines(ended, false);
  TextBuilder out(evaluation);
  if (first) out.append(margin);
  for (std::size_t i = 0; i < lines.size() && out.ok(); ++i) {
    if (i > 0) {
      out.append('\n');
      if (blank || !lines[i].empty()) out.append(margin);
    }
    out.append(lines[i]);
  }
  return std::move(out).finish(text->safe);
}

// As transformers defines it: json.dumps(value, ensure_ascii, indent, separators, sort_keys).
Result<Object> tojson(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(
      const auto bound,
      bind_arguments(
          "tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0));
  JsonOptions options;
  options.ensure_ascii = bound[0] && truth(*bound[0]);
  options.sort_keys = bound[3] && truth(*bound[3]);
  if (bound[1] && !bound[1]->is_none()) {
    ASSIGN_OR_RETURN(options.indent, indentation("tojson", *bound[1]));
    options.item_separator = std::string(1, ',');
  }
  if (bound[2] && !bound[2]->is_none()) {
    ASSIGN_OR_RETURN(const std::vector<Object> separators, iterate(evaluation, *bound[2]));
    if (separators.size() != 2) return invalid_argument("tojson: separators must be a pair");
    ASSIGN_OR_RETURN(const Text* item, text_argument("tojson", separators[0]));
    ASSIGN_OR_RETURN(const Text* key, text_argument("tojson", separators[1]));
    options.item_separator = item->bytes;
    options.key_separator = key->bytes;
  }
  TextBuilder out(evaluation);
  append_json(out, input, options);
  return std::move(out).finish();
}

constexpr auto kFilters = std::to_array<Filter>({
    {"capitalize", capitalize_filter},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"lower", lower},
    {"replace", replace},
    {"safe", safe},
    {"string", string},
    {"title", title},
    {"tojson", tojson},
    {"trim", trim},
    {"upper", upper},
});

}  // namespace

std::span<const Filter> text_filters() { return kFilters; }

}  // namespace inferneo::text::jinja
