// Filters on lists, dicts and other iterables as a whole.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/str.h"
#include "text/template/characters.h"
#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

bool flag(const std::optional<Object>& argument) { return argument && truth(*argument); }

Result<Object> default_value(Evaluation&, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("default", arguments, {"default_value", "boolean"}, 0));
  if (input.is_undefined() || (flag(bound[1]) && !truth(input))) {
    return bound[0].value_or(Object::text(""));
  }
  return input;
}

Result<Object> length(Evaluation&, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("length", arguments, {}, 0).status());
  ASSIGN_OR_RETURN(const std::int64_t count, length_of(input));
  return Object(count);
}

Result<Object> first(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("first", arguments, {}, 0).status());
  Sequence* sequence = input.as_sequence();
  if (sequence && sequence->next < sequence->items.size()) {
    const std::size_t at = sequence->next;
    if (sequence->kind == SequenceKind::kIterator) ++sequence->next;
    return sequence->items[at];
  }
  ASSIGN_OR_RETURN(const std::vector<Object> items, iterate(evaluation, input));
  if (!items.empty()) return items.front();
  return Object::undefined("No first item, sequence was empty.");
}

Result<Object> last(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("last", arguments, {}, 0).status());
  const Sequence* sequence = input.as_sequence();
  if (input.is_undefined()) return undefined_error(input);
  if (sequence && sequence->kind == SequenceKind::kIterator) {
    return invalid_argument("'generator' object is not reversible");
  }
  if (sequence && !sequence->items.empty()) return sequence->items.back();
  ASSIGN_OR_RETURN(const std::vector<Object> items, iterate(evaluation, input));
  if (!items.empty()) return items.back();
  return Object::undefined("No last item, sequence was empty.");
}

Result<Object> list(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("list", arguments, {}, 0).status());
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation, input));
  return evaluation.make_sequence(SequenceKind::kList, std::move(items));
}

Result<Object> join(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("join", arguments, {"d", "attribute"}, 0));
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation, input));
  Text separator;
  if (bound[0]) {
    ASSIGN_OR_RETURN(const Object text, to_text(evaluation, *bound[0]));
    separator.bytes = text.as_text()->bytes;
  }
  for (Object& item : items) {
    if (bound[1]) {
      ASSIGN_OR_RETURN(item, attribute_path(evaluation, item, *bound[1]));
    }
    ASSIGN_OR_RETURN(item, to_text(evaluation, item));
  }
  return join_with(evaluation, separator, items);
}

Result<Object> items(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("items", arguments, {}, 0).status());
  if (input.is_undefined()) return evaluation.make_sequence(SequenceKind::kIterator, {});
  if (!input.as_dict()) return invalid_argument("Can only get item pairs from a mapping.");
  ASSIGN_OR_RETURN(const Object view,
                   find_dict_method("items")->call(evaluation, input, Arguments()));
  return evaluation.make_sequence(SequenceKind::kIterator, view.as_sequence()->items);
}

Result<Object> ignore_case(Evaluation& evaluation, const Object& value, bool case_sensitive) {
  if (case_sensitive || !value.as_text()) return value;
  RETURN_IF_ERROR(evaluation.work(value.as_text()->bytes.size()));
  return Object::text(to_lower(value.as_text()->bytes));
}

struct Keyed {
  Object key;
  Object value;
};

// A stable merge sort. Why not std::stable_sort: comparisons can fail, and those of NaN are no
// order at all.
Status sort_by_key(Evaluation& evaluation, std::vector<Keyed>& entries, bool reverse) {
  std::vector<Keyed> merged(entries.size());
  for (std::size_t width = 1; width < entries.size(); width *= 2) {
    for (std::size_t begin = 0; begin < entries.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, entries.size());
      const std::size_t end = std::min(begin + 2 * width, entries.size());
      std::size_t left = begin;
      std::size_t right = middle;
      for (std::size_t at = begin; at < end; ++at) {
        bool takes_right = left == middle;
        if (!takes_right && right < end) {
          ASSIGN_OR_RETURN(takes_right,
                           compare(evaluation,
                                   reverse ? Ordering::kGreater : Ordering::kLess,
                                   entries[right].key,
                                   entries[left].key));
        }
        merged[at] = std::move(entries[takes_right ? right++ : left++]);
      }
    }
    std::swap(entries, merged);
  }
  return ok_status();
}

Result<Object> values_of(Evaluation& evaluation, std::vector<Keyed> entries) {
  std::vector<Object> values;
  values.reserve(entries.size());
  for (Keyed& entry : entries) values.push_back(std::move(entry.value));
  return evaluation.make_sequence(SequenceKind::kList, std::move(values));
}

