// Keyed hashes of weights: what names a packed form by its content, and what finds damage in it.
// Spec: SipHash (Aumasson, Bernstein 2012) with 1 round a word and 3 at the end. Who does not know
// the key cannot make two contents collide; with a key that everyone knows it is a checksum.
// Thread: any (pure functions).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/cpu.h"

namespace inferneo::runtimes::native {

struct HashKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
// About 3 GB/s on one core.
std::uint64_t content_hash(std::span<const std::byte> bytes, const HashKey& key);

// Two hashes under two keys, wide enough to be a name.
using Digest = std::array<std::uint64_t, 2>;
Digest content_digest(std::span<const std::byte> bytes, const HashKey& key);
// 32 hexadecimal digits.
std::string to_hex(const Digest& digest);

// One hash for each chunk, the last of which may be short; in parallel on the device's threads.
std::vector<std::uint64_t> chunk_hashes(std::span<const std::byte> bytes,
                                        std::size_t chunk_size,
                                        const HashKey& key,
                                        device::CpuDevice& device);

}  // namespace inferneo::runtimes::native
