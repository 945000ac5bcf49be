#include "manager/catalog_json.h"

#include <utility>

#include "base/str.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using text::Value;

Value seconds(std::int64_t unix_ms) { return static_cast<double>(unix_ms) / 1000.0; }

Value settings_value(const ModelSettings& settings) {
  Value::Dict dict;
  for (const auto& [key, value] : settings) dict.emplace_back(key, value);
  return dict;
}

Value tags_value(const std::vector<std::string>& tags) {
  return Value::List(tags.begin(), tags.end());
}

Value files_value(const std::vector<ModelFile>& files) {
  Value::List list;
  for (const ModelFile& file : files) {
    Value::Dict dict;
    dict.emplace_back("name", file.name);
    dict.emplace_back("size", static_cast<std::int64_t>(file.size));
    dict.emplace_back("sha256", file.sha256);
    dict.emplace_back("identity", file.identity);
    list.emplace_back(std::move(dict));
  }
  return list;
}

// What was written as an object is shown as one.
Value object_or_null(const std::string& json) {
  if (json.empty()) return {};
  Result<Value> value = text::parse_json(json);
  return value.has_value() ? *std::move(value) : Value(json);
}

Status unreadable(std::string_view what) {
  return corrupt_data(str("the ", what, " of a record cannot be read"));
}

std::string text_of(const Value& dict, std::string_view key) {
  const Value* value = dict.find(key);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? std::string() : *text;
}

}  // namespace

Value model_value(const ModelRecord& model) {
  Value::Dict dict;
  dict.emplace_back("model_id", model.name);
  dict.emplace_back("version", model.version);
  dict.emplace_back("path", model.path);
  dict.emplace_back("format", model_format_name(model.format));
  dict.emplace_back("config", settings_value(model.settings));
  dict.emplace_back("tags", tags_value(model.tags));
  dict.emplace_back("pinned", model.pinned);
  dict.emplace_back("preload", model.preload);
  Value::List files;
  for (const ModelFile& file : model.files) {
    Value::Dict entry;
    entry.emplace_back("name", file.name);
    entry.emplace_back("size", static_cast<std::int64_t>(file.size));
    entry.emplace_back("sha256", file.sha256.empty() ? Value() : Value(file.sha256));
    files.emplace_back(std::move(entry));
  }
  dict.emplace_back("files", std::move(files));
  dict.emplace_back("created_at", seconds(model.created_unix_ms));
  dict.emplace_back("updated_at", seconds(model.updated_unix_ms));
  return dict;
}

Value alias_value(const AliasRecord& alias) {
  Value::Dict dict;
  dict.emplace_back("alias", alias.alias);
  dict.emplace_back("model_id", alias.name);
  dict.emplace_back("version", alias.version.empty() ? Value() : Value(alias.version));
  return dict;
}

Value audit_value(const AuditRecord& record) {
  Value::Dict dict;
  dict.emplace_back("id", static_cast<std::int64_t>(record.id));
  dict.emplace_back("at", seconds(record.at_unix_ms));
  dict.emplace_back("principal", record.actor.principal);
  dict.emplace_back("address", record.actor.address);
  dict.emplace_back("action", record.action);
  dict.emplace_back("subject", record.subject);
  dict.emplace_back("before", object_or_null(record.before));
  dict.emplace_back("after", object_or_null(record.after));
  dict.emplace_back("result", record.result);
  dict.emplace_back("message", record.message.empty() ? Value() : Value(record.message));
  return dict;
}

std::string settings_json(const ModelSettings& settings) {
  return text::to_json(settings_value(settings));
}

std::string tags_json(const std::vector<std::string>& tags) {
  return text::to_json(tags_value(tags));
}

std::string files_json(const std::vector<ModelFile>& files) {
  return text::to_json(files_value(files));
}

Result<ModelSettings> parse_settings_json(std::string_view json) {
  const Result<Value> value = text::parse_json(json);
  if (!value.has_value() || value->as_dict() == nullptr) return unreadable("config");
  ModelSettings settings;
  for (const auto& [key, member] : *value->as_dict()) {
    if (member.as_string() == nullptr) return unreadable("config");
    settings.emplace_back(key, *member.as_string());
  }
  return settings;
}

Result<std::vector<std::string>> parse_tags_json(std::string_view json) {
  const Result<Value> value = text::parse_json(json);
  if (!value.has_value() || value->as_list() == nullptr) return unreadable("tags");
  std::vector<std::string> tags;
  for (const Value& member : *value->as_list()) {
    if (member.as_string() == nullptr) return unreadable("tags");
    tags.push_back(*member.as_string());
  }
  return tags;
}

Result<std::vector<ModelFile>> parse_files_json(std::string_view json) {
  const Result<Value> value = text::parse_json(json);
  if (!value.has_value() || value->as_list() == nullptr) return unreadable("files");
  std::vector<ModelFile> files;
  for (const Value& member : *value->as_list()) {
    const Value* size = member.find("size");
    if (size == nullptr || size->as_int() == nullptr) return unreadable("files");
    files.push_back({.name = text_of(member, "name"),
                     .size = static_cast<std::uint64_t>(*size->as_int()),
                     .sha256 = text_of(member, "sha256"),
                     .identity = text_of(member, "identity")});
  }
  return files;
}

}  // namespace inferneo::manager
