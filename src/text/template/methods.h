// Attributes of values: the methods of strings, dicts and lists, the fields of `loop`, and what a
// namespace holds. Nothing else of Python's objects can be reached.
// Thread: one evaluation.
#pragma once

#include <optional>
#include <string_view>

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

// The attribute of that name, absent when the object has none (a dict's members are no
// attributes). Attributes that the sandbox of jinja2 refuses are undefined objects that say so.
std::optional<Object> find_attribute(const Object& object, std::string_view name);

using MethodFunction = Result<Object> (*)(Evaluation&, const Object& self, const Arguments&);

struct Method {
  std::string_view name;
  MethodFunction call = nullptr;  // null: exists in Python, is not offered here
};

// In text_methods.cc and container_methods.cc; null when there is none of that name.
const Method* find_text_method(std::string_view name);
const Method* find_dict_method(std::string_view name);
const Method* find_sequence_method(const Sequence& sequence, std::string_view name);

// The text of a string argument. Failure: invalid_argument naming the function.
Result<const Text*> text_argument(std::string_view function, const Object& object);
Result<std::int64_t> integer_argument(std::string_view function, const Object& object);

// str.join.
Result<Object> join_with(Evaluation& evaluation,
                         const Text& separator,
                         const std::vector<Object>& items);
// str.replace; count < 0 replaces all.
Result<Object> replace_text(Evaluation& evaluation,
                            const Text& text,
                            const Text& before,
                            const Text& after,
                            std::int64_t count);

}  // namespace inferneo::text::jinja
