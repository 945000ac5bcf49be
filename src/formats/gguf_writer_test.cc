#include "formats/gguf_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace inferneo::formats {
namespace {

using tensor::DType;

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

TEST(GgufWriter, lays_out_the_header_as_the_specification_says) {
  GgufMetadataBytes metadata;
  metadata.boolean("k", true);
  const std::vector<GgufTensorInfo> tensors = {{"t", DType::kQ8_0, {3, 64}}};
  std::string expected("GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
  expected += std::string("\1\0\0\0\0\0\0\0k\7\0\0\0\1", 14);
  expected += std::string("\1\0\0\0\0\0\0\0t\2\0\0\0\100\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 29);
  expected += std::string("\10\0\0\0\0\0\0\0\0\0\0\0", 12);
  expected.resize(96);
  EXPECT_EQ(gguf_header(metadata, tensors), expected);
}

TEST(GgufWriter, pads_each_tensor_and_appears_whole_or_not_at_all) {
  const std::string path = testing::TempDir() + "gguf_writer_pads.gguf";
  std::filesystem::remove(path);
  const std::vector<GgufTensorInfo> tensors = {
      {"a", DType::kF32, {3}}, {"none", DType::kF32, {0}}, {"b", DType::kI8, {64}}};
  const std::string header = gguf_header({}, tensors, 64);
  {
    auto writer = GgufWriter::create(path, {}, tensors, 64);
    ASSERT_TRUE(writer) << writer.error().to_string();
    const std::string data(64, 'b');
    const auto bytes = std::as_bytes(std::span(data));
    ASSERT_TRUE(writer->write(bytes.first(5)).ok());
    ASSERT_TRUE(writer->write(bytes.first(7)).ok());
    ASSERT_TRUE(writer->write(bytes).ok());
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE(writer->finish().ok());
  }
  EXPECT_EQ(read(path),
            header + std::string(12, 'b') + std::string(52, '\0') + std::string(64, 'b'));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  std::filesystem::remove(path);
}

TEST(GgufWriter, leaves_nothing_behind_when_given_up) {
  const std::string path = testing::TempDir() + "gguf_writer_given_up.gguf";
  const std::vector<GgufTensorInfo> tensors = {{"a", DType::kF32, {3}}};
  {
    auto writer = GgufWriter::create(path, {}, tensors);
    ASSERT_TRUE(writer);
    EXPECT_TRUE(std::filesystem::exists(path + ".part"));
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(GgufWriter, says_why_a_file_cannot_be_made) {
  const auto writer = GgufWriter::create("/nonexistent/x.gguf", {}, {});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().message(),
            "cannot create /nonexistent/x.gguf.part: No such file or directory");
}

}  // namespace
}  // namespace inferneo::formats
