// json.dumps of the values that templates hold.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(TextBuilder& out, const JsonOptions& options) : out_(out), options_(options) {}

  void write(const Object& object) {
    if (!out_.ok()) return;
    if (Status status = out_.evaluation().step(); !status.ok()) {
      return out_.fail(std::move(status));
    }
    if (const Text* text = object.as_text()) return write_text(text->bytes);
    if (const Dict* dict = object.as_dict()) return write_dict(*dict);
    if (const Sequence* sequence = object.as_sequence()) {
      if (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple) {
        return write_list(*sequence);
      }
    }
    if (const auto scalar = scalar_text(object)) return out_.append(*scalar);
    out_.fail(
        invalid_argument(str("Object of type ", type_name(object), " is not JSON serializable")));
  }

 private:
  static std::optional<std::string> scalar_text(const Object& object) {
    if (object.is_none()) return "null";
    if (const bool* flag = object.as_bool()) return *flag ? "true" : "false";
    if (const std::int64_t* number = object.as_int()) return str(*number);
    const double* number = object.as_double();
    if (!number) return std::nullopt;
    if (std::isnan(*number)) return "NaN";
    if (std::isinf(*number)) return *number > 0 ? "Infinity" : "-Infinity";
    return float_text(*number);
  }

  void write_list(const Sequence& sequence) {
    if (sequence.items.empty()) return out_.append("[]");
    out_.append('[');
    ++level_;
    for (std::size_t i = 0; i < sequence.items.size() && out_.ok(); ++i) {
      if (i > 0) out_.append(options_.item_separator);
      break_line();
      write(sequence.items[i]);
    }
    --level_;
    break_line();
    out_.append(']');
  }

  void write_dict(const Dict& dict) {
    if (dict.entries().empty()) return out_.append("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (options_.sort_keys && !sort(entries)) return;
    out_.append('{');
    ++level_;
    for (std::size_t i = 0; i < entries.size() && out_.ok(); ++i) {
      if (i > 0) out_.append(options_.item_separator);
      break_line();
      write_key(entries[i]->key);
      out_.append(options_.key_separator);
      write(entries[i]->value);
    }
    --level_;
    break_line();
    out_.append('}');
  }

  bool sort(std::vector<const Dict::Entry*>& entries) {
    for (const Dict::Entry* entry : entries) {
      if (entry->key.as_text()) continue;
      out_.fail(invalid_argument("tojson: sort_keys needs keys that are strings"));
      return false;
    }
    std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
      return a->key.as_text()->bytes < b->key.as_text()->bytes;
    });
    return true;
  }

  void write_key(const Object& key) {
    if (const Text* text = key.as_text()) return write_text(text->bytes);
    if (const auto scalar = scalar_text(key)) return write_text(*scalar);
    out_.fail(
        invalid_argument(str("keys must be str, int, float, bool or None, not ", type_name(key))));
  }

  void break_line() {
    if (!options_.indent) return;
    out_.append('\n');
    for (int i = 0; i < level_ && out_.ok(); ++i) out_.append(*options_.indent);
  }

  void write_text(std::string_view text) {
    std::string quoted = "\"";
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Decoded decoded = utf8::decode(text, at);
      if (!append_escape(quoted, decoded.code_point)) quoted += text.substr(at, decoded.size);
      at += decoded.size;
    }
    quoted += '"';
    out_.append(quoted);
  }

  // False when the character stands for itself.
  bool append_escape(std::string& out, char32_t c) const {
    switch (c) {
      case '"':
        out += "\\\"";
        return true;
      case '\\':
        out += "\\\\";
        return true;
      case '\n':
        out += "\\n";
        return true;
      case '\r':
        out += "\\r";
        return true;
      case '\t':
        out += "\\t";
        return true;
      case '\f':
        out += "\\f";
        return true;
      case '\b':
        out += "\\b";
        return true;
      default:
        break;
    }
    if (c >= 0x20 && (c < 0x7F || !options_.ensure_ascii)) return false;
    if (c == 0x7F) return false;
    if (c >= 0x10000) {
      append_unit(out, 0xD800 + ((c - 0x10000) >> 10));
      append_unit(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      append_unit(out, c);
    }
    return true;
  }

  static void append_unit(std::string& out, char32_t unit) {
    char text[16];
    std::snprintf(text, sizeof(text), "\\u%04x", static_cast<unsigned>(unit));
    out += text;
  }

  TextBuilder& out_;
  const JsonOptions& options_;
  int level_ = 0;
};

}  // namespace

void append_json(TextBuilder& out, const Object& object, const JsonOptions& options) {
  JsonWriter(out, options).write(object);
}

}  // namespace inferneo::text::jinja