Result<Object> dictsort(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("dictsort", arguments, {"case_sensitive", "by", "reverse"}, 0));
  bool by_value = false;
  if (bound[1]) {
    const Text* by = bound[1]->as_text();
    if (!by || (by->bytes != "key" && by->bytes != "value")) {
      return invalid_argument("You can only sort by either \"key\" or \"value\"");
    }
    by_value = by->bytes == "value";
  }
  const Dict* dict = input.as_dict();
  if (!dict) return invalid_argument(str("dictsort: '", type_name(input), "' is no mapping"));
  std::vector<Keyed> entries;
  for (const Dict::Entry& entry : dict->entries()) {
    ASSIGN_OR_RETURN(Object key,
                     ignore_case(evaluation, by_value ? entry.value : entry.key, flag(bound[0])));
    ASSIGN_OR_RETURN(Object pair,
                     evaluation.make_sequence(SequenceKind::kTuple, {entry.key, entry.value}));
    entries.push_back({std::move(key), std::move(pair)});
  }
  RETURN_IF_ERROR(sort_by_key(evaluation, entries, flag(bound[2])));
  return values_of(evaluation, std::move(entries));
}

// The key of an item for sort: the value of one attribute, or a list for several with commas.
Result<Object> sort_key(Evaluation& evaluation,
                        const Object& item,
                        const std::optional<Object>& attribute,
                        bool case_sensitive) {
  const Text* names = attribute ? attribute->as_text() : nullptr;
  if (!names || names->bytes.find(',') == std::string::npos) {
    ASSIGN_OR_RETURN(const Object key,
                     attribute_path(evaluation, item, attribute.value_or(Object())));
    return ignore_case(evaluation, key, case_sensitive);
  }
  std::vector<Object> keys;
  std::string_view rest = names->bytes;
  while (true) {
    const std::size_t comma = rest.find(',');
    ASSIGN_OR_RETURN(
        const Object key,
        attribute_path(evaluation, item, Object::text(std::string(rest.substr(0, comma)))));
    ASSIGN_OR_RETURN(Object folded, ignore_case(evaluation, key, case_sensitive));
    keys.push_back(std::move(folded));
    if (comma == rest.npos) break;
    rest.remove_prefix(comma + 1);
  }
  return evaluation.make_sequence(SequenceKind::kList, std::move(keys));
}

Result<Object> sort(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(
      const auto bound,
      bind_arguments("sort", arguments, {"reverse", "case_sensitive", "attribute"}, 0));
  ASSIGN_OR_RETURN(std::vector<Object> values, iterate(evaluation, input));
  std::vector<Keyed> entries;
  for (Object& value : values) {
    ASSIGN_OR_RETURN(Object key, sort_key(evaluation, value, bound[2], flag(bound[1])));
    entries.push_back({std::move(key), std::move(value)});
  }
  RETURN_IF_ERROR(sort_by_key(evaluation, entries, flag(bound[0])));
  return values_of(evaluation, std::move(entries));
}

Result<Object> unique(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("unique", arguments, {"case_sensitive", "attribute"}, 0));
  ASSIGN_OR_RETURN(const std::vector<Object> values, iterate(evaluation, input));
  std::set<std::string> seen;
  std::vector<Object> kept;
  for (const Object& value : values) {
    ASSIGN_OR_RETURN(const Object found,
                     attribute_path(evaluation, value, bound[1].value_or(Object())));
    ASSIGN_OR_RETURN(const Object key, ignore_case(evaluation, found, flag(bound[0])));
    ASSIGN_OR_RETURN(std::string canonical, Dict::canonical_key(key));
    RETURN_IF_ERROR(evaluation.work(canonical.size()));
    if (seen.insert(std::move(canonical)).second) kept.push_back(value);
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(kept));
}

Result<Object> reverse(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("reverse", arguments, {}, 0).status());
  if (input.as_text()) return slice(evaluation, input, {std::nullopt, std::nullopt, -1});
  ASSIGN_OR_RETURN(std::vector<Object> values, iterate(evaluation, input));
  std::reverse(values.begin(), values.end());
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(values));
}

