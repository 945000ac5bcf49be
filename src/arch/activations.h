// Names of activations in configurations.
// Thread: any.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "graph/ops.h"

namespace inferneo::arch {

// Sorted.
std::span<const std::string_view> activation_names();

// Failures: unsupported, naming the supported names and the nearest.
Result<graph::Activation> find_activation(std::string_view name);

}  // namespace inferneo::arch
