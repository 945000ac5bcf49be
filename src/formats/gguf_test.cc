#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "formats/gguf_writer.h"

namespace inferneo::formats {
namespace {

using tensor::DType;
using tensor::Shape;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}
std::string u8(int value) { return std::string(1, static_cast<char>(value)); }
std::string u32(std::uint32_t value) { return raw(value); }
std::string u64(std::uint64_t value) { return raw(value); }
std::string text(std::string_view value) { return u64(value.size()) + std::string(value); }
std::string header(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
  return "GGUF" + u32(version) + u64(tensors) + u64(entries);
}
std::string entry(std::string_view key, std::uint32_t type, const std::string& value) {
  return text(key) + u32(type) + value;
}
std::string array(std::string_view key,
                  std::uint32_t type,
                  std::uint64_t count,
                  std::string values) {
  return text(key) + u32(9) + u32(type) + u64(count) + std::move(values);
}
// Dimensions innermost first, as in the file.
std::string tensor(std::string_view name,
                   const std::vector<std::uint64_t>& dims,
                   std::uint32_t type,
                   std::uint64_t offset) {
  std::string out = text(name) + u32(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) out += u64(dim);
  return out + u32(type) + u64(offset);
}
std::string padded(std::string file, std::size_t data_size, std::size_t alignment = 32) {
  file.resize((file.size() + alignment - 1) / alignment * alignment);
  return file + std::string(data_size, '\1');
}

Result<GgufHeader> parse(const std::string& file) {
  return parse_gguf(std::as_bytes(std::span(file)));
}

std::vector<std::int64_t> integers(const GgufMetadata& metadata, std::string_view key) {
  const auto found = metadata.numbers(key);
  if (!found || *found == nullptr) return {-1};
  const auto* values = std::get_if<std::vector<std::int64_t>>(*found);
  return values == nullptr ? std::vector<std::int64_t>{-2} : *values;
}

TEST(Gguf, reads_every_type_of_value) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  const std::string file =
      header(0, 14) + entry("u8", 0, u8(200)) + entry("i8", 1, u8(-3)) +
      entry("u16", 2, raw<std::uint16_t>(65535)) + entry("i16", 3, raw<std::int16_t>(-4)) +
      entry("u32", 4, u32(4294967295U)) + entry("i32", 5, raw<std::int32_t>(-5)) +
      entry("f32", 6, raw(0.5F)) + entry("yes", 7, u8(1)) + entry("no", 7, u8(0)) +
      entry("text", 8, text("h\xC3\xA9")) + entry("u64", 10, u64(1)) +
      entry("i64", 11, raw(kLeast)) + entry("f64", 12, raw(0.1)) + entry("empty", 8, text(""));
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  const GgufMetadata& metadata = parsed->metadata;
  EXPECT_EQ(parsed->version, 3U);
  EXPECT_EQ(metadata.entries().size(), 14U);
  EXPECT_EQ(**metadata.integer("u8"), 200);
  EXPECT_EQ(**metadata.integer("i8"), -3);
  EXPECT_EQ(**metadata.integer("u16"), 65535);
  EXPECT_EQ(**metadata.integer("i16"), -4);
  EXPECT_EQ(**metadata.integer("u32"), 4294967295);
  EXPECT_EQ(**metadata.integer("i32"), -5);
  EXPECT_EQ(**metadata.integer("i64"), kLeast);
  EXPECT_EQ(**metadata.number("f32"), 0.5);
  EXPECT_EQ(**metadata.number("f64"), 0.1);
  EXPECT_EQ(**metadata.number("u64"), 1.0);
  EXPECT_EQ(**metadata.boolean("yes"), true);
  EXPECT_EQ(**metadata.boolean("no"), false);
  EXPECT_EQ(**metadata.text("text"), "h\xC3\xA9");
  EXPECT_EQ(**metadata.text("empty"), "");
}

