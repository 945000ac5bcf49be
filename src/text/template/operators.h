// Python's operators on template values. Failures: invalid_argument (types, undefined values,
// division by zero, integers beyond 64 bits), resource_exhausted.
// Thread: one evaluation.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

bool truth(const Object& object);

enum class BinaryOperator : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
};

Result<Object> apply_binary(Evaluation& evaluation,
                            BinaryOperator op,
                            const Object& left,
                            const Object& right);
Result<Object> negate(const Object& object);
Result<Object> positive(const Object& object);

Result<bool> equals(Evaluation& evaluation, const Object& left, const Object& right);

enum class Ordering : std::uint8_t { kLess, kLessEqual, kGreater, kGreaterEqual };

Result<bool> compare(Evaluation& evaluation,
                     Ordering ordering,
                     const Object& left,
                     const Object& right);

// `needle in haystack`.
Result<bool> contains(Evaluation& evaluation, const Object& haystack, const Object& needle);

// The items a for loop sees. Reads an iterator to its end.
Result<std::vector<Object>> iterate(Evaluation& evaluation, const Object& object);
// len(); failure for what has none.
Result<std::int64_t> length_of(const Object& object);

// object[index], an undefined object when it is not there.
Result<Object> subscript(Evaluation& evaluation, const Object& object, const Object& index);
// object[start:stop:step]; an empty bound was left out. Failure for what is no text or list.
struct SliceBounds {
  std::optional<std::int64_t> start, stop, step;
};
Result<Object> slice(Evaluation& evaluation, const Object& object, const SliceBounds& bounds);
// The number of a bound; none for None. Failure for other types.
Result<std::optional<std::int64_t>> slice_bound(const Object& object);

// object.name as jinja2 resolves it: an attribute, else an item.
Result<Object> attribute(Evaluation& evaluation, const Object& object, std::string_view name);

// An integer from an int or a bool.
std::optional<std::int64_t> integer_of(const Object& object);
// A number from an int, a bool or a float.
std::optional<double> number_of(const Object& object);

}  // namespace inferneo::text::jinja
