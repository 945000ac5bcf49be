// Methods of dicts, lists, tuples and ranges.
#include <array>
#include <utility>

#include "base/str.h"
#include "text/template/methods.h"
#include "text/template/operators.h"

namespace inferneo::text::jinja {
namespace {

Result<Object> dict_view(Evaluation& evaluation,
                         const Object& self,
                         SequenceKind kind,
                         const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("dict view", arguments, {}, 0).status());
  std::vector<Object> items;
  for (const Dict::Entry& entry : self.as_dict()->entries()) {
    if (kind == SequenceKind::kKeys) {
      items.push_back(entry.key);
    } else if (kind == SequenceKind::kValues) {
      items.push_back(entry.value);
    } else {
      ASSIGN_OR_RETURN(Object pair,
                       evaluation.make_sequence(SequenceKind::kTuple, {entry.key, entry.value}));
      items.push_back(std::move(pair));
    }
  }
  return evaluation.make_sequence(kind, std::move(items));
}

Result<Object> dict_keys(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  return dict_view(evaluation, self, SequenceKind::kKeys, arguments);
}

Result<Object> dict_values(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  return dict_view(evaluation, self, SequenceKind::kValues, arguments);
}

Result<Object> dict_items(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  return dict_view(evaluation, self, SequenceKind::kItems, arguments);
}

Result<Object> dict_get(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  if (!arguments.named.empty()) return invalid_argument("get() takes no keyword arguments");
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("get", arguments, {"key", "default"}, 1));
  ASSIGN_OR_RETURN(const std::string key, Dict::canonical_key(*bound[0]));
  RETURN_IF_ERROR(evaluation.work(key.size()));
  if (const Object* value = self.as_dict()->find(key)) return *value;
  return bound[1].value_or(Object());
}

Result<Object> dict_copy(Evaluation&, const Object& self, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("copy", arguments, {}, 0).status());
  return self;
}

Result<Object> sequence_copy(Evaluation&, const Object& self, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("copy", arguments, {}, 0).status());
  return self;
}

Result<Object> sequence_count(Evaluation& evaluation,
                              const Object& self,
                              const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("count", arguments, {"value"}, 1));
  std::int64_t count = 0;
  for (const Object& item : self.as_sequence()->items) {
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, item, *bound[0]));
    count += same ? 1 : 0;
  }
  return Object(count);
}

Result<Object> sequence_index(Evaluation& evaluation,
                              const Object& self,
                              const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("index", arguments, {"value"}, 1));
  const std::vector<Object>& items = self.as_sequence()->items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, items[i], *bound[0]));
    if (same) return Object(static_cast<std::int64_t>(i));
  }
  return invalid_argument(str("value is not in the ", type_name(self)));
}

constexpr std::array<Method, 6> kDictMethods = {{
    {"copy", dict_copy},
    {"fromkeys", nullptr},
    {"get", dict_get},
    {"items", dict_items},
    {"keys", dict_keys},
    {"values", dict_values},
}};

constexpr std::array<Method, 2> kSequenceMethods = {{
    {"count", sequence_count},
    {"index", sequence_index},
}};

constexpr Method kListCopy = {"copy", sequence_copy};

}  // namespace

const Method* find_dict_method(std::string_view name) {
  for (const Method& method : kDictMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

const Method* find_sequence_method(const Sequence& sequence, std::string_view name) {
  const SequenceKind kind = sequence.kind;
  if (kind != SequenceKind::kList && kind != SequenceKind::kTuple && kind != SequenceKind::kRange) {
    return nullptr;
  }
  if (kind == SequenceKind::kList && name == kListCopy.name) return &kListCopy;
  for (const Method& method : kSequenceMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

}  // namespace inferneo::text::jinja
