#include "runtimes/native/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace inferneo::runtimes::native {
namespace {

using testing::HasSubstr;

// A whole file: two chunks and a short one.
std::vector<std::byte> make_file() {
  const std::uint64_t size = 2 * kPackedChunkSize + 100;
  auto bytes = write_packed_header({{1, 2}, {3, 4}, size, {5, 6, 7}});
  bytes.resize(bytes.size() + size);
  return bytes;
}

std::string refusal(std::span<const std::byte> file) {
  const auto header = parse_packed_header(file);
  if (header) return "none";
  EXPECT_EQ(header.error().code(), StatusCode::kCorruptData);
  return header.error().message();
}

TEST(PackedFile, header_comes_back) {
  const auto file = make_file();
  const auto header = parse_packed_header(file).value();
  EXPECT_EQ(header.plan, (Digest{1, 2}));
  EXPECT_EQ(header.source, (Digest{3, 4}));
  EXPECT_EQ(header.image_size, 2 * kPackedChunkSize + 100);
  EXPECT_THAT(header.chunk_hashes, testing::ElementsAre(5, 6, 7));
  EXPECT_EQ(packed_image_offset(header.image_size), 4096U);
  EXPECT_EQ(packed_image_offset(600 * kPackedChunkSize), 8192U);
  EXPECT_TRUE(parse_packed_header(write_packed_header({})));
}

TEST(PackedFile, every_flipped_bit_of_the_header_is_found) {
  auto file = make_file();
  for (std::size_t bit = 0; bit < (64 + 4 * 8) * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    file[bit / 8] ^= mask;
    EXPECT_FALSE(parse_packed_header(file)) << bit;
    file[bit / 8] ^= mask;
  }
  EXPECT_TRUE(parse_packed_header(file));
}

TEST(PackedFile, refusals_say_what_is_wrong) {
  const auto file = make_file();
  for (const std::size_t size : {std::size_t{0}, std::size_t{63}}) {
    EXPECT_THAT(refusal(std::span(file).first(size)), HasSubstr("less than a header"));
  }
  for (const std::size_t size : {std::size_t{64}, std::size_t{4096}, file.size() - 1}) {
    EXPECT_THAT(refusal(std::span(file).first(size)), HasSubstr("do not fit an image"));
  }
  auto longer = file;
  longer.emplace_back();
  EXPECT_THAT(refusal(longer), HasSubstr("do not fit an image"));
  const auto with = [&](std::size_t at, std::uint64_t value) {
    auto changed = file;
    std::memcpy(changed.data() + at, &value, sizeof(value));
    return refusal(changed);
  };
  EXPECT_THAT(with(0, 0), HasSubstr("not a file of packed weights"));
  EXPECT_THAT(with(8, 2), HasSubstr("format version 2"));
  EXPECT_THAT(with(48, ~0ULL), HasSubstr("do not fit"));
  EXPECT_THAT(with(48, ~0ULL - 4095), HasSubstr("do not fit"));
  EXPECT_THAT(with(56, 1), HasSubstr("chunks of 1 "));
  EXPECT_THAT(with(64, 6), HasSubstr("does not match its hash"));
}

}  // namespace
}  // namespace inferneo::runtimes::native
