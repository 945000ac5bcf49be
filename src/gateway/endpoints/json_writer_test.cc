#include "gateway/endpoints/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace inferneo::gateway::endpoints {
namespace {

TEST(json_writer, separates_members_and_elements) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("a", 1);
  json.key("b");
  json.begin_array();
  json.integer(std::int64_t{-5});
  json.null();
  json.boolean(true);
  json.begin_object();
  json.end_object();
  json.begin_array();
  json.end_array();
  json.end_array();
  json.member("c", "x");
  json.member_null("d");
  json.end_object();
  EXPECT_EQ(out, R"({"a":1,"b":[-5,null,true,{},[]],"c":"x","d":null})");
}

TEST(json_writer, members_written_before_are_part_of_the_object) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.members(R"("a":1,"b":2)");
  json.member("c", 3);
  json.end_object();
  EXPECT_EQ(out, R"({"a":1,"b":2,"c":3})");
}

std::string quoted(std::string_view text) {
  std::string out;
  JsonWriter(out).string(text);
  return out;
}

TEST(json_writer, escapes_what_must_be_escaped) {
  EXPECT_EQ(quoted(""), R"("")");
  EXPECT_EQ(quoted("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(quoted("\n\r\t"), R"("\n\r\t")");
  EXPECT_EQ(quoted(std::string_view("\0\x1f\x7f", 3)), R"("\u0000\u001f\u007f")");
  EXPECT_EQ(quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

// Plain text is passed over eight bytes at a time; what is special may stand anywhere in it.
TEST(json_writer, finds_each_special_byte_at_each_place) {
  for (int special = 0; special < 256; ++special) {
    const char c = static_cast<char>(special);
    const std::string alone = quoted(std::string_view(&c, 1));
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text(20, 'x');
      text[at] = c;
      const std::string expected = '"' + std::string(at, 'x') + alone.substr(1, alone.size() - 2) +
                                   std::string(19 - at, 'x') + '"';
      EXPECT_EQ(quoted(std::string_view(text)), expected) << special << " at " << at;
    }
  }
}

TEST(json_writer, never_writes_invalid_utf8) {
  EXPECT_EQ(quoted("a\xff"
                   "b\n"),
            "\"a\xef\xbf\xbd"
            "b\\n\"");
  EXPECT_EQ(quoted("\xe2\x82"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(quoted("\xe2\x82\"x"), "\"\xef\xbf\xbd\\\"x\"");
}

TEST(json_writer, numbers_are_json) {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  json.number(0.5);
  json.number(-1e-7);
  json.number(INFINITY);
  json.number(NAN);
  json.integer(std::uint64_t{18446744073709551615U});
  json.end_array();
  EXPECT_EQ(out, "[0.5,-1e-07,null,null,18446744073709551615]");
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
