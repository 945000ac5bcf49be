#include "arch/late_windows.h"

namespace inferneo::arch {

void plan_late_windows(const formats::ModelMeta& meta, DecoderPlan& plan) {
  if (!meta.uses_window.value_or(false)) return;
  const auto has_window = [&](std::int64_t layer) {
    if (!meta.window_layers.empty()) {
      return bool{meta.window_layers[static_cast<std::size_t>(layer)]};
    }
    return layer >= meta.first_window_layer.value_or(28);
  };
  plan_windows(meta, 4096, has_window, plan);
}

}  // namespace inferneo::arch
