#include <algorithm>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

std::span<const std::string_view> names_of(const ArchSpec& spec, bool by_class) {
  return by_class ? spec.class_names : spec.model_types;
}

}  // namespace

Result<const ArchSpec*> find_arch(const formats::ModelMeta& meta) {
  const bool by_class = !meta.architecture.empty();
  const std::string& wanted = by_class ? meta.architecture : meta.model_type;
  if (wanted.empty()) {
    return invalid_argument("config.json names neither architectures nor model_type")
        .with_where("architectures");
  }
  std::vector<std::string_view> names;
  for (const ArchSpec* spec : arch_table()) {
    const auto list = names_of(*spec, by_class);
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
  return unsupported(std::move(message)).with_hint(std::move(hint)).with_where("architectures");
}

}  // namespace inferneo::arch