Result<Object> sum(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("sum", arguments, {"attribute", "start"}, 0));
  ASSIGN_OR_RETURN(const std::vector<Object> values, iterate(evaluation, input));
  Object total = bound[1].value_or(Object(std::int64_t{0}));
  if (total.as_text())
    return invalid_argument("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Object& value : values) {
    ASSIGN_OR_RETURN(const Object term,
                     attribute_path(evaluation, value, bound[0].value_or(Object())));
    RETURN_IF_ERROR(evaluation.step());
    ASSIGN_OR_RETURN(total, apply_binary(evaluation, BinaryOperator::kAdd, total, term));
  }
  return total;
}

Result<Object> extreme(Evaluation& evaluation,
                       const Object& input,
                       const Arguments& arguments,
                       Ordering better) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("min", arguments, {"case_sensitive", "attribute"}, 0));
  ASSIGN_OR_RETURN(const std::vector<Object> values, iterate(evaluation, input));
  if (values.empty()) return Object::undefined("No aggregated item, sequence was empty.");
  std::optional<Keyed> best;
  for (const Object& value : values) {
    ASSIGN_OR_RETURN(const Object found,
                     attribute_path(evaluation, value, bound[1].value_or(Object())));
    ASSIGN_OR_RETURN(Object key, ignore_case(evaluation, found, flag(bound[0])));
    if (best) {
      ASSIGN_OR_RETURN(const bool wins, compare(evaluation, better, key, best->key));
      if (!wins) continue;
    }
    best = Keyed{std::move(key), value};
  }
  return best->value;
}

Result<Object> min(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return extreme(evaluation, input, arguments, Ordering::kLess);
}

Result<Object> max(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return extreme(evaluation, input, arguments, Ordering::kGreater);
}

Result<std::int64_t> part_count(std::string_view filter, const Object& argument) {
  ASSIGN_OR_RETURN(const std::int64_t count, integer_argument(filter, argument));
  if (count < 1) return invalid_argument(str(filter, "(): the count must be positive"));
  if (count > limits::kTemplateRangeCountMax) {
    return resource_exhausted(str(filter, "(): the count is too large"));
  }
  return count;
}

Result<Object> batch(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("batch", arguments, {"linecount", "fill_with"}, 1));
  ASSIGN_OR_RETURN(const std::int64_t count, part_count("batch", *bound[0]));
  ASSIGN_OR_RETURN(const std::vector<Object> values, iterate(evaluation, input));
  const auto size = static_cast<std::size_t>(count);
  std::vector<Object> batches;
  for (std::size_t at = 0; at < values.size(); at += size) {
    const std::size_t end = std::min(at + size, values.size());
    std::vector<Object> row(values.begin() + static_cast<std::ptrdiff_t>(at),
                            values.begin() + static_cast<std::ptrdiff_t>(end));
    if (bound[1] && !bound[1]->is_none()) row.resize(size, *bound[1]);
    ASSIGN_OR_RETURN(Object made, evaluation.make_sequence(SequenceKind::kList, std::move(row)));
    batches.push_back(std::move(made));
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(batches));
}

// Spec: do_slice of jinja2: the first columns take one item more when it does not come out even.
Result<Object> slice_columns(Evaluation& evaluation,
                             const Object& input,
                             const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("slice", arguments, {"slices", "fill_with"}, 1));
  ASSIGN_OR_RETURN(const std::int64_t count, part_count("slice", *bound[0]));
  ASSIGN_OR_RETURN(const std::vector<Object> values, iterate(evaluation, input));
  const auto column_count = static_cast<std::size_t>(count);
  const std::size_t size = values.size() / column_count;
  const std::size_t longer = values.size() % column_count;
  std::vector<Object> columns;
  std::size_t at = 0;
  for (std::size_t i = 0; i < column_count; ++i) {
    const std::size_t end = at + size + (i < longer ? 1 : 0);
    std::vector<Object> column(values.begin() + static_cast<std::ptrdiff_t>(at),
                               values.begin() + static_cast<std::ptrdiff_t>(end));
    if (bound[1] && !bound[1]->is_none() && i >= longer) column.push_back(*bound[1]);
    ASSIGN_OR_RETURN(Object made, evaluation.make_sequence(SequenceKind::kList, std::move(column)));
    columns.push_back(std::move(made));
    at = end;
  }
  return evaluation.make_sequence(SequenceKind::kIterator, std::move(columns));
}

constexpr auto kFilters = std::to_array<Filter>({
    {"batch", batch},
    {"count", length},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dictsort},
    {"first", first},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length},
    {"list", list},
    {"max", max},
    {"min", min},
    {"reverse", reverse},
    {"slice", slice_columns},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
});

}  // namespace

std::span<const Filter> sequence_filters() { return kFilters; }

}  // namespace inferneo::text::jinja