TEST(Gguf, reads_arrays_of_every_type) {
  const std::string file =
      header(0, 12, 2) + array("u8", 0, 2, u8(1) + u8(255)) + array("i8", 1, 1, u8(-1)) +
      array("u16", 2, 1, raw<std::uint16_t>(2)) + array("i16", 3, 1, raw<std::int16_t>(-2)) +
      array("u32", 4, 1, u32(4294967295U)) + array("i32", 5, 1, raw<std::int32_t>(-5)) +
      array("f32", 6, 2, raw(0.5F) + raw(-1.F)) + array("bool", 7, 3, u8(1) + u8(0) + u8(1)) +
      array("text", 8, 2, text("a") + text("")) + array("u64", 10, 1, u64(1)) +
      array("i64", 11, 1, raw<std::int64_t>(-7)) + array("none", 8, 0, "");
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  const GgufMetadata& metadata = parsed->metadata;
  EXPECT_EQ(parsed->version, 2U);
  EXPECT_THAT(integers(metadata, "u8"), ElementsAre(1, 255));
  EXPECT_THAT(integers(metadata, "i8"), ElementsAre(-1));
  EXPECT_THAT(integers(metadata, "u16"), ElementsAre(2));
  EXPECT_THAT(integers(metadata, "i16"), ElementsAre(-2));
  EXPECT_THAT(integers(metadata, "u32"), ElementsAre(4294967295));
  EXPECT_THAT(integers(metadata, "i32"), ElementsAre(-5));
  EXPECT_THAT(integers(metadata, "bool"), ElementsAre(1, 0, 1));
  EXPECT_THAT(integers(metadata, "u64"), ElementsAre(1));
  EXPECT_THAT(integers(metadata, "i64"), ElementsAre(-7));
  EXPECT_THAT(std::get<std::vector<double>>(**metadata.numbers("f32")), ElementsAre(0.5, -1.0));
  EXPECT_THAT(**metadata.texts("text"), ElementsAre("a", ""));
  EXPECT_TRUE((**metadata.texts("none")).empty());
}

TEST(Gguf, absent_keys_are_no_failure) {
  const GgufMetadata metadata;
  EXPECT_EQ(*metadata.integer("x"), std::nullopt);
  EXPECT_EQ(*metadata.number("x"), std::nullopt);
  EXPECT_EQ(*metadata.boolean("x"), std::nullopt);
  EXPECT_EQ(*metadata.text("x"), std::nullopt);
  EXPECT_EQ(*metadata.texts("x"), nullptr);
  EXPECT_EQ(*metadata.numbers("x"), nullptr);
}

TEST(Gguf, a_value_of_another_type_is_named) {
  const std::string file = header(0, 3) + entry("big", 10, u64(1ULL << 63)) +
                           entry("name", 8, text("x")) + array("list", 4, 0, "");
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  const GgufMetadata& metadata = parsed->metadata;
  EXPECT_EQ(metadata.integer("big").error().message(),
            "key \"big\" is 9223372036854775808, which does not fit in 63 bits");
  EXPECT_EQ(metadata.integer("name").error().message(),
            "key \"name\" should be an integer, but is a string");
  EXPECT_EQ(metadata.integer("name").error().code(), StatusCode::kCorruptData);
  EXPECT_EQ(metadata.number("name").error().message(),
            "key \"name\" should be a number, but is a string");
  EXPECT_EQ(metadata.boolean("big").error().message(),
            "key \"big\" should be a bool, but is an unsigned integer");
  EXPECT_EQ(metadata.text("list").error().message(),
            "key \"list\" should be a string, but is an array of integers");
  EXPECT_EQ(metadata.texts("list").error().message(),
            "key \"list\" should be an array of strings, but is an array of integers");
  EXPECT_EQ(metadata.numbers("name").error().message(),
            "key \"name\" should be an array of numbers, but is a string");
}

TEST(Gguf, finds_tensors_with_shapes_outermost_first) {
  const std::string file =
      padded(header(4, 1) + entry("general.alignment", 4, u32(64)) + tensor("q", {64, 3}, 2, 0) +
                 tensor("v", {5}, 0, 128) + tensor("none", {32, 0, 7}, 0, 192) +
                 tensor("four", {1, 2, 3, 2}, 30, 192),
             192 + 24,
             64);
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  const auto& weights = parsed->weights;
  const auto* data = reinterpret_cast<const std::byte*>(file.data()) + file.size() - 216;
  ASSERT_NE(weights.find("q"), nullptr);
  EXPECT_EQ(weights.find("q")->shape, Shape({3, 64}));
  EXPECT_EQ(weights.find("q")->dtype, DType::kQ4_0);
  EXPECT_EQ(weights.find("q")->data, data);
  EXPECT_EQ(weights.find("v")->data, data + 128);
  EXPECT_EQ(weights.find("four")->shape, Shape({2, 3, 2, 1}));
  EXPECT_EQ(weights.find("four")->dtype, DType::kBf16);
  EXPECT_EQ(weights.find("four")->data, data + 192);
  EXPECT_EQ(weights.find("none")->byte_size(), 0U);
}

