// Truth, comparison, membership, iteration and subscripts.
#include "text/template/operators.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/str.h"
#include "text/template/characters.h"
#include "text/template/methods.h"

namespace inferneo::text::jinja {
namespace {

// Exact comparison of an integer with a float: -1, 0, 1, or 2 for NaN.
int order_integer_float(std::int64_t a, double b) {
  if (std::isnan(b)) return 2;
  if (b >= 0x1p63) return -1;
  if (b < -0x1p63) return 1;
  const double floor = std::floor(b);
  const auto whole = static_cast<std::int64_t>(floor);
  if (a != whole) return a < whole ? -1 : 1;
  return b > floor ? -1 : 0;
}

int order_floats(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : (a > b ? 1 : 0);
}

// Order of two numbers; empty when one is not a number.
std::optional<int> order_numbers(const Object& left, const Object& right) {
  const auto a = integer_of(left);
  const auto b = integer_of(right);
  if (a && b) return *a < *b ? -1 : (*a > *b ? 1 : 0);
  const double* x = left.as_double();
  const double* y = right.as_double();
  if (x && y) return order_floats(*x, *y);
  if (a && y) return order_integer_float(*a, *y);
  if (x && b) {
    const int order = order_integer_float(*b, *x);
    return order == 2 ? 2 : -order;
  }
  return std::nullopt;
}

Result<bool> equal_items(Evaluation& evaluation,
                         const std::vector<Object>& left,
                         const std::vector<Object>& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, left[i], right[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Evaluation& evaluation, const Dict& left, const Dict& right) {
  if (left.entries().size() != right.entries().size()) return false;
  for (const Dict::Entry& entry : left.entries()) {
    ASSIGN_OR_RETURN(const std::string key, Dict::canonical_key(entry.key));
    RETURN_IF_ERROR(evaluation.work(key.size()));
    const Object* other = right.find(key);
    if (!other) return false;
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, entry.value, *other));
    if (!same) return false;
  }
  return true;
}

bool holds(Ordering ordering, int order) {
  if (order == 2) return false;
  switch (ordering) {
    case Ordering::kLess:
      return order < 0;
    case Ordering::kLessEqual:
      return order <= 0;
    case Ordering::kGreater:
      return order > 0;
    case Ordering::kGreaterEqual:
      return order >= 0;
  }
  return false;
}

std::string_view symbol(Ordering ordering) {
  switch (ordering) {
    case Ordering::kLess:
      return "<";
    case Ordering::kLessEqual:
      return "<=";
    case Ordering::kGreater:
      return ">";
    case Ordering::kGreaterEqual:
      return ">=";
  }
  return "?";
}

Result<bool> compare_sequences(Evaluation& evaluation,
                               Ordering ordering,
                               const Sequence& left,
                               const Sequence& right) {
  const std::size_t shared = std::min(left.items.size(), right.items.size());
  for (std::size_t i = 0; i < shared; ++i) {
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, left.items[i], right.items[i]));
    if (!same) return compare(evaluation, ordering, left.items[i], right.items[i]);
  }
  const auto a = left.items.size();
  const auto b = right.items.size();
  return holds(ordering, a < b ? -1 : (a > b ? 1 : 0));
}

bool is_orderable(const Sequence& a, const Sequence& b) {
  return a.kind == b.kind && (a.kind == SequenceKind::kList || a.kind == SequenceKind::kTuple);
}

// Start, step and count of the items that a slice takes.
struct Steps {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::size_t count = 0;
};

// Spec: slice.indices() of Python.
Result<Steps> resolve(const SliceBounds& bounds, std::int64_t length) {
  Steps steps;
  steps.step = bounds.step.value_or(1);
  if (steps.step == 0) return invalid_argument("slice step cannot be zero");
  const bool backwards = steps.step < 0;
  const std::int64_t lower = backwards ? -1 : 0;
  const std::int64_t upper = backwards ? length - 1 : length;
  const auto clip = [&](std::int64_t bound) {
    if (bound < 0) return bound < -length ? lower : std::max(lower, bound + length);
    return std::min(bound, upper);
  };
  steps.start = bounds.start ? clip(*bounds.start) : (backwards ? upper : lower);
  const std::int64_t stop = bounds.stop ? clip(*bounds.stop) : (backwards ? lower : upper);
  const std::int64_t span = backwards ? steps.start - stop : stop - steps.start;
  if (span <= 0) return steps;
  // A step beyond the span takes one item; keeping it small avoids overflow.
  steps.step = std::clamp(steps.step, -length - 1, length + 1);
  steps.count = static_cast<std::size_t>((span - 1) / std::abs(steps.step) + 1);
  return steps;
}

