// Filters that apply another filter or a test to each item: map, select and its kin.
#include <array>
#include <utility>

#include "base/str.h"
#include "text/template/filters.h"
#include "text/template/operators.h"
#include "text/template/predicates.h"

namespace inferneo::text::jinja {
namespace {

// map(attribute="a.b", default=x).
Result<Object> map_attribute(Evaluation& evaluation,
                             const Object& input,
                             const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("map", arguments, {"attribute", "default"}, 1));
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation, input));
  const bool has_default = bound[1] && !bound[1]->is_none();
  for (Object& item : items) {
    ASSIGN_OR_RETURN(item, attribute_path(evaluation, item, *bound[0]));
    if (has_default && item.is_undefined()) item = *bound[1];
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(items));
}

Result<Object> map(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  if (arguments.positional.empty()) {
    if (arguments.named.empty()) return invalid_argument("map requires a filter argument");
    return map_attribute(evaluation, input, arguments);
  }
  const Text* name = arguments.positional[0].as_text();
  const Filter* filter = name ? find_filter(name->bytes) : nullptr;
  if (!filter) {
    return unsupported(str("no filter named '", name ? printable(name->bytes) : "", "'"));
  }
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
  rest.named = arguments.named;
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation, input));
  for (Object& item : items) {
    RETURN_IF_ERROR(evaluation.step());
    ASSIGN_OR_RETURN(item, filter->apply(evaluation, item, rest));
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(items));
}

struct Selection {
  bool keeps_true = true;
  bool by_attribute = false;
};

Result<Object> choose(Evaluation& evaluation,
                      const Object& input,
                      const Arguments& arguments,
                      Selection selection) {
  std::size_t used = 0;
  Object path;
  if (selection.by_attribute) {
    if (arguments.positional.empty()) {
      return invalid_argument("Missing parameter for attribute name");
    }
    path = arguments.positional[used++];
  }
  const Predicate* predicate = nullptr;
  if (used < arguments.positional.size()) {
    const Text* name = arguments.positional[used++].as_text();
    predicate = name ? find_predicate(name->bytes) : nullptr;
    if (!predicate) {
      return unsupported(str("no test named '", name ? printable(name->bytes) : "", "'"));
    }
  }
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(used),
                         arguments.positional.end());
  rest.named = arguments.named;
  ASSIGN_OR_RETURN(const std::vector<Object> items, iterate(evaluation, input));
  std::vector<Object> kept;
  for (const Object& item : items) {
    RETURN_IF_ERROR(evaluation.step());
    ASSIGN_OR_RETURN(const Object value, attribute_path(evaluation, item, path));
    bool holds = predicate ? false : truth(value);
    if (predicate) {
      ASSIGN_OR_RETURN(holds, predicate->holds(evaluation, value, rest));
    }
    if (holds == selection.keeps_true) kept.push_back(item);
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(kept));
}

Result<Object> select(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return choose(evaluation, input, arguments, {true, false});
}

Result<Object> reject(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return choose(evaluation, input, arguments, {false, false});
}

Result<Object> selectattr(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return choose(evaluation, input, arguments, {true, true});
}

Result<Object> rejectattr(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return choose(evaluation, input, arguments, {false, true});
}

constexpr auto kFilters = std::to_array<Filter>({
    {"map", map},
    {"reject", reject},
    {"rejectattr", rejectattr},
    {"select", select},
    {"selectattr", selectattr},
});

}  // namespace

std::span<const Filter> selection_filters() { return kFilters; }

}  // namespace inferneo::text::jinja
