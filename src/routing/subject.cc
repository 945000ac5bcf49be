#include "routing/subject.h"

namespace inferneo::routing {

// Source: FNV-1a, 64 bits (Fowler, Noll, Vo); position_of() mixes the result.
SubjectHash& SubjectHash::add(std::string_view text) {
  constexpr std::uint64_t kPrime = 0x100000001b3U;
  for (const char c : text) {
    state_ = (state_ ^ static_cast<unsigned char>(c)) * kPrime;
  }
  for (std::uint64_t size = text.size(), i = 0; i < 8; ++i, size >>= 8) {
    state_ = (state_ ^ (size & 0xff)) * kPrime;
  }
  return *this;
}

}  // namespace inferneo::routing
