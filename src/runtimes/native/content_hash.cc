#include "runtimes/native/content_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace inferneo::runtimes::native {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void mix() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void add(std::uint64_t word) {
    v3 ^= word;
    mix();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t content_hash(std::span<const std::byte> bytes, const HashKey& key) {
  State state{key.low ^ 0x736f6d6570736575U,
              key.high ^ 0x646f72616e646f6dU,
              key.low ^ 0x6c7967656e657261U,
              key.high ^ 0x7465646279746573U};
  std::size_t at = 0;
  std::uint64_t word = 0;
  for (; at + sizeof(word) <= bytes.size(); at += sizeof(word)) {
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    state.add(word);
  }
  word = 0;
  if (at < bytes.size()) std::memcpy(&word, bytes.data() + at, bytes.size() - at);
  state.add(word | static_cast<std::uint64_t>(bytes.size()) << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.mix();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

Digest content_digest(std::span<const std::byte> bytes, const HashKey& key) {
  const HashKey other{~key.low, ~key.high};
  return {content_hash(bytes, key), content_hash(bytes, other)};
}

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t half : digest) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[half >> shift & 15];
  }
  return text;
}

std::vector<std::uint64_t> chunk_hashes(std::span<const std::byte> bytes,
                                        std::size_t chunk_size,
                                        const HashKey& key,
                                        device::CpuDevice& device) {
  std::vector<std::uint64_t> hashes((bytes.size() + chunk_size - 1) / chunk_size);
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const std::size_t at = i * chunk_size;
      hashes[i] = content_hash(bytes.subspan(at, std::min(chunk_size, bytes.size() - at)), key);
    }
  };
  device.parallel_for(static_cast<std::int64_t>(hashes.size()), 1, body);
  return hashes;
}

}  // namespace inferneo::runtimes::native
