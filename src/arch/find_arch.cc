#include <algorithm>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

using Names = std::span<const std::string_view>;

// The way in which a model names its architecture.
struct Naming {
  const std::string& wanted;
  std::string_view where;
  Names ArchSpec::*names;
};

Naming naming_of(const formats::ModelMeta& meta) {
  if (!meta.gguf_architecture.empty()) {
    return {meta.gguf_architecture, "general.architecture", &ArchSpec::gguf_names};
  }
  if (!meta.architecture.empty()) {
    return {meta.architecture, "architectures", &ArchSpec::class_names};
  }
  return {meta.model_type, "architectures", &ArchSpec::model_types};
}

}  // namespace

Result<const ArchSpec*> find_arch(const formats::ModelMeta& meta) {
  const Naming naming = naming_of(meta);
  const std::string& wanted = naming.wanted;
  if (wanted.empty()) {
    return invalid_argument("config.json names neither architectures nor model_type")
        .with_where("architectures");
  }
  std::vector<std::string_view> names;
  for (const ArchSpec* spec : arch_table()) {
    const Names list = spec->*naming.names;
    if (std::find(list.begin(), list.end(), wanted) != list.end()) return spec;
    names.insert(names.end(), list.begin(), list.end());
  }
  std::string message = str("architecture ", printable(wanted), " is not supported; supported:");
  for (const std::string_view name : names) message += str(' ', name);
  std::string hint;
  if (const std::string_view nearest = nearest_name(wanted, names); !nearest.empty()) {
    hint = str("the nearest supported name is ", nearest);
  }
  if (meta.has_own_code) {
    hint += str(hint.empty() ? "" : "; ", "code that comes with a model (auto_map) is never run");
  }
  return unsupported(std::move(message))
      .with_hint(std::move(hint))
      .with_where(std::string(naming.where));
}

}  // namespace inferneo::arch
