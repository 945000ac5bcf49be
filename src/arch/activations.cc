#include "arch/activations.h"

#include <array>
#include <string>

#include "base/str.h"

namespace inferneo::arch {
namespace {

using graph::Activation;

struct Known {
  std::string_view name;
  Activation activation;
};
// Spec: transformers 5, activations.py, ACT2FN.
constexpr std::array<Known, 10> kKnown = {{
    {"gelu", Activation::kGelu},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_python", Activation::kGelu},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"quick_gelu", Activation::kQuickGelu},
    {"relu", Activation::kRelu},
    {"relu2", Activation::kReluSquared},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
}};

}  // namespace

std::span<const std::string_view> activation_names() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, kKnown.size()> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kKnown[i].name;
    return names;
  }();
  return kNames;
}

Result<Activation> find_activation(std::string_view name) {
  for (const Known& known : kKnown) {
    if (known.name == name) return known.activation;
  }
  const std::string_view nearest = nearest_name(name, activation_names());
  return unsupported(str("hidden_act is \"",
                         printable(name),
                         "\", which is not supported; the supported activations are ",
                         joined(activation_names())))
      .with_hint(nearest.empty() ? "" : str("the nearest supported activation is ", nearest))
      .with_where("hidden_act");
}

}  // namespace inferneo::arch
