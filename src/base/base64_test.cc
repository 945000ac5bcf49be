#include "base/base64.h"

#include <gtest/gtest.h>

#include <string_view>

namespace inferneo {
namespace {

std::string encode(std::string_view text) {
  std::string out;
  append_base64(out, std::as_bytes(std::span(text)));
  return out;
}

// Spec: RFC 4648 section 10.
TEST(Base64, agrees_with_the_vectors_of_the_rfc) {
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foob"), "Zm9vYg==");
  EXPECT_EQ(encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode("\xff\xfe\xfd"), "//79");
}

TEST(Base64, decodes_what_it_encoded) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64(encode(bytes)), bytes);
    bytes += static_cast<char>(i * 37);
  }
}

TEST(Base64, refuses_what_is_not_base64) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Z===", "Zg=v", "Zm9v=", "Zm 9", "Zm9-", "====", "Zg==Zg=="}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace inferneo
