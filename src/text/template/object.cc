#include "text/template/object.h"

#include <algorithm>
#include <cmath>

#include "base/str.h"
#include "text/template/characters.h"

namespace inferneo::text::jinja {
namespace {

// Up to this many entries a linear search is as fast as the index.
constexpr std::size_t kUnindexedEntryCountMax = 8;
// Bound: tuples can share their parts, so that their written form grows exponentially.
constexpr std::size_t kCanonicalTupleSizeMax = 4096;

std::string canonical_number(double value) {
  if (value == std::trunc(value) && std::abs(value) < 9.2e18) {
    return str("n", static_cast<std::int64_t>(value));
  }
  return str("f", value);
}

}  // namespace

Object::Object(const Object& other) = default;
Object::Object(Object&& other) noexcept = default;
Object& Object::operator=(const Object& other) = default;
Object& Object::operator=(Object&& other) noexcept = default;
Object::~Object() = default;

Object Object::undefined(std::string why) {
  Object object;
  object.data_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return object;
}

Object Object::text(std::string bytes, bool safe) {
  auto text = std::make_shared<Text>();
  text->length = count_characters(bytes);
  text->bytes = std::move(bytes);
  text->safe = safe;
  return Object(std::shared_ptr<const Text>(std::move(text)));
}

std::size_t Object::depth() const {
  if (const Sequence* sequence = as_sequence()) return sequence->depth;
  if (const Dict* dict = as_dict()) return dict->depth();
  return 0;
}

bool Object::is_same(const Object& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_none()) return true;
  if (const bool* a = as_bool()) return *a == *other.as_bool();
  if (const std::int64_t* a = as_int()) return *a == *other.as_int();
  if (as_text()) return as_text() == other.as_text() || as_text()->bytes == other.as_text()->bytes;
  if (as_sequence()) return as_sequence() == other.as_sequence();
  if (as_dict()) return as_dict() == other.as_dict();
  if (as_namespace()) return as_namespace() == other.as_namespace();
  if (as_callable()) return as_callable() == other.as_callable();
  if (as_loop()) return as_loop() == other.as_loop();
  return false;
}

Result<std::string> Dict::canonical_key(const Object& key) {
  if (const Text* text = key.as_text()) return str("s", text->bytes);
  if (const bool* flag = key.as_bool()) return std::string(*flag ? "n1" : "n0");
  if (const std::int64_t* number = key.as_int()) return str("n", *number);
  if (const double* number = key.as_double()) return canonical_number(*number);
  if (key.is_none()) return std::string("0");
  if (key.is_undefined()) return std::string("u");
  if (const Sequence* sequence = key.as_sequence()) {
    if (sequence->kind == SequenceKind::kTuple) {
      std::string canonical = "t";
      for (const Object& item : sequence->items) {
        ASSIGN_OR_RETURN(const std::string part, canonical_key(item));
        canonical += str(part.size(), ":", part);
        if (canonical.size() > kCanonicalTupleSizeMax) {
          return invalid_argument("a tuple used as a dict key is too large");
        }
      }
      return canonical;
    }
  }
  if (const Callable* callable = key.as_callable()) {
    return str("p", reinterpret_cast<std::uintptr_t>(callable));
  }
  if (const Namespace* space = key.as_namespace()) {
    return str("p", reinterpret_cast<std::uintptr_t>(space));
  }
  return invalid_argument(str("unhashable type: '", type_name(key), "'"));
}

void Dict::insert(Object key, const std::string& canonical, Object value) {
  depth_ = std::max({depth_, 1 + key.depth(), 1 + value.depth()});
  if (const Object* present = find(canonical)) {
    *const_cast<Object*>(present) = std::move(value);
    return;
  }
  entries_.push_back({std::move(key), std::move(value)});
  if (entries_.size() <= kUnindexedEntryCountMax) return;
  if (index_.empty()) {
    for (std::size_t i = 0; i + 1 < entries_.size(); ++i) {
      index_.emplace(*canonical_key(entries_[i].key), i);
    }
  }
  index_.emplace(canonical, entries_.size() - 1);
}

const Object* Dict::find(const std::string& canonical) const {
  if (!index_.empty()) {
    const auto found = index_.find(canonical);
    return found == index_.end() ? nullptr : &entries_[found->second].value;
  }
  if (canonical.front() == 's') return find_text(std::string_view(canonical).substr(1));
  for (const Entry& entry : entries_) {
    if (*canonical_key(entry.key) == canonical) return &entry.value;
  }
  return nullptr;
}

const Object* Dict::find_text(std::string_view key) const {
  if (!index_.empty()) return find(str("s", key));
  for (const Entry& entry : entries_) {
    const Text* text = entry.key.as_text();
    if (text && text->bytes == key) return &entry.value;
  }
  return nullptr;
}

std::string_view sequence_type_name(SequenceKind kind) {
  switch (kind) {
    case SequenceKind::kList:
      return "list";
    case SequenceKind::kTuple:
      return "tuple";
    case SequenceKind::kRange:
      return "range";
    case SequenceKind::kIterator:
      return "generator";
    case SequenceKind::kKeys:
      return "dict_keys";
    case SequenceKind::kValues:
      return "dict_values";
    case SequenceKind::kItems:
      return "dict_items";
  }
  return "list";
}

std::string_view type_name(const Object& object) {
  if (object.is_none()) return "NoneType";
  if (object.is_undefined()) return "Undefined";
  if (object.as_bool()) return "bool";
  if (object.as_int()) return "int";
  if (object.as_double()) return "float";
  if (const Text* text = object.as_text()) return text->safe ? "Markup" : "str";
  if (object.as_dict()) return "dict";
  if (object.as_namespace()) return "Namespace";
  if (object.as_loop()) return "LoopContext";
  if (const Sequence* sequence = object.as_sequence()) return sequence_type_name(sequence->kind);
  return "function";
}

}  // namespace inferneo::text::jinja
