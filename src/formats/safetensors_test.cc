#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::formats {
namespace {

using testing::HasSubstr;

std::string file_of(const std::string& header, std::size_t data_size) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return file + header + std::string(data_size, '\1');
}

Result<std::vector<SafetensorsEntry>> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "f");
}

std::string tensor(const std::string& name,
                   const std::string& dtype,
                   const std::string& shape,
                   std::uint64_t begin,
                   std::uint64_t end) {
  return str('"',
             name,
             R"(":{"dtype":")",
             dtype,
             R"(","shape":)",
             shape,
             R"(,"data_offsets":[)",
             begin,
             ",",
             end,
             "]}");
}

TEST(Safetensors, reads_tensors_in_order_of_their_data) {
  const std::string file = file_of(
      "{\"__metadata__\":{\"format\":\"pt\"}," + tensor("b", "BF16", "[2,3]", 4, 16) + "," +
          tensor("a", "F32", "[]", 0, 4) + "," + tensor("none", "F16", "[0,7]", 16, 16) + "}   ",
      16);
  const auto entries = parse(file);
  ASSERT_TRUE(entries) << entries.error().to_string();
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[0].view.shape, tensor::Shape());
  EXPECT_EQ((*entries)[1].name, "b");
  EXPECT_EQ((*entries)[1].view.shape, tensor::Shape({2, 3}));
  EXPECT_EQ((*entries)[1].view.dtype, tensor::DType::kBf16);
  EXPECT_EQ(reinterpret_cast<const char*>((*entries)[1].view.data), file.data() + file.size() - 12);
  EXPECT_EQ((*entries)[2].view.byte_size(), 0U);
}

TEST(Safetensors, decodes_escaped_names) {
  const auto entries =
      parse(file_of("{" + tensor(R"(a\u00e9\n\ud83d\ude00)", "U8", "[1]", 0, 1) + "}", 1));
  ASSERT_TRUE(entries) << entries.error().to_string();
  EXPECT_EQ((*entries)[0].name, "a\xC3\xA9\n\xF0\x9F\x98\x80");
}

struct Broken {
  const char* name;
  std::string file;
  StatusCode code;
  std::string message;
};

class BrokenSafetensors : public testing::TestWithParam<Broken> {};

TEST_P(BrokenSafetensors, is_refused) {
  const auto entries = parse(GetParam().file);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code(), GetParam().code) << entries.error().to_string();
  EXPECT_THAT(entries.error().message(), HasSubstr(GetParam().message));
  EXPECT_THAT(entries.error().message(), testing::StartsWith("f: "));
}

