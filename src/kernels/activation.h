// Functions of feed-forward layers, by name.
#pragma once

#include <cstdint>

namespace inferneo::kernels {

enum class Activation : std::uint8_t {
  kSilu,       // x / (1 + exp(-x))
  kGelu,       // x * Phi(x), Phi the distribution function of the normal distribution
  kGeluTanh,   // x / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3)))
  kQuickGelu,  // x / (1 + exp(-1.702 x))
  kRelu,
  kReluSquared,
};

}  // namespace inferneo::kernels
