// Files on disk: shards, and what the reference module wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/str.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::formats {
namespace {

using tensor::DType;
using tensor::Shape;
using testing::ElementsAre;
using testing::HasSubstr;

std::string float_bytes(float value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Files of a test, removed at its end.
class GgufFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "gguf_files_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
    return folder_ + "/" + name;
  }
  std::string write_shard(int number,
                          int count,
                          const GgufMetadataBytes& metadata,
                          const std::string& tensor_name) {
    const std::vector<GgufTensorInfo> tensors = {{tensor_name, DType::kF32, {1}}};
    return write(str("m-0000", number, "-of-0000", count, ".gguf"),
                 gguf_header(metadata, tensors) + float_bytes(static_cast<float>(number)));
  }
  static GgufMetadataBytes split(std::uint32_t index, std::uint32_t count, std::int32_t tensors) {
    GgufMetadataBytes metadata;
    metadata.u32("split.no", index);
    metadata.u32("split.count", count);
    metadata.i32("split.tensors.count", tensors);
    return metadata;
  }
  void write_three_shards(std::int32_t tensor_count = 3) {
    GgufMetadataBytes first = split(0, 3, tensor_count);
    first.text("general.architecture", "llama");
    write_shard(1, 3, first, "a");
    write_shard(2, 3, split(1, 3, tensor_count), "b");
    write_shard(3, 3, split(2, 3, tensor_count), "c");
  }
  [[nodiscard]] std::string failure(const std::string& path) const {
    const auto file = GgufFile::open(path);
    if (file) return "opened";
    EXPECT_EQ(file.error().code(), StatusCode::kCorruptData) << file.error().to_string();
    return file.error().message();
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

float first_float(const tensor::WeightMap& weights, std::string_view name) {
  float value = 0;
  std::memcpy(&value, weights.find(name)->data, sizeof(value));
  return value;
}

TEST_F(GgufFiles, opens_a_single_file_and_keeps_views_valid_when_moved) {
  GgufMetadataBytes metadata;
  metadata.text("general.architecture", "llama");
  const std::vector<GgufTensorInfo> tensors = {{"w", DType::kF32, {1}}};
  const std::string name = write("m.gguf", gguf_header(metadata, tensors) + float_bytes(7.F));
  EXPECT_TRUE(is_gguf(name));
  auto file = GgufFile::open(name);
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->version(), 3U);
  const auto architecture = **file->metadata().text("general.architecture");
  const tensor::WeightMap weights = file->weights();
  const std::vector<MappedFile> files = std::move(*file).take_files();
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(architecture, "llama");
  EXPECT_EQ(first_float(weights, "w"), 7.F);
}

TEST_F(GgufFiles, opens_all_shards_from_the_name_of_any) {
  write_three_shards();
  for (const int number : {1, 2, 3}) {
    const auto file = GgufFile::open(path(str("m-0000", number, "-of-00003.gguf")));
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->weights().entries().size(), 3U);
    EXPECT_EQ(first_float(file->weights(), "a"), 1.F);
    EXPECT_EQ(first_float(file->weights(), "c"), 3.F);
    EXPECT_EQ(**file->metadata().text("general.architecture"), "llama");
  }
}

TEST_F(GgufFiles, shards_that_do_not_belong_together_are_refused) {
  write_three_shards(4);
  const std::string first = path("m-00001-of-00003.gguf");
  EXPECT_THAT(failure(first), HasSubstr("hold 3 tensors, but split.tensors.count is 4"));
  write_three_shards();
  write_shard(2, 3, split(2, 3, 3), "b");
  EXPECT_THAT(failure(first), HasSubstr("m-00002-of-00003.gguf: says it is shard 3 of 3"));
  write_shard(2, 3, split(1, 2, 3), "b");
  EXPECT_THAT(failure(first), HasSubstr("says it is shard 2 of 2"));
  write_shard(2, 3, {}, "b");
  EXPECT_THAT(failure(first), HasSubstr("a shard, but without the key \"split.count\""));
  write_shard(2, 3, split(1, 3, 3), "a");
  EXPECT_THAT(failure(first), HasSubstr("tensor \"a\" is in an earlier shard too"));
}