std::vector<Broken> broken_files() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  const std::string good = "{" + tensor("a", "F32", "[2]", 0, 8) + "}";
  const auto one = [](const std::string& body, std::size_t size = 8) {
    return file_of("{\"a\":{" + body + "}}", size);
  };
  std::string huge_length = file_of(good, 8);
  huge_length[7] = '\x7F';
  return {
      {"empty", "", kCorrupt, "0 bytes"},
      {"seven_bytes", "1234567", kCorrupt, "7 bytes"},
      {"length_only", std::string("\2\0\0\0\0\0\0\0", 8), kCorrupt, "past the end of the file"},
      {"length_huge", huge_length, kCorrupt, "header length"},
      {"length_all_ones", std::string(8, '\xFF') + "{}", kCorrupt, "18446744073709551615"},
      {"length_zero", std::string(16, '\0'), kCorrupt, "'{' at byte 8"},
      {"first_byte", file_of(" " + good, 8), kCorrupt, "'{' at byte 8"},
      {"array_header", file_of("[]", 0), kCorrupt, "'{' at byte 8"},
      {"unclosed", file_of("{", 0), kCorrupt, "at byte 9"},
      {"text_after", file_of(good + "x", 8), kCorrupt, "after the end"},
      {"two_objects", file_of(good + "{}", 8), kCorrupt, "after the end"},
      {"zero_padding", file_of(good + std::string(3, '\0'), 8), kCorrupt, "after the end"},
      {"trailing_comma",
       file_of("{" + tensor("a", "F32", "[2]", 0, 8) + ",}", 8),
       kCorrupt,
       "'\"' should be"},
      {"value_is_number", file_of("{\"a\":3}", 0), kCorrupt, "tensor \"a\""},
      {"value_is_null", file_of("{\"a\":null}", 0), kCorrupt, "tensor \"a\""},
      {"no_dtype", one(R"("shape":[2],"data_offsets":[0,8])"), kCorrupt, "has no dtype"},
      {"no_shape", one(R"("dtype":"F32","data_offsets":[0,8])"), kCorrupt, "has no shape"},
      {"no_offsets", one(R"("dtype":"F32","shape":[2])"), kCorrupt, "has no data_offsets"},
      {"unknown_key",
       one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)"),
       kCorrupt,
       "unknown key \"x\""},
      {"dtype_twice",
       one(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       "two values of dtype"},
      {"unknown_dtype",
       one(R"("dtype":"F12","shape":[2],"data_offsets":[0,8])"),
       StatusCode::kUnsupported,
       "element type \"F12\""},
      {"dtype_number",
       one(R"("dtype":1,"shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       "tensor \"a\""},
      {"negative_dim",
       one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
       kCorrupt,
       "non-negative integer"},
      {"fraction_dim",
       one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
       kCorrupt,
       "non-negative integer"},
      {"exponent_dim",
       one(R"("dtype":"F32","shape":[2e0],"data_offsets":[0,8])"),
       kCorrupt,
       "non-negative integer"},
      {"leading_zero",
       one(R"("dtype":"F32","shape":[02],"data_offsets":[0,8])"),
       kCorrupt,
       "non-negative integer"},
      {"dim_above_64_bits",
       one(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])"),
       kCorrupt,
       "above 2^64"},
      {"dim_above_63_bits",
       one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
       kCorrupt,
       "dimension of 18446744073709551615"},
      {"product_wraps",
       one(R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8])"),
       kCorrupt,
       "does not fit in 63 bits"},
      {"product_wraps_to_size",
       one(R"("dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8])"),
       kCorrupt,
       "does not fit in 63 bits"},
      {"product_wraps_beside_zero",
       one(R"("dtype":"F32","shape":[0,4611686018427387904,9],"data_offsets":[0,0])"),
       kCorrupt,
       "does not fit in 63 bits"},
      {"rank_nine",
       one(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])"),
       StatusCode::kUnsupported,
       "more than 8 dimensions"},
      {"size_too_small",
       one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
       kCorrupt,
       "needs 12 bytes"},
      {"size_too_large",
       one(R"("dtype":"F16","shape":[3],"data_offsets":[0,8])"),
       kCorrupt,
       "needs 6 bytes"},
      {"one_offset",
       one(R"("dtype":"F32","shape":[2],"data_offsets":[0])"),
       kCorrupt,
       "',' should be"},
      {"three_offsets",
       one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,9])"),
       kCorrupt,
       "']' should be"},
      {"reversed", one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), kCorrupt, "reversed"},
      {"past_the_end",
       one(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"),
       kCorrupt,
       "past the end of the data"},
      {"truncated", file_of(good, 7), kCorrupt, "cut short"},
      {"no_data", file_of(good, 0), kCorrupt, "cut short"},
      {"trailing_byte", file_of(good, 9), kCorrupt, "1 bytes after its last tensor"},
      {"data_without_tensor", file_of("{}", 1), kCorrupt, "1 bytes after"},
      {"gap_at_start",
       one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
       kCorrupt,
       "gap of 4 bytes"},
      {"gap_between",
       file_of("{" + tensor("a", "U8", "[2]", 0, 2) + "," + tensor("b", "U8", "[2]", 3, 5) + "}",
               5),
       kCorrupt,
       "tensor \"b\""},
      {"overlap",
       file_of("{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("b", "U8", "[3]", 2, 5) + "}",
               5),
       kCorrupt,
       "overlaps tensor \"a\""},
      {"same_place",
       file_of("{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("b", "U8", "[3]", 0, 3) + "}",
               3),
       kCorrupt,
       "overlaps"},
      {"same_name",
       file_of("{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("a", "U8", "[3]", 3, 6) + "}",
               6),
       kCorrupt,
       "already described"},
      {"same_name_escaped",
       file_of(
           "{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("\\u0061", "U8", "[3]", 3, 6) + "}",
           6),
       kCorrupt,
       "already described"},
      {"metadata_not_object", file_of("{\"__metadata__\":[]}", 0), kCorrupt, "'{' should be"},
      {"metadata_not_text", file_of("{\"__metadata__\":{\"a\":1}}", 0), kCorrupt, "'\"' should be"},
      {"metadata_twice",
       file_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0),
       kCorrupt,
       "second __metadata__"},
      {"metadata_key_twice",
       file_of(R"({"__metadata__":{"a":"","a":""}})", 0),
       kCorrupt,
       "duplicate key"},
      {"name_bad_utf8",
       file_of("{" + tensor("\xFF", "U8", "[1]", 0, 1) + "}", 1),
       kCorrupt,
       "invalid UTF-8"},
      {"name_control",
       file_of("{" + tensor("\n", "U8", "[1]", 0, 1) + "}", 1),
       kCorrupt,
       "control character"},
      {"lone_surrogate",
       file_of("{" + tensor("\\ud800", "U8", "[1]", 0, 1) + "}", 1),
       kCorrupt,
       "surrogate"},
      {"bad_escape",
       file_of("{" + tensor("\\x", "U8", "[1]", 0, 1) + "}", 1),
       kCorrupt,
       "unknown escape"},
      {"nested", file_of("{\"a\":" + std::string(100'000, '['), 0), kCorrupt, "tensor \"a\""},
      {"pickle",
       std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14),
       kCorrupt,
       "past the end"},
      {"zip", std::string("PK\3\4\24\0\0\0\0\0\0\0", 12), kCorrupt, "header"},
  };
}

INSTANTIATE_TEST_SUITE_P(Files,
                         BrokenSafetensors,
                         testing::ValuesIn(broken_files()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Safetensors, every_truncation_is_refused) {
  const std::string file = file_of(
      "{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("b", "F16", "[2,2]", 3, 11) + "}", 11);
  ASSERT_TRUE(parse(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse(file.substr(0, size))) << size;
  }
}

// The largest headers that are allowed, and one tensor more.
TEST(Safetensors, hostile_headers_take_less_than_a_second) {
  std::string many = "{";
  for (std::size_t i = 0; i <= limits::kTensorCountMax; ++i) {
    many += str(i == 0 ? "" : ",", tensor(str("t", i), "U8", "[1]", i, i + 1));
  }
  std::string metadata = "{\"__metadata__\":{\"a\":\"";
  metadata += std::string(60'000'000, 'x') + "\"}}";
  std::string keys = "{\"__metadata__\":{";
  for (int i = 0; i < 3'000'000; ++i) keys += str(i == 0 ? "" : ",", '"', i, "\":\"\"");
  for (const std::string& header : {many + "}", metadata, keys + "}}"}) {
    const std::string file = file_of(header, 0);
    const auto begin = std::chrono::steady_clock::now();
    const auto entries = parse(file);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(elapsed.count(), 1.0) << header.substr(0, 40);
    EXPECT_EQ(entries.has_value(), header == metadata);
  }
}

}  // namespace
}  // namespace inferneo::formats