TEST(Gguf, reads_every_tensor_type_that_it_names) {
  const std::pair<std::uint32_t, DType> types[] = {
      {0, DType::kF32},    {1, DType::kF16},    {2, DType::kQ4_0},  {3, DType::kQ4_1},
      {6, DType::kQ5_0},   {7, DType::kQ5_1},   {8, DType::kQ8_0},  {10, DType::kQ2_K},
      {11, DType::kQ3_K},  {12, DType::kQ4_K},  {13, DType::kQ5_K}, {14, DType::kQ6_K},
      {20, DType::kIq4Nl}, {23, DType::kIq4Xs}, {24, DType::kI8},   {25, DType::kI16},
      {26, DType::kI32},   {27, DType::kI64},   {28, DType::kF64},  {30, DType::kBf16},
      {39, DType::kMxfp4}};
  for (const auto& [number, dtype] : types) {
    const auto parsed = parse(padded(header(1, 0) + tensor("t", {256}, number, 0), 256 * 8));
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(parsed->weights.find("t")->dtype, dtype);
  }
}

TEST(Gguf, an_unsupported_tensor_type_names_itself_the_tensor_and_what_is_supported) {
  const auto parsed = parse(padded(header(1, 0) + tensor("blk.0.w", {256}, 16, 0), 66));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code(), StatusCode::kUnsupported);
  EXPECT_EQ(parsed.error().message(),
            "tensor \"blk.0.w\" (described at byte 24) has the element type IQ2_XXS (type 16); "
            "supported types are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, "
            "Q6_K, IQ4_NL, IQ4_XS, I8, I16, I32, I64, F64, BF16, MXFP4");
  EXPECT_THAT(parsed.error().hint(), HasSubstr("quantise"));
}

struct Broken {
  const char* name;
  std::string file;
  StatusCode code;
  std::string message;
};

class BrokenGguf : public testing::TestWithParam<Broken> {};

TEST_P(BrokenGguf, is_refused) {
  const auto parsed = parse(GetParam().file);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code(), GetParam().code) << parsed.error().to_string();
  EXPECT_THAT(parsed.error().message(), HasSubstr(GetParam().message));
}

