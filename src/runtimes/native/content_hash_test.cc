#include "runtimes/native/content_hash.h"

#include <gtest/gtest.h>

#include <numeric>

namespace inferneo::runtimes::native {
namespace {

std::vector<std::byte> counting_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

// From CPython 3.11, whose hash() of bytes is this one, with the key 0: PYTHONHASHSEED=0 python3 -c
// "for n in (1,7,8,9,63,64,100): print(hex(hash(bytes(range(n)))&(2**64-1)))"
TEST(ContentHash, equals_the_reference) {
  const auto hash = [](std::size_t size) { return content_hash(counting_bytes(size), {}); };
  EXPECT_EQ(hash(1), 0x68a914128e01e473U);
  EXPECT_EQ(hash(7), 0x2f098ab0c751325aU);
  EXPECT_EQ(hash(8), 0xead411e67ebe2eeaU);
  EXPECT_EQ(hash(9), 0x75927f9d95124362U);
  EXPECT_EQ(hash(63), 0x385d3e39e5f37359U);
  EXPECT_EQ(hash(64), 0x75e05fd5bbc870c6U);
  EXPECT_EQ(hash(100), 0x1c6a66e1506e7908U);
}

TEST(ContentHash, depends_on_the_key) {
  const auto bytes = counting_bytes(50);
  EXPECT_NE(content_hash(bytes, {}), content_hash(bytes, {1, 0}));
  EXPECT_NE(content_hash(bytes, {}), content_hash(bytes, {0, 1}));
  const Digest digest = content_digest(bytes, {3, 4});
  EXPECT_NE(digest[0], digest[1]);
  EXPECT_EQ(to_hex({0x0123456789abcdefU, 0xfU}), "0123456789abcdef000000000000000f");
}

TEST(ContentHash, chunks_are_the_same_for_any_thread_count) {
  const auto one = device::CpuDevice::create({1, ""}).value();
  const auto two = device::CpuDevice::create({2, ""}).value();
  const auto bytes = counting_bytes(10'001);
  const auto hashes = chunk_hashes(bytes, 1000, {1, 2}, *one);
  ASSERT_EQ(hashes.size(), 11U);
  EXPECT_EQ(hashes, chunk_hashes(bytes, 1000, {1, 2}, *two));
  EXPECT_EQ(hashes[10], content_hash(std::span(bytes).last(1), {1, 2}));
  EXPECT_TRUE(chunk_hashes({}, 1000, {}, *two).empty());
}

}  // namespace
}  // namespace inferneo::runtimes::native