TEST_F(GgufFiles, a_missing_shard_is_named) {
  write_three_shards();
  std::filesystem::remove(path("m-00002-of-00003.gguf"));
  const auto file = GgufFile::open(path("m-00003-of-00003.gguf"));
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), StatusCode::kNotFound);
  EXPECT_THAT(file.error().message(), HasSubstr("shard 2 of 3: cannot open"));
}

TEST_F(GgufFiles, a_renamed_shard_is_refused) {
  for (const char* name : {"x.gguf",
                           "m-00001-of-00002.gguf",
                           "m-00004-of-00003.gguf",
                           "m-00000-of-00003.gguf",
                           "m-0001-of-0003.gguf",
                           "m-+0001-of-00003.gguf"}) {
    const std::vector<GgufTensorInfo> tensors = {{"a", DType::kF32, {1}}};
    const std::string shard = write(name, gguf_header(split(0, 3, 3), tensors) + float_bytes(1.F));
    EXPECT_THAT(failure(shard), HasSubstr("one of 3 shards, so its name must end with")) << name;
  }
}

TEST_F(GgufFiles, errors_name_the_file) {
  EXPECT_THAT(failure(write("m.gguf", "GGUF")), HasSubstr("m.gguf: the GGUF header"));
  EXPECT_FALSE(is_gguf(path("missing.gguf")));
  EXPECT_FALSE(is_gguf(write("other", "abcdefgh")));
  EXPECT_FALSE(is_gguf(write("short", "GGU")));
  EXPECT_FALSE(is_gguf(path("")));
  const auto missing = GgufFile::open(path("missing.gguf"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), StatusCode::kNotFound);
}

std::string golden(const std::string& name) { return INFERNEO_SOURCE_DIR "/tests/gguf/" + name; }

std::vector<float> elements(const tensor::WeightMap& weights, std::string_view name) {
  const tensor::TensorView* view = weights.find(name);
  if (view == nullptr) return {};
  std::vector<float> out(static_cast<std::size_t>(view->shape.element_count()));
  dequantize_row(view->dtype, view->data, view->shape.element_count(), out.data());
  return out;
}

// -1 to 1 in 128 steps, as the maker of the files has it.
std::vector<float> ramp() {
  std::vector<float> values(128);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(-1.0 + static_cast<double>(i) * (2.0 / 127));
  }
  return values;
}

TEST(GgufGoldens, values_of_every_type_are_those_that_were_written) {
  const auto file = GgufFile::open(golden("values.gguf"));
  ASSERT_TRUE(file) << file.error().to_string();
  const GgufMetadata& metadata = file->metadata();
  EXPECT_EQ(**metadata.text("general.architecture"), "llama");
  EXPECT_EQ(**metadata.integer("value.u8"), 200);
  EXPECT_EQ(**metadata.integer("value.i8"), -100);
  EXPECT_EQ(**metadata.integer("value.u16"), 60000);
  EXPECT_EQ(**metadata.integer("value.i16"), -30000);
  EXPECT_EQ(**metadata.integer("value.u32"), 4000000000);
  EXPECT_EQ(**metadata.integer("value.i32"), -2000000000);
  EXPECT_EQ(**metadata.integer("value.u64"), 9000000000000000000);
  EXPECT_EQ(**metadata.integer("value.i64"), -9000000000000000000);
  EXPECT_EQ(**metadata.number("value.f32"), static_cast<double>(0.1F));
  EXPECT_EQ(**metadata.number("value.f64"), 0.1);
  EXPECT_EQ(**metadata.boolean("value.bool"), true);
  EXPECT_EQ(**metadata.text("value.text"), "h\xC3\xA9llo");
  EXPECT_THAT(**metadata.texts("array.texts"),
              ElementsAre("",
                          "a",
                          "\xE2\x96\x81"
                          "b"));
  EXPECT_EQ(**metadata.numbers("array.i32"), GgufNumbers(std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(**metadata.numbers("array.f32"), GgufNumbers(std::vector<double>{0.5, -1.5}));
  EXPECT_EQ(**metadata.numbers("array.bool"), GgufNumbers(std::vector<std::int64_t>{1, 0}));
}

TEST(GgufGoldens, tensors_have_their_shapes_and_elements_in_one_file_and_in_shards) {
  for (const char* name : {"values.gguf", "shards-00002-of-00004.gguf"}) {
    const auto file = GgufFile::open(golden(name));
    ASSERT_TRUE(file) << file.error().to_string();
    const tensor::WeightMap& weights = file->weights();
    ASSERT_EQ(weights.entries().size(), 8U);
    EXPECT_EQ(weights.find("plain.f32")->shape, Shape({2, 3}));
    EXPECT_THAT(elements(weights, "plain.f32"), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(elements(weights, "plain.f16"), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(weights.find("ramp.Q8_0")->shape, Shape({2, 64}));
    EXPECT_EQ(weights.find("ramp.Q8_0")->dtype, DType::kQ8_0);
    const std::vector<float> found = elements(weights, "ramp.Q8_0");
    const std::vector<float> expected = ramp();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 0.005) << i;
    }
  }
}

TEST(GgufGoldens, a_file_of_the_other_order_of_bytes_is_refused) {
  const auto file = GgufFile::open(golden("big-endian.gguf"));
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), StatusCode::kUnsupported);
  EXPECT_THAT(file.error().message(), HasSubstr("big-endian"));
}

