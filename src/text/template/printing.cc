#include "text/template/printing.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/characters.h"

namespace inferneo::text::jinja {
namespace {

void append_hex(std::string& out, std::string_view prefix, std::uint32_t value, int digits) {
  char text[16];
  std::snprintf(text, sizeof(text), "%0*x", digits, value);
  out += prefix;
  out += text;
}

bool is_printable(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return false;
  if (is_space(c) && c != ' ') return false;
  return !((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xE000 && c <= 0xF8FF) ||
           (c >= 0xFFF9 && c <= 0xFFFB) || c >= 0xE0000);
}

// Python quotes with ' unless only that one occurs in the text.
std::string quoted(std::string_view text) {
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text, at);
    const char32_t c = decoded.code_point;
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c)) {
      out += text.substr(at, decoded.size);
    } else if (c < 0x100) {
      append_hex(out, "\\x", c, 2);
    } else if (c < 0x10000) {
      append_hex(out, "\\u", c, 4);
    } else {
      append_hex(out, "\\U", c, 8);
    }
    at += decoded.size;
  }
  out += quote;
  return out;
}

void append_items(TextBuilder& out, const std::vector<Object>& items) {
  for (std::size_t i = 0; i < items.size() && out.ok(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, items[i]);
  }
}

void append_sequence(TextBuilder& out, const Sequence& sequence) {
  switch (sequence.kind) {
    case SequenceKind::kTuple:
      out.append('(');
      append_items(out, sequence.items);
      out.append(sequence.items.size() == 1 ? ",)" : ")");
      return;
    case SequenceKind::kRange:
      out.append(str("range(", sequence.start, ", ", sequence.stop));
      if (sequence.step != 1) out.append(str(", ", sequence.step));
      out.append(')');
      return;
    case SequenceKind::kIterator:
      out.append("<generator object>");
      return;
    case SequenceKind::kList:
      break;
    default:
      out.append(sequence_type_name(sequence.kind));
      out.append("([");
      append_items(out, sequence.items);
      out.append("])");
      return;
  }
  out.append('[');
  append_items(out, sequence.items);
  out.append(']');
}

void append_dict(TextBuilder& out, const Dict& dict) {
  out.append('{');
  bool first = true;
  for (const Dict::Entry& entry : dict.entries()) {
    if (!out.ok()) return;
    if (!first) out.append(", ");
    first = false;
    append_repr(out, entry.key);
    out.append(": ");
    append_repr(out, entry.value);
  }
  out.append('}');
}

// A namespace may hold itself, so this is the one place where printing needs its own bound.
void append_namespace(TextBuilder& out, const Namespace& space) {
  Evaluation& evaluation = out.evaluation();
  if (evaluation.frame_count >= limits::kTemplateFrameCountMax) {
    out.fail(resource_exhausted("a namespace that holds itself cannot be printed"));
    return;
  }
  // Printing one takes a few levels of calls; count them generously.
  evaluation.frame_count += 10;
  out.append("<Namespace ");
  append_dict(out, space.attributes);
  out.append('>');
  evaluation.frame_count -= 10;
}

std::optional<std::string> scalar_text(const Object& object) {
  if (object.is_none()) return "None";
  if (const bool* flag = object.as_bool()) return *flag ? "True" : "False";
  if (const std::int64_t* number = object.as_int()) return str(*number);
  if (const double* number = object.as_double()) return float_text(*number);
  return std::nullopt;
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view scientific(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + e + 1 + (scientific[e + 1] == '+' ? 1 : 0);
  std::from_chars(digits, end, exponent);
  // Spec: float.__repr__ uses the exponent form outside 1e-4 .. 1e16.
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  const auto fixed_end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, fixed_end);
  if (fixed.find('.') == fixed.npos) fixed += ".0";
  return fixed;
}

void append_repr(TextBuilder& out, const Object& object) {
  if (Status status = out.evaluation().step(); !status.ok()) return out.fail(std::move(status));
  if (const auto scalar = scalar_text(object)) {
    out.append(*scalar);
  } else if (const Text* text = object.as_text()) {
    out.append(text->safe ? str("Markup(", quoted(text->bytes), ")") : quoted(text->bytes));
  } else if (const Sequence* sequence = object.as_sequence()) {
    append_sequence(out, *sequence);
  } else if (const Dict* dict = object.as_dict()) {
    append_dict(out, *dict);
  } else if (const Namespace* space = object.as_namespace()) {
    append_namespace(out, *space);
  } else if (const Callable* callable = object.as_callable()) {
    out.append(callable->describe());
  } else if (const Loop* loop = object.as_loop()) {
    out.append(str("<LoopContext ", loop->index0 + 1, "/", loop->items->items.size(), ">"));
  } else {
    out.append("Undefined");
  }
}

void append_str(TextBuilder& out, const Object& object) {
  if (const Text* text = object.as_text()) {
    out.append(text->bytes);
  } else if (!object.is_undefined()) {
    append_repr(out, object);
  }
}

Result<Object> to_text(Evaluation& evaluation, const Object& object) {
  if (object.as_text()) return object;
  TextBuilder out(evaluation);
  append_str(out, object);
  return std::move(out).finish();
}

}  // namespace inferneo::text::jinja
