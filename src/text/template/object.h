// The values that a template computes with: Python's, as far as templates can see them.
// Objects are immutable and shared, except namespaces and iterators, which a template changes.
// Thread: one evaluation. Ownership: shared within it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace inferneo::text::jinja {

class Callable;
class Dict;
struct Loop;
struct Namespace;
struct Sequence;
struct Text;

struct None {};
// The result of looking up what is not there. `why` is the message of the error that a use raises.
struct Undefined {
  std::shared_ptr<const std::string> why;
};

class Object {
 public:
  Object() = default;  // None
  // Out of line: inlined, the moves of the variant raise false warnings in every file that uses
  // them.
  Object(const Object& other);
  Object(Object&& other) noexcept;
  Object& operator=(const Object& other);
  Object& operator=(Object&& other) noexcept;
  ~Object();
  explicit Object(bool v) : data_(v) {}
  explicit Object(std::int64_t v) : data_(v) {}
  explicit Object(double v) : data_(v) {}
  explicit Object(std::shared_ptr<const Text> v) : data_(std::move(v)) {}
  explicit Object(std::shared_ptr<Sequence> v) : data_(std::move(v)) {}
  explicit Object(std::shared_ptr<const Dict> v) : data_(std::move(v)) {}
  explicit Object(std::shared_ptr<Namespace> v) : data_(std::move(v)) {}
  explicit Object(std::shared_ptr<const Callable> v) : data_(std::move(v)) {}
  explicit Object(std::shared_ptr<Loop> v) : data_(std::move(v)) {}
  static Object undefined(std::string why);
  // For text that the program itself brings; text that a template makes goes through TextBuilder.
  static Object text(std::string bytes, bool safe = false);

  [[nodiscard]] bool is_none() const { return std::holds_alternative<None>(data_); }
  [[nodiscard]] bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  // Null when the value is of another type.
  [[nodiscard]] const Undefined* as_undefined() const { return std::get_if<Undefined>(&data_); }
  [[nodiscard]] const bool* as_bool() const { return std::get_if<bool>(&data_); }
  [[nodiscard]] const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const double* as_double() const { return std::get_if<double>(&data_); }
  [[nodiscard]] const Text* as_text() const { return pointer<const Text>(); }
  [[nodiscard]] Sequence* as_sequence() const { return pointer<Sequence>(); }
  [[nodiscard]] const Dict* as_dict() const { return pointer<const Dict>(); }
  [[nodiscard]] Namespace* as_namespace() const { return pointer<Namespace>(); }
  [[nodiscard]] const Callable* as_callable() const { return pointer<const Callable>(); }
  [[nodiscard]] Loop* as_loop() const { return pointer<Loop>(); }
  // Shares the sequence. Precondition: as_sequence() is not null.
  [[nodiscard]] std::shared_ptr<Sequence> sequence() const {
    return std::get<std::shared_ptr<Sequence>>(data_);
  }

  // Levels of lists and dicts inside this value; 0 for all others.
  [[nodiscard]] std::size_t depth() const;
  // The same object, as Python's `is`.
  [[nodiscard]] bool is_same(const Object& other) const;

 private:
  template <typename T>
  T* pointer() const {
    const auto* shared = std::get_if<std::shared_ptr<T>>(&data_);
    return shared ? shared->get() : nullptr;
  }

  std::variant<None,
               Undefined,
               bool,
               std::int64_t,
               double,
               std::shared_ptr<const Text>,
               std::shared_ptr<Sequence>,
               std::shared_ptr<const Dict>,
               std::shared_ptr<Namespace>,
               std::shared_ptr<const Callable>,
               std::shared_ptr<Loop>>
      data_;
};

struct Text {
  std::string bytes;       // valid UTF-8
  std::size_t length = 0;  // in characters
  bool safe = false;       // Markup: joined text is HTML-escaped
  [[nodiscard]] bool is_ascii() const { return length == bytes.size(); }
};

enum class SequenceKind : std::uint8_t {
  kList,
  kTuple,
  kRange,
  kIterator,  // a generator: can be read once
  kKeys,
  kValues,
  kItems,
};

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::vector<Object> items;
  std::size_t depth = 1;
  std::size_t next = 0;                        // first item not yet read, for iterators
  std::int64_t start = 0, stop = 0, step = 1;  // of a range
};

// A dict in order of insertion.
class Dict {
 public:
  struct Entry {
    Object key;
    Object value;
  };

  // The form in which keys are compared: equal for 1, 1.0 and True, as in Python.
  // Failures: invalid_argument for keys that cannot be hashed.
  static Result<std::string> canonical_key(const Object& key);

  // Adds or replaces; `canonical` is canonical_key(key).
  void insert(Object key, const std::string& canonical, Object value);
  [[nodiscard]] const Object* find(const std::string& canonical) const;
  [[nodiscard]] const Object* find_text(std::string_view key) const;
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] std::size_t depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::size_t depth_ = 1;
};

// What namespace() makes: attributes that survive the scope that sets them.
struct Namespace {
  Dict attributes;
};

// State of a running for loop, the variable `loop`.
struct Loop {
  std::shared_ptr<Sequence> items;
  std::size_t index0 = 0;
  std::size_t depth0 = 0;
  bool has_last_changed = false;
  Object last_changed;
  // What loop(items) calls while a recursive loop runs, else null.
  std::shared_ptr<const Callable> again;
};

struct Arguments {
  std::vector<Object> positional;
  std::vector<std::pair<std::string, Object>> named;
};

class Evaluation;

// A function, a method bound to its object, or a macro.
class Callable {
 public:
  Callable() = default;
  Callable(const Callable&) = delete;
  Callable& operator=(const Callable&) = delete;
  virtual ~Callable() = default;
  [[nodiscard]] virtual std::string describe() const = 0;
  virtual Result<Object> call(Evaluation& evaluation, const Arguments& arguments) const = 0;
};

// The type's name as Python's messages give it ("str", "NoneType").
std::string_view type_name(const Object& object);
std::string_view sequence_type_name(SequenceKind kind);

}  // namespace inferneo::text::jinja
