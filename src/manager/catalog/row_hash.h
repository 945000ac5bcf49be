// A 64-bit hash of a row, so that the store can tell that no row was lost, added or altered by a
// damaged disk: the sum over all rows is kept beside them. Against accidents, not against people.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace inferneo::manager::catalog {

class RowHash {
 public:
  void add(std::string_view text) {
    for (const char c : text) step(static_cast<unsigned char>(c));
    add(static_cast<std::uint64_t>(text.size()));
  }
  void add(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      step(static_cast<unsigned char>((value >> shift) & 0xff));
    }
  }
  // Spec: FNV-1a, finished with the mixer of MurmurHash3, because sums of hashes need every bit to
  // depend on all input.
  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t x = state_;
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdU;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53U;
    return x ^ (x >> 33);
  }

 private:
  void step(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001b3U; }

  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace inferneo::manager::catalog
