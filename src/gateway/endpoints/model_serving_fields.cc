#include "gateway/endpoints/model_serving_fields.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

Result<std::string> setting_text(const Value& value) {
  if (const std::string* text = value.as_string()) return *text;
  if (const std::int64_t* integer = value.as_int()) return str(*integer);
  if (const bool* flag = value.as_bool()) return str(*flag);
  return wrong_value("a text, an integer, true or false", value);
}

}  // namespace

Result<manager::ModelSettings> read_settings(const Value& value) {
  const Value::Dict* dict = value.as_dict();
  if (dict == nullptr) return wrong_value("an object", value);
  manager::ModelSettings settings;
  for (const auto& [name, member] : *dict) {
    Result<std::string> text = setting_text(member);
    if (!text.has_value()) return at_field(std::move(text).error(), name);
    settings.emplace_back(name, *std::move(text));
  }
  return settings;
}

Result<std::vector<std::string>> read_texts(const Value& value,
                                            std::size_t count_max,
                                            std::size_t size_max) {
  const Value::List* list = value.as_list();
  if (list == nullptr || list->size() > count_max) {
    return wrong_value(str("a list of at most ", count_max, " texts"), value);
  }
  std::vector<std::string> texts;
  for (Value item : *list) {
    ASSIGN_OR_RETURN(std::string text, take_string(item, size_max));
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<manager::ModelReference> reference_of(const std::string& model_id,
                                             const std::string& version) {
  if (model_id.empty()) return invalid_argument("'model_id' must be given").with_where("model_id");
  ASSIGN_OR_RETURN(manager::ModelReference reference, manager::parse_model_reference(model_id));
  if (version.empty() || version == manager::kLatestVersion) return reference;
  RETURN_IF_ERROR(manager::check_model_version(version));
  if (!reference.version.empty() && reference.version != version) {
    return invalid_argument(str("'model_id' says version '",
                                reference.version,
                                "' and 'version' says '",
                                version,
                                "'"))
        .with_where("version");
  }
  reference.version = version;
  return reference;
}

Result<std::string> target_of(const std::string& model_id, const std::string& version) {
  ASSIGN_OR_RETURN(const manager::ModelReference reference, reference_of(model_id, version));
  return manager::model_id(reference.name, reference.version);
}

}  // namespace inferneo::gateway::endpoints
