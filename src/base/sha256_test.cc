#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace inferneo {
namespace {

// Source: FIPS 180-4 examples and the NIST test vectors for long messages.
TEST(Sha256, published_examples) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, the_cut_of_the_message_does_not_matter) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  const auto bytes = std::as_bytes(std::span<const char>(text));
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string whole = sha256_hex(std::string_view(text).substr(0, size));
    Sha256 hash;
    const std::size_t cut = size / 3;
    hash.update(bytes.first(cut));
    hash.update({});
    hash.update(bytes.subspan(cut, size - cut));
    EXPECT_EQ(hash.hex_digest(), whole) << size;
  }
}

}  // namespace
}  // namespace inferneo