std::vector<Broken> broken_headers() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kUnsupported = StatusCode::kUnsupported;
  constexpr auto kTooLarge = StatusCode::kResourceExhausted;
  const std::string zeros(1'000'000, '\0');
  return {
      {"empty", "", kCorrupt, "0 bytes does not begin with \"GGUF\""},
      {"three_bytes", "GGU", kCorrupt, "3 bytes"},
      {"other_magic", "ggjt" + zeros, kCorrupt, "does not begin with \"GGUF\""},
      {"magic_only", "GGUF", kCorrupt, "the GGUF header at byte 4 reaches past the end"},
      {"version_0", header(0, 0, 0), kUnsupported, "version 0 at byte 4"},
      {"version_1", header(0, 0, 1), kUnsupported, "version 1 at byte 4; versions 2 and 3"},
      {"version_4", header(0, 0, 4), kUnsupported, "version 4 at byte 4"},
      {"big_endian", header(0, 0, 0x03000000), kUnsupported, "big-endian"},
      {"no_tensor_count", "GGUF" + u32(3), kCorrupt, "the number of tensors at byte 8"},
      {"no_entry_count",
       "GGUF" + u32(3) + u64(0),
       kCorrupt,
       "number of metadata entries at byte 16"},
      {"tensor_count_huge", header(~0ULL, 0), kCorrupt, "18446744073709551615 tensors (byte 8)"},
      {"tensor_count_wraps", header(1ULL << 60, 0) + zeros, kCorrupt, "cannot lie in the"},
      {"entry_count_huge", header(0, 1ULL << 63), kCorrupt, "9223372036854775808 metadata entries"},
      {"entry_count_over_limit", header(0, 70'000) + zeros, kTooLarge, "above the limit of 65536"},
      {"tensor_count_over_limit",
       header(limits::kTensorCountMax + 1, 0) + std::string(5'000'000, '\0'),
       kTooLarge,
       "above the limit of 200000"},
      {"entries_missing", header(0, 1) + zeros.substr(0, 3), kCorrupt, "cannot lie in the 3 bytes"},
  };
}

std::vector<Broken> broken_metadata() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kUnsupported = StatusCode::kUnsupported;
  constexpr auto kTooLarge = StatusCode::kResourceExhausted;
  const std::string zeros(32, '\0');
  const std::string one = header(0, 1);
  const std::string tail = std::string(64, '\0');
  return {
      {"key_empty",
       one + entry("", 4, u32(1)) + tail,
       kCorrupt,
       "entry 0 at byte 24 has a key of 0"},
      {"key_long",
       one + entry(std::string(65'536, 'k'), 4, u32(1)),
       kCorrupt,
       "has a key of 65536 bytes"},
      {"key_length_huge",
       one + u64(~0ULL) + tail,
       kCorrupt,
       "the key of metadata entry 0 of 18446744073709551615 bytes at byte 24 reaches past the end"},
      {"key_past_end", one + u64(100) + tail, kCorrupt, "of 100 bytes at byte 24"},
      {"key_twice",
       header(0, 2) + entry("a", 4, u32(1)) + entry("a", 4, u32(1)),
       kCorrupt,
       "key \"a\" at byte 41 appears a second time"},
      {"type_unknown",
       one + entry("a", 13, u64(0)),
       kCorrupt,
       "key \"a\" at byte 37 has values of the unknown type 13"},
      {"type_missing", header(0, 1) + text("abcdefgh"), kCorrupt, "the type of key \"abcdefgh\""},
      {"value_missing", one + entry("abc", 10, "1234"), kCorrupt, "the value of key \"abc\""},
      {"bool_of_2", one + entry("abc", 7, u8(2)), kCorrupt, "a bool with the value 2"},
      // A length of 3 GiB: no sign or wrap makes it small.
      {"text_of_3_gib",
       one + entry("tokenizer.chat_template", 8, u64(3ULL << 30) + tail),
       kCorrupt,
       "the string of key \"tokenizer.chat_template\" of 3221225472 bytes at byte 59"},
      {"text_length_wraps", one + entry("a", 8, u64(~0ULL - 7) + tail), kCorrupt, "past the end"},
      {"array_in_array", one + array("a", 9, 1, tail), kUnsupported, "an array of arrays"},
      {"array_type_unknown", one + array("a", 77, 1, tail), kCorrupt, "the unknown type 77"},
      {"array_cut",
       one + text("abcdef") + u32(9) + u32(4),
       kCorrupt,
       "the array of key \"abcdef\""},
      {"array_count_huge",
       one + array("a", 4, ~0ULL, tail),
       kCorrupt,
       "claims 18446744073709551615"},
      {"array_count_wraps", one + array("a", 4, (1ULL << 62) + 1, tail), kCorrupt, "claims 4611"},
      {"array_one_too_many", one + array("a", 12, 9, tail), kCorrupt, "claims 9 elements"},
      {"texts_count_huge", one + array("a", 8, 9, tail), kCorrupt, "claims 9 elements"},
      {"text_in_array_past_end",
       one + array("tokenizer.ggml.tokens", 8, 2, text("ab") + u64(1ULL << 40)),
       kCorrupt,
       "string 1 of key \"tokenizer.ggml.tokens\" of 1099511627776 bytes"},
      {"text_in_array_cut",
       one + array("abc", 8, 2, text("0123456789") + "12"),
       kCorrupt,
       "string 1 of key \"abc\" at byte"},
      {"bool_in_array", one + array("a", 7, 2, u8(1) + u8(7)), kCorrupt, "a bool with the value 7"},
      {"number_above_63_bits",
       one + array("a", 10, 1, u64(1ULL << 63)),
       kCorrupt,
       "9223372036854775808, which does not fit in 63 bits"},
      {"array_over_limit",
       one + array("a", 0, (16U << 20) + 1, std::string((16U << 20) + 1, '\0')),
       kTooLarge,
       "has 16777217 elements"},
      {"arrays_over_limit_together",
       header(0, 2) + array("a", 0, 16U << 20, std::string(16U << 20, '\0')) +
           array("b", 0, 1, u8(0)),
       kTooLarge,
       "key \"b\""},
      {"alignment_0", one + entry("general.alignment", 4, u32(0)), kCorrupt, "is 0; it must be"},
      {"alignment_4", one + entry("general.alignment", 4, u32(4)), kCorrupt, "is 4; it must be"},
      {"alignment_48", one + entry("general.alignment", 4, u32(48)), kCorrupt, "is 48; it must be"},
      {"alignment_huge",
       one + entry("general.alignment", 10, u64(1ULL << 62)),
       kCorrupt,
       "is 4611686018427387904; it must be"},
      {"alignment_negative",
       one + entry("general.alignment", 5, u32(~31U)),
       kCorrupt,
       "is -32; it must be"},
      {"alignment_text",
       one + entry("general.alignment", 8, text("32")),
       kCorrupt,
       "should be an integer, but is a string"},
  };
}

std::vector<Broken> broken_tensors() {
  constexpr auto kCorrupt = StatusCode::kCorruptData;
  constexpr auto kUnsupported = StatusCode::kUnsupported;
  const auto one = [](const std::string& description, std::size_t size = 64) {
    return padded(header(1, 0) + description, size);
  };
  const auto two = [](const std::string& a, const std::string& b, std::size_t size = 64) {
    return padded(header(2, 0) + a + b, size);
  };
  constexpr std::uint64_t k32 = 1ULL << 32;
  return {
      {"name_empty", one(tensor("", {8}, 0, 0)), kCorrupt, "tensor 0 at byte 24 has a name of 0"},
      {"name_long", one(tensor(std::string(65, 'n'), {8}, 0, 0)), kCorrupt, "a name of 65 bytes"},
      {"name_past_end", one(u64(~0ULL)), kCorrupt, "the name of tensor 0 of 18446744073709551615"},
      {"name_twice",
       two(tensor("a", {8}, 0, 0), tensor("a", {8}, 0, 32)),
       kCorrupt,
       "tensor \"a\" (described at byte 57) was already described at byte 24"},
      {"rank_5", one(tensor("a", {1, 1, 1, 1, 1}, 0, 0)), kCorrupt, "has 5 dimensions; at most 4"},
      {"rank_huge", one(text("a") + u32(~0U) + u64(0)), kCorrupt, "has 4294967295 dimensions"},
      {"description_cut",
       header(1, 0) + text("abc") + u32(4),
       kCorrupt,
       "1 tensors (byte 8) cannot lie in the 23 bytes"},
      {"shape_past_end",
       header(1, 0) + text("abcdefgh") + u32(4) + u64(1),
       kCorrupt,
       "the shape of tensor \"abcdefgh\""},
      {"offset_past_end",
       header(1, 0) + text("abcdefgh") + u32(0) + u32(0) + "1234",
       kCorrupt,
       "the offset of tensor \"abcdefgh\""},
      {"dim_above_63_bits", one(tensor("a", {1ULL << 63}, 0, 0)), kCorrupt, "a dimension of 92233"},
      // Products that wrap 64 bits to something small.
      {"dims_wrap_to_zero",
       one(tensor("a", {k32, k32}, 0, 0)),
       kCorrupt,
       "has the shape [4294967296, 4294967296], whose size does not fit in 63 bits"},
      {"dims_wrap_to_four",
       one(tensor("a", {4, (1ULL << 62) + 1}, 24, 0)),
       kCorrupt,
       "does not fit in 63 bits"},
      {"dims_wrap_beside_zero",
       one(tensor("a", {k32, k32, 0}, 0, 0)),
       kCorrupt,
       "does not fit in 63 bits"},
      {"bytes_wrap",
       one(tensor("a", {1ULL << 61}, 0, 0)),
       kCorrupt,
       "has the shape [2305843009213693952], whose size does not fit in 63 bits"},
      {"quantised_bytes_wrap",
       one(tensor("a", {1ULL << 62, 1}, 8, 0)),
       kCorrupt,
       "past the end of the data"},
      {"row_no_multiple_of_block",
       one(tensor("a", {48, 2}, 2, 0)),
       kCorrupt,
       "tensor \"a\" (described at byte 24) of type q4_0 has rows of 48 elements, which is no "
       "multiple of the block of 32"},
      {"scalar_of_blocks", one(tensor("a", {}, 14, 0)), kCorrupt, "rows of 1 elements"},
      {"type_unknown", one(tensor("a", {8}, 99, 0)), kUnsupported, "the element type type 99"},
      {"type_removed", one(tensor("a", {8}, 4, 0)), kUnsupported, "the element type type 4"},
      {"offset_is_file_size",
       one(tensor("a", {8}, 0, 128)),
       kCorrupt,
       "has the data offset 128 and 32 bytes, past the end of the data of 64 bytes"},
      {"offset_huge",
       one(tensor("a", {8}, 0, ~31ULL)),
       kCorrupt,
       "has the data offset 18446744073709551584 and 32 bytes, past the end"},
      {"offset_unaligned",
       one(tensor("a", {8}, 0, 8)),
       kCorrupt,
       "has the data offset 8, no multiple of the alignment 32"},
      {"data_one_byte_short",
       one(tensor("a", {8}, 0, 0), 31),
       kCorrupt,
       "32 bytes, past the end of the data of 31 bytes: the file is cut short"},
      {"data_missing", header(1, 0) + tensor("a", {8}, 0, 0), kCorrupt, "ends before its data"},
      {"overlap",
       two(tensor("a", {16}, 0, 0), tensor("b", {8}, 0, 32)),
       kCorrupt,
       "tensor \"b\" (described at byte 57) has the data offset 32, which overlaps tensor \"a\"; "
       "it "
       "should be 64"},
      {"gap", two(tensor("a", {8}, 0, 0), tensor("b", {8}, 0, 64), 96), kCorrupt, "a gap after"},
      {"gap_at_start", one(tensor("a", {8}, 0, 32)), kCorrupt, "leaves a gap after the start"},
  };
}

std::string broken_name(const testing::TestParamInfo<Broken>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Header, BrokenGguf, testing::ValuesIn(broken_headers()), broken_name);
INSTANTIATE_TEST_SUITE_P(Metadata, BrokenGguf, testing::ValuesIn(broken_metadata()), broken_name);
INSTANTIATE_TEST_SUITE_P(Tensors, BrokenGguf, testing::ValuesIn(broken_tensors()), broken_name);

std::string small_file() {
  GgufMetadataBytes metadata;
  metadata.text("general.architecture", "llama");
  metadata.texts("tokens", std::vector<std::string>{"a", "bc"});
  metadata.f32s("scores", std::vector<float>{0.F, -1.F});
  const std::vector<GgufTensorInfo> tensors = {{"a", DType::kQ8_0, {2, 32}},
                                               {"b", DType::kF32, {3}}};
  return gguf_header(metadata, tensors) + std::string(96 + 12, '\2');
}

TEST(Gguf, every_cut_of_a_file_is_refused) {
  const std::string file = small_file();
  ASSERT_TRUE(parse(file)) << parse(file).error().to_string();
  for (std::size_t size = 0; size < file.size(); ++size) {
    // Why a copy of its own: a read past its end is then seen by the address sanitizer.
    const std::vector<std::byte> cut(reinterpret_cast<const std::byte*>(file.data()),
                                     reinterpret_cast<const std::byte*>(file.data()) + size);
    const auto parsed = parse_gguf(cut);
    ASSERT_FALSE(parsed) << size;
    ASSERT_EQ(parsed.error().code(), StatusCode::kCorruptData) << parsed.error().to_string();
  }
}

TEST(Gguf, any_changed_byte_is_refused_or_gives_tensors_inside_the_file) {
  const std::string file = small_file();
  const std::size_t header_size = file.size() - 108;
  for (std::size_t at = 0; at < header_size; ++at) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto parsed = parse(changed);
      if (!parsed) continue;
      for (const auto& [name, view] : parsed->weights.entries()) {
        const auto* begin = reinterpret_cast<const std::byte*>(changed.data());
        ASSERT_GE(view.data, begin + 24) << at;
        ASSERT_LE(view.data + view.byte_size(), begin + changed.size()) << at;
      }
    }
  }
}