Result<Object> slice_text(Evaluation& evaluation, const Text& text, const Steps& steps) {
  RETURN_IF_ERROR(evaluation.work(text.bytes.size()));
  if (steps.step == 1 && steps.count > 0) {
    const std::string_view bytes = text.bytes;
    const auto start = static_cast<std::size_t>(steps.start);
    const std::string_view tail = bytes.substr(text.is_ascii() ? start : offset_of(bytes, start));
    const std::size_t size = text.is_ascii() ? steps.count : offset_of(tail, steps.count);
    return Object::text(std::string(tail.substr(0, size)), text.safe);
  }
  const std::u32string characters = decode_characters(text.bytes);
  std::u32string taken;
  std::int64_t at = steps.start;
  for (std::size_t i = 0; i < steps.count; ++i, at += steps.step) {
    taken += characters[static_cast<std::size_t>(at)];
  }
  return Object::text(encode_characters(taken), text.safe);
}

Result<Object> slice_range(const Sequence& range,
                           const Steps& steps,
                           std::shared_ptr<Sequence> taken) {
  taken->kind = SequenceKind::kRange;
  taken->start = range.start + steps.start * range.step;
  taken->step = range.step * steps.step;
  taken->stop = taken->start + static_cast<std::int64_t>(steps.count) * taken->step;
  return Object(std::move(taken));
}

Result<Object> missing_item(const Object& object, const Object& index) {
  std::string what(type_name(object));
  what += object.is_none() ? "" : " object";
  if (object.is_none()) what = "None";
  if (const Text* name = index.as_text()) {
    return Object::undefined(str("'", what, "' has no attribute '", name->bytes, "'"));
  }
  std::string element = "that";
  if (const auto number = integer_of(index)) element = str(*number);
  return Object::undefined(str(what, " has no element ", element));
}

Result<Object> item_at(Evaluation& evaluation, const Text& text, std::int64_t index) {
  std::size_t offset = static_cast<std::size_t>(index);
  if (!text.is_ascii()) {
    RETURN_IF_ERROR(evaluation.work(text.bytes.size() / 8));
    offset = offset_of(text.bytes, offset);
  }
  const std::string_view tail = std::string_view(text.bytes).substr(offset);
  return Object::text(std::string(tail.substr(0, offset_of(tail, 1))), text.safe);
}

}  // namespace

bool truth(const Object& object) {
  if (object.is_none() || object.is_undefined()) return false;
  if (const bool* flag = object.as_bool()) return *flag;
  if (const std::int64_t* number = object.as_int()) return *number != 0;
  if (const double* number = object.as_double()) return *number != 0;
  if (const Text* text = object.as_text()) return !text->bytes.empty();
  if (const Dict* dict = object.as_dict()) return !dict->entries().empty();
  if (const Sequence* sequence = object.as_sequence()) {
    return sequence->kind == SequenceKind::kIterator || !sequence->items.empty();
  }
  return true;
}

Result<bool> equals(Evaluation& evaluation, const Object& left, const Object& right) {
  RETURN_IF_ERROR(evaluation.step());
  if (left.is_undefined() || right.is_undefined()) {
    return left.is_undefined() && right.is_undefined();
  }
  if (const auto order = order_numbers(left, right)) return *order == 0;
  const Text* a = left.as_text();
  const Text* b = right.as_text();
  if (a && b) {
    if (a->bytes.size() != b->bytes.size()) return false;
    RETURN_IF_ERROR(evaluation.work(a->bytes.size()));
    return a->bytes == b->bytes;
  }
  if (left.is_same(right)) return true;
  if (left.as_sequence() && right.as_sequence()) {
    const Sequence& x = *left.as_sequence();
    const Sequence& y = *right.as_sequence();
    if (x.kind != y.kind || x.kind == SequenceKind::kIterator) return false;
    return equal_items(evaluation, x.items, y.items);
  }
  if (left.as_dict() && right.as_dict()) {
    return equal_dicts(evaluation, *left.as_dict(), *right.as_dict());
  }
  return false;
}

