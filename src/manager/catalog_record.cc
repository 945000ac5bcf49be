#include "manager/catalog_record.h"

#include <algorithm>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::manager {
namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

bool is_version_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
         c == '_' || c == '-' || c == '+';
}

}  // namespace

std::string_view model_format_name(ModelFormat format) {
  switch (format) {
    case ModelFormat::kHuggingFace:
      return "huggingface";
    case ModelFormat::kGguf:
      return "gguf";
  }
  return "unknown";
}

std::optional<ModelFormat> parse_model_format(std::string_view name) {
  for (const ModelFormat format : {ModelFormat::kHuggingFace, ModelFormat::kGguf}) {
    if (model_format_name(format) == name) return format;
  }
  return std::nullopt;
}

bool operator==(const Actor& a, const Actor& b) {
  return a.principal == b.principal && a.address == b.address;
}

std::string model_id(std::string_view name, std::string_view version) {
  return version.empty() ? std::string(name) : str(name, ":", version);
}

Status check_model_name(std::string_view name) {
  const bool edges_fit = !name.empty() && name.front() != '/' && name.back() != '/' &&
                         name.front() != ' ' && name.back() != ' ';
  if (edges_fit && name.size() <= limits::kModelNameSizeMax && !has_control(name) &&
      name.find(':') == std::string_view::npos && name.find("//") == std::string_view::npos &&
      utf8::is_valid(name)) {
    return ok_status();
  }
  return invalid_argument(str("model name '",
                              printable(name),
                              "' must be 1 to ",
                              limits::kModelNameSizeMax,
                              " bytes of printable text without ':', and not begin or end with "
                              "'/' or a space"))
      .with_where("model_id");
}

Status check_model_version(std::string_view version) {
  const bool chars_fit = std::all_of(version.begin(), version.end(), is_version_char);
  if (!version.empty() && version.size() <= limits::kModelVersionSizeMax && chars_fit &&
      version != kLatestVersion) {
    return ok_status();
  }
  return invalid_argument(str("model version '",
                              printable(version),
                              "' must be 1 to ",
                              limits::kModelVersionSizeMax,
                              " letters, digits or . _ - + and not '",
                              kLatestVersion,
                              "', which means the live one"))
      .with_where("version");
}

Result<ModelReference> parse_model_reference(std::string_view text) {
  ModelReference reference;
  const std::size_t colon = text.rfind(':');
  reference.name = text.substr(0, colon);
  RETURN_IF_ERROR(check_model_name(reference.name));
  if (colon == std::string_view::npos) return reference;
  const std::string_view version = text.substr(colon + 1);
  if (version == kLatestVersion) return reference;
  RETURN_IF_ERROR(check_model_version(version));
  reference.version = version;
  return reference;
}

}  // namespace inferneo::manager