TEST(Gguf, a_large_vocabulary_opens_in_milliseconds) {
  std::vector<std::string> tokens(128'000);
  std::vector<std::string> merges(280'000);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = str("token", i);
  for (std::size_t i = 0; i < merges.size(); ++i) merges[i] = str("mer ge", i);
  GgufMetadataBytes metadata;
  metadata.texts("tokenizer.ggml.tokens", tokens);
  metadata.texts("tokenizer.ggml.merges", merges);
  metadata.i32s("tokenizer.ggml.token_type", std::vector<std::int32_t>(tokens.size(), 1));
  const std::string file = gguf_header(metadata, {});
  const auto begin = std::chrono::steady_clock::now();
  const auto parsed = parse(file);
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ((**parsed->metadata.texts("tokenizer.ggml.tokens")).back(), "token127999");
  RecordProperty(
      "parse_us",
      static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count()));
  // Bound: about 5 ms on one core; the rest is for sanitizers and busy machines.
  EXPECT_LT(elapsed, std::chrono::milliseconds(500));
}

TEST(Gguf, many_tensors_with_hostile_names_take_no_quadratic_time) {
  std::string file = header(100'000, 0);
  for (int i = 0; i < 100'000; ++i) file += tensor(str("t", i), {0}, 0, 0);
  const auto begin = std::chrono::steady_clock::now();
  const auto parsed = parse(padded(file, 0));
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace inferneo::formats