Result<bool> compare(Evaluation& evaluation,
                     Ordering ordering,
                     const Object& left,
                     const Object& right) {
  RETURN_IF_ERROR(evaluation.step());
  if (left.is_undefined()) return undefined_error(left);
  if (right.is_undefined()) return undefined_error(right);
  if (const auto order = order_numbers(left, right)) return holds(ordering, *order);
  const Text* a = left.as_text();
  const Text* b = right.as_text();
  if (a && b) {
    RETURN_IF_ERROR(evaluation.work(std::min(a->bytes.size(), b->bytes.size())));
    return holds(ordering, a->bytes.compare(b->bytes) < 0 ? -1 : (a->bytes == b->bytes ? 0 : 1));
  }
  if (left.as_sequence() && right.as_sequence() &&
      is_orderable(*left.as_sequence(), *right.as_sequence())) {
    return compare_sequences(evaluation, ordering, *left.as_sequence(), *right.as_sequence());
  }
  return invalid_argument(str("'",
                              symbol(ordering),
                              "' not supported between instances of '",
                              type_name(left),
                              "' and '",
                              type_name(right),
                              "'"));
}

Result<bool> contains(Evaluation& evaluation, const Object& haystack, const Object& needle) {
  if (const Text* text = haystack.as_text()) {
    const Text* part = needle.as_text();
    if (!part) {
      return invalid_argument(
          str("'in <string>' requires string as left operand, not ", type_name(needle)));
    }
    RETURN_IF_ERROR(evaluation.work(text->bytes.size()));
    return find_bytes(text->bytes, part->bytes, 0) != std::string_view::npos;
  }
  if (const Dict* dict = haystack.as_dict()) {
    ASSIGN_OR_RETURN(const std::string key, Dict::canonical_key(needle));
    RETURN_IF_ERROR(evaluation.work(key.size()));
    return dict->find(key) != nullptr;
  }
  if (!haystack.as_sequence() && !haystack.is_undefined()) {
    return invalid_argument(
        str("argument of type '", type_name(haystack), "' is not a container or iterable"));
  }
  ASSIGN_OR_RETURN(const std::vector<Object> items, iterate(evaluation, haystack));
  for (const Object& item : items) {
    if (item.is_same(needle)) return true;
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, item, needle));
    if (same) return true;
  }
  return false;
}

Result<std::vector<Object>> iterate(Evaluation& evaluation, const Object& object) {
  std::vector<Object> items;
  if (Sequence* sequence = object.as_sequence()) {
    RETURN_IF_ERROR(evaluation.work(sequence->items.size() * sizeof(Object)));
    const auto from = static_cast<std::ptrdiff_t>(sequence->next);
    items.assign(sequence->items.begin() + from, sequence->items.end());
    if (sequence->kind == SequenceKind::kIterator) sequence->next = sequence->items.size();
    return items;
  }
  if (const Dict* dict = object.as_dict()) {
    RETURN_IF_ERROR(evaluation.work(dict->entries().size() * sizeof(Object)));
    for (const Dict::Entry& entry : dict->entries()) items.push_back(entry.key);
    return items;
  }
  if (const Text* text = object.as_text()) {
    RETURN_IF_ERROR(evaluation.work(text->length * (sizeof(Object) + sizeof(Text))));
    std::string_view rest = text->bytes;
    while (!rest.empty()) {
      const std::size_t size = offset_of(rest, 1);
      items.push_back(Object::text(std::string(rest.substr(0, size)), text->safe));
      rest.remove_prefix(size);
    }
    return items;
  }
  if (object.is_undefined()) return items;
  return invalid_argument(str("'", type_name(object), "' object is not iterable"));
}

