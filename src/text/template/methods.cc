#include "text/template/methods.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/str.h"
#include "text/template/operators.h"

namespace inferneo::text::jinja {
namespace {

class BoundMethod final : public Callable {
 public:
  BoundMethod(Object self, const Method* method) : self_(std::move(self)), method_(method) {}

  std::string describe() const override {
    return str("<built-in method ", method_->name, " of ", type_name(self_), " object>");
  }

  Result<Object> call(Evaluation& evaluation, const Arguments& arguments) const override {
    if (!method_->call) {
      return unsupported(str("the method ",
                             type_name(self_),
                             ".",
                             method_->name,
                             "() is not supported in chat templates"));
    }
    return method_->call(evaluation, self_, arguments);
  }

 private:
  Object self_;
  const Method* method_;
};

// loop.cycle() and loop.changed().
Result<Object> loop_cycle(Evaluation&, const Object& self, const Arguments& arguments) {
  if (arguments.positional.empty()) return invalid_argument("no items for cycling given");
  const std::size_t index = self.as_loop()->index0 % arguments.positional.size();
  return arguments.positional[index];
}

Result<Object> loop_changed(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  Loop& loop = *self.as_loop();
  ASSIGN_OR_RETURN(Object current,
                   evaluation.make_sequence(SequenceKind::kTuple, arguments.positional));
  if (loop.has_last_changed) {
    ASSIGN_OR_RETURN(const bool same, equals(evaluation, loop.last_changed, current));
    if (same) return Object(false);
  }
  loop.has_last_changed = true;
  loop.last_changed = std::move(current);
  return Object(true);
}

constexpr Method kLoopCycle = {"cycle", loop_cycle};
constexpr Method kLoopChanged = {"changed", loop_changed};

Object bind(const Object& self, const Method* method) {
  return Object(std::shared_ptr<const Callable>(std::make_shared<BoundMethod>(self, method)));
}

Object neighbour(const std::vector<Object>& items,
                 std::size_t index,
                 bool exists,
                 std::string_view which) {
  if (exists) return items[index];
  return Object::undefined(str("there is no ", which, " item"));
}

std::optional<Object> loop_attribute(const Object& object,
                                     const Loop& loop,
                                     std::string_view name) {
  const auto index0 = static_cast<std::int64_t>(loop.index0);
  const std::vector<Object>& items = loop.items->items;
  const auto length = static_cast<std::int64_t>(items.size());
  if (name == "index") return Object(index0 + 1);
  if (name == "index0") return Object(index0);
  if (name == "revindex") return Object(length - index0);
  if (name == "revindex0") return Object(length - index0 - 1);
  if (name == "first") return Object(index0 == 0);
  if (name == "last") return Object(index0 + 1 == length);
  if (name == "length") return Object(length);
  const auto depth0 = static_cast<std::int64_t>(loop.depth0);
  if (name == "depth") return Object(depth0 + 1);
  if (name == "depth0") return Object(depth0);
  if (name == "previtem") return neighbour(items, loop.index0 - 1, index0 > 0, "previous");
  if (name == "nextitem") {
    return neighbour(items, loop.index0 + 1, index0 + 1 < length, "next");
  }
  if (name == "cycle") return bind(object, &kLoopCycle);
  if (name == "changed") return bind(object, &kLoopChanged);
  return std::nullopt;
}

// Spec: ImmutableSandboxedEnvironment of jinja2.
bool is_refused(const Object& object, std::string_view name) {
  constexpr std::array<std::string_view, 8> kListChanges = {
      "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  constexpr std::array<std::string_view, 5> kDictChanges = {
      "clear", "pop", "popitem", "setdefault", "update"};
  if (name.starts_with("__") && name.ends_with("__") && name.size() > 4) return true;
  const Sequence* sequence = object.as_sequence();
  if (sequence && sequence->kind == SequenceKind::kList) {
    return std::find(kListChanges.begin(), kListChanges.end(), name) != kListChanges.end();
  }
  if (!object.as_dict()) return false;
  return std::find(kDictChanges.begin(), kDictChanges.end(), name) != kDictChanges.end();
}

const Method* find_method(const Object& object, std::string_view name) {
  if (object.as_text()) return find_text_method(name);
  if (object.as_dict()) return find_dict_method(name);
  if (const Sequence* sequence = object.as_sequence()) {
    return find_sequence_method(*sequence, name);
  }
  return nullptr;
}

}  // namespace

std::optional<Object> find_attribute(const Object& object, std::string_view name) {
  if (const Namespace* space = object.as_namespace()) {
    if (const Object* value = space->attributes.find_text(name)) return *value;
  }
  if (is_refused(object, name)) {
    return Object::undefined(
        str("access to attribute '", name, "' of '", type_name(object), "' object is unsafe."));
  }
  if (const Loop* loop = object.as_loop()) return loop_attribute(object, *loop, name);
  if (const Method* method = find_method(object, name)) return bind(object, method);
  return std::nullopt;
}

Result<const Text*> text_argument(std::string_view function, const Object& object) {
  if (object.is_undefined()) return undefined_error(object);
  if (const Text* text = object.as_text()) return text;
  return invalid_argument(str(function, "() argument must be str, not ", type_name(object)));
}

Result<std::int64_t> integer_argument(std::string_view function, const Object& object) {
  if (object.is_undefined()) return undefined_error(object);
  if (const auto number = integer_of(object)) return *number;
  return invalid_argument(
      str(function, "(): '", type_name(object), "' object cannot be interpreted as an integer"));
}

}  // namespace inferneo::text::jinja
