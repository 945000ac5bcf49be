// How values become text: Python's str() and repr(), and json.dumps.
// Thread: one evaluation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

// The shortest text that reads back as the same number, in Python's layout ("1e+16", "0.1", "3.0").
std::string float_text(double value);

void append_str(TextBuilder& out, const Object& object);
void append_repr(TextBuilder& out, const Object& object);
Result<Object> to_text(Evaluation& evaluation, const Object& object);

struct JsonOptions {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; absent writes one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Spec: json.dumps of Python; values it refuses (undefined, functions) fail the builder.
void append_json(TextBuilder& out, const Object& object, const JsonOptions& options);

}  // namespace inferneo::text::jinja
