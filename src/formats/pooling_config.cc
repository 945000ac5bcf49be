#include "formats/pooling_config.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"

namespace inferneo::formats {
namespace {

using nlohmann::json;

constexpr std::string_view kPoolingName = "1_Pooling/config.json";
constexpr std::string_view kModulesName = "modules.json";

// Depth: the text is bounded by limits::kConfigFileSizeMax, and the parser uses no recursion.
Result<json> parse(std::string_view text, std::string_view name) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return corrupt_data(str(name, " is not JSON"));
  return document;
}

bool is_on(const json& config, const char* name) {
  const auto found = config.find(name);
  return found != config.end() && found->is_boolean() && found->get<bool>();
}

Result<PoolingMeta::Kind> pooling_kind(const json& config) {
  using Kind = PoolingMeta::Kind;
  const std::pair<const char*, Kind> known[] = {{"pooling_mode_cls_token", Kind::kCls},
                                                {"pooling_mode_mean_tokens", Kind::kMean},
                                                {"pooling_mode_lasttoken", Kind::kLast}};
  Kind kind = Kind::kUnknown;
  int count = 0;
  for (const auto& [name, value] : config.items()) {
    if (!name.starts_with("pooling_mode_") || !is_on(config, name.c_str())) continue;
    ++count;
    for (const auto& [known_name, known_kind] : known) {
      if (name == known_name) kind = known_kind;
    }
    if (kind == Kind::kUnknown || count > 1) {
      return unsupported(str(kPoolingName, " asks for ", printable(name), ", which is not known"))
          .with_where(printable(name))
          .with_hint("known are one of cls_token, mean_tokens and lasttoken");
    }
  }
  return kind;
}

Result<std::string> read_optional(const std::string& path) {
  Result<std::string> text = read_file(path, limits::kConfigFileSizeMax);
  if (!text.has_value() && text.error().code() == StatusCode::kNotFound) return std::string();
  return text;
}

}  // namespace

Result<PoolingMeta> parse_pooling_config(std::string_view pooling_text,
                                         std::string_view modules_text) {
  PoolingMeta meta;
  if (!pooling_text.empty()) {
    ASSIGN_OR_RETURN(const json config, parse(pooling_text, kPoolingName));
    if (!config.is_object()) return corrupt_data(str(kPoolingName, " is not an object"));
    ASSIGN_OR_RETURN(meta.kind, pooling_kind(config));
  }
  if (modules_text.empty()) return meta;
  ASSIGN_OR_RETURN(const json modules, parse(modules_text, kModulesName));
  if (!modules.is_array()) return corrupt_data(str(kModulesName, " is not a list"));
  meta.normalize = false;
  for (const json& module : modules) {
    const auto type = module.find("type");
    if (module.is_object() && type != module.end() && type->is_string() &&
        type->get_ref<const std::string&>().ends_with("Normalize")) {
      meta.normalize = true;
    }
  }
  return meta;
}

Result<PoolingMeta> read_pooling_config(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string pooling, read_optional(str(directory, "/", kPoolingName)));
  ASSIGN_OR_RETURN(const std::string modules, read_optional(str(directory, "/", kModulesName)));
  return parse_pooling_config(pooling, modules);
}

}  // namespace inferneo::formats
