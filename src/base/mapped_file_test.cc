#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace inferneo {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/inferneo_mapped_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  [[nodiscard]] std::string path(const char* name) const { return dir_ + "/" + name; }

  std::string dir_;
};

TEST_F(MappedFileTest, maps_the_bytes_of_a_file) {
  std::ofstream(path("a")) << "hello";
  auto file = MappedFile::open(path("a"));
  ASSERT_TRUE(file.has_value());
  MappedFile moved = *std::move(file);
  ASSERT_EQ(moved.bytes().size(), 5U);
  EXPECT_EQ(std::memcmp(moved.bytes().data(), "hello", 5), 0);
  EXPECT_EQ(*read_file(path("a"), 5), "hello");
}

TEST_F(MappedFileTest, an_empty_file_is_empty) {
  std::ofstream(path("a")).flush();
  EXPECT_TRUE(MappedFile::open(path("a"))->bytes().empty());
}

TEST_F(MappedFileTest, a_missing_file_is_not_found) {
  EXPECT_EQ(MappedFile::open(path("none")).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(read_file(path("none"), 10).error().code(), StatusCode::kNotFound);
}

TEST_F(MappedFileTest, a_fifo_or_directory_is_refused_without_waiting) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(path("pipe")).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MappedFile::open(dir_).error().code(), StatusCode::kInvalidArgument);
}

TEST_F(MappedFileTest, read_file_refuses_more_than_its_bound) {
  std::ofstream(path("a")) << "hello";
  const auto text = read_file(path("a"), 4);
  EXPECT_EQ(text.error().code(), StatusCode::kResourceExhausted);
  EXPECT_NE(text.error().message().find("limit of 4"), std::string::npos);
}

}  // namespace
}  // namespace inferneo