std::vector<std::byte> quantized(DType dtype, const std::vector<float>& values) {
  const auto k = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> bytes(tensor::TensorView{dtype, Shape({k}), nullptr}.byte_size());
  quantize_row(dtype, values.data(), k, bytes.data());
  return bytes;
}

TEST_F(GgufFiles, the_writer_and_the_reference_make_the_same_bytes) {
  GgufMetadataBytes metadata;
  metadata.text("general.architecture", "llama");
  metadata.u32("value.u32", 7);
  metadata.i32("value.i32", -7);
  metadata.u64("value.u64", 1ULL << 40);
  metadata.f32("value.f32", 0.1F);
  metadata.boolean("value.bool", false);
  metadata.text("value.text", "h\xC3\xA9llo");
  metadata.i32s("array.i32", std::vector<std::int32_t>{1, -2, 3});
  metadata.f32s("array.f32", std::vector<float>{0.5F, -1.5F});
  metadata.texts("array.texts",
                 std::vector<std::string>{"",
                                          "a",
                                          "\xE2\x96\x81"
                                          "b"});
  const std::vector<GgufTensorInfo> tensors = {{"plain.f32", DType::kF32, {2, 3}},
                                               {"plain.f16", DType::kF16, {5}},
                                               {"ramp.BF16", DType::kBf16, {2, 64}},
                                               {"ramp.Q8_0", DType::kQ8_0, {2, 64}},
                                               {"ramp.Q4_0", DType::kQ4_0, {2, 64}},
                                               {"ramp.Q4_1", DType::kQ4_1, {2, 64}},
                                               {"ramp.Q5_0", DType::kQ5_0, {2, 64}},
                                               {"ramp.Q5_1", DType::kQ5_1, {2, 64}}};
  auto writer = GgufWriter::create(path("out.gguf"), metadata, tensors);
  ASSERT_TRUE(writer) << writer.error().to_string();
  ASSERT_TRUE(writer->write(quantized(DType::kF32, {0, 1, 2, 3, 4, 5})).ok());
  ASSERT_TRUE(writer->write(quantized(DType::kF16, {0, 1, 2, 3, 4})).ok());
  for (std::size_t i = 2; i < tensors.size(); ++i) {
    ASSERT_TRUE(writer->write(quantized(tensors[i].dtype, ramp())).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
  const auto bytes = [](const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  EXPECT_TRUE(bytes(path("out.gguf")) == bytes(golden("written.gguf")));
}

}  // namespace
}  // namespace inferneo::formats
