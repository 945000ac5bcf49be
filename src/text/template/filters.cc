#include "text/template/filters.h"

#include "text/template/operators.h"

namespace inferneo::text::jinja {

const Filter* find_filter(std::string_view name) {
  for (const auto table :
       {text_filters(), number_filters(), sequence_filters(), selection_filters()}) {
    for (const Filter& filter : table) {
      if (filter.name == name) return &filter;
    }
  }
  return nullptr;
}

Result<Object> attribute_path(Evaluation& evaluation, Object item, const Object& path) {
  const Text* text = path.as_text();
  if (!text) return path.is_none() ? Result<Object>(item) : subscript(evaluation, item, path);
  std::string_view rest = text->bytes;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    RETURN_IF_ERROR(evaluation.step());
    Object index = Object::text(std::string(part));
    if (!part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == part.npos) {
      std::int64_t number = 0;
      for (const char digit : part) number = number * 10 + (digit - '0');
      index = Object(number);
    }
    ASSIGN_OR_RETURN(item, subscript(evaluation, item, index));
    if (dot == rest.npos) return item;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace inferneo::text::jinja