Result<std::int64_t> length_of(const Object& object) {
  if (const Text* text = object.as_text()) return static_cast<std::int64_t>(text->length);
  if (const Dict* dict = object.as_dict()) return static_cast<std::int64_t>(dict->entries().size());
  if (object.is_undefined()) return std::int64_t{0};
  const Sequence* sequence = object.as_sequence();
  if (sequence && sequence->kind != SequenceKind::kIterator) {
    return static_cast<std::int64_t>(sequence->items.size());
  }
  if (const Loop* loop = object.as_loop()) {
    return static_cast<std::int64_t>(loop->items->items.size());
  }
  return invalid_argument(str("object of type '", type_name(object), "' has no len()"));
}

Result<Object> subscript(Evaluation& evaluation, const Object& object, const Object& index) {
  if (object.is_undefined()) return undefined_error(object);
  if (const Dict* dict = object.as_dict()) {
    if (const Text* name = index.as_text()) {
      if (const Object* value = dict->find_text(name->bytes)) return *value;
    } else if (const auto key = Dict::canonical_key(index)) {
      if (const Object* value = dict->find(*key)) return *value;
    }
  } else if (const auto number = integer_of(index)) {
    const Sequence* sequence = object.as_sequence();
    const bool is_indexed = sequence && (sequence->kind == SequenceKind::kList ||
                                         sequence->kind == SequenceKind::kTuple ||
                                         sequence->kind == SequenceKind::kRange);
    if (is_indexed || object.as_text()) {
      ASSIGN_OR_RETURN(const std::int64_t length, length_of(object));
      const std::int64_t at = *number < 0 ? *number + length : *number;
      if (at >= 0 && at < length) {
        if (is_indexed) return sequence->items[static_cast<std::size_t>(at)];
        return item_at(evaluation, *object.as_text(), at);
      }
    }
  }
  if (const Text* name = index.as_text()) {
    if (auto found = find_attribute(object, name->bytes)) return *std::move(found);
  }
  return missing_item(object, index);
}

Result<Object> attribute(Evaluation&, const Object& object, std::string_view name) {
  if (object.is_undefined()) return undefined_error(object);
  if (auto found = find_attribute(object, name)) return *std::move(found);
  if (const Dict* dict = object.as_dict()) {
    if (const Object* value = dict->find_text(name)) return *value;
  }
  return missing_item(object, Object::text(std::string(name)));
}

Result<std::optional<std::int64_t>> slice_bound(const Object& object) {
  if (object.is_none()) return std::optional<std::int64_t>();
  if (const auto number = integer_of(object)) return std::optional<std::int64_t>(number);
  return invalid_argument("slice indices must be integers or None");
}

Result<Object> slice(Evaluation& evaluation, const Object& object, const SliceBounds& bounds) {
  if (object.is_undefined()) return undefined_error(object);
  const Sequence* sequence = object.as_sequence();
  const bool is_sliced = sequence && (sequence->kind == SequenceKind::kList ||
                                      sequence->kind == SequenceKind::kTuple ||
                                      sequence->kind == SequenceKind::kRange);
  if (!is_sliced && !object.as_text()) {
    return invalid_argument(str("'", type_name(object), "' object cannot be sliced"));
  }
  ASSIGN_OR_RETURN(const std::int64_t length, length_of(object));
  ASSIGN_OR_RETURN(const Steps steps, resolve(bounds, length));
  if (const Text* text = object.as_text()) return slice_text(evaluation, *text, steps);
  std::vector<Object> items;
  std::int64_t at = steps.start;
  RETURN_IF_ERROR(evaluation.work(steps.count * sizeof(Object)));
  for (std::size_t i = 0; i < steps.count; ++i, at += steps.step) {
    items.push_back(sequence->items[static_cast<std::size_t>(at)]);
  }
  ASSIGN_OR_RETURN(Object taken, evaluation.make_sequence(sequence->kind, std::move(items)));
  if (sequence->kind == SequenceKind::kRange) {
    return slice_range(*sequence, steps, taken.sequence());
  }
  return taken;
}

}  // namespace inferneo::text::jinja
