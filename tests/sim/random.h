// What a seed decides.
#pragma once

#include <cstdint>

namespace inferneo::sim {

// Draws whole numbers of one type. Spec: splitmix64 (Sebastiano Vigna, public domain).
template <typename Integer>
class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }
  // Uniform in low .. high.
  Integer between(Integer low, Integer high) {
    return low + static_cast<Integer>(bits() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double probability) {
    return static_cast<double>(bits() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

}  // namespace inferneo::sim
