#include "formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/str.h"

namespace inferneo::formats {
namespace {

using testing::HasSubstr;

// A directory that is removed at the end of the test.
class Directory {
 public:
  Directory() {
    std::string pattern = testing::TempDir() + "checkpoint_XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A file with one-byte tensors of these names.
std::string shard(const std::string& names) {
  std::string header = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    header += str(i == 0 ? "" : ",",
                  '"',
                  names[i],
                  R"(":{"dtype":"U8","shape":[1],"data_offsets":[)",
                  i,
                  ",",
                  i + 1,
                  "]}");
  }
  header += "}";
  std::string file(1, static_cast<char>(header.size() & 0xFF));
  file += static_cast<char>(header.size() >> 8);
  return file + std::string(6, '\0') + header + names;
}

std::string index_of(const std::string& map) {
  return R"({"metadata":{"total_size":3},"weight_map":{)" + map + "}}";
}

TEST(Checkpoint, opens_shards_through_the_index) {
  const Directory directory;
  directory.write("a.safetensors", shard("xy"));
  directory.write("b.safetensors", shard("z"));
  directory.write("model.safetensors.index.json",
                  index_of(R"("x":"a.safetensors","y":"a.safetensors","z":"b.safetensors")"));
  const auto checkpoint = Checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
  ASSERT_EQ(checkpoint->weights().entries().size(), 3U);
  EXPECT_EQ(static_cast<char>(*checkpoint->weights().find("z")->data), 'z');
  EXPECT_EQ(checkpoint->weights().find("w"), nullptr);
}

TEST(Checkpoint, single_file_goes_before_the_index) {
  const Directory directory;
  directory.write("model.safetensors", shard("x"));
  directory.write("model.safetensors.index.json", "broken");
  EXPECT_TRUE(Checkpoint::open(directory.path()));
}

Status open_with_index(const std::string& index) {
  const Directory directory;
  directory.write("a.safetensors", shard("xy"));
  directory.write("b.safetensors", shard("xz"));
  directory.write("c.safetensors", shard("z"));
  directory.write("model.safetensors.index.json", index);
  return Checkpoint::open(directory.path()).status();
}

TEST(Checkpoint, broken_indexes_are_refused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "'{' should be"},
      {"{}", "weight_map is missing or empty"},
      {R"({"weight_map":{}})", "missing or empty"},
      {R"({"weight_map":[]})", "'{' should be"},
      {R"({"weight_map":{"x":"a.safetensors"},"weight_map":{}})", "duplicate key \"weight_map\""},
      {index_of(R"("x":"a.safetensors","x":"a.safetensors")"), "\"x\" appears twice"},
      {index_of(R"("x":3)"), "'\"' should be"},
      {index_of(R"("x":"../a.safetensors")"), "plain name"},
      {index_of(R"("x":"/etc/a.safetensors")"), "plain name"},
      {index_of(R"("x":"d/a.safetensors")"), "plain name"},
      {index_of(R"("x":"d\\a.safetensors")"), "plain name"},
      {index_of(R"("x":".safetensors")"), "plain name"},
      {index_of(R"("x":"")"), "plain name"},
      {index_of(R"("x":"a\u0000.safetensors")"), "plain name"},
      {index_of(R"("x":"pytorch_model.bin")"), "plain name"},
      {index_of(R"("x":"a.safetensors","y":"a.safetensors","q":"a.safetensors")"),
       "\"q\" is in a.safetensors, but that file does not have it"},
      {index_of(R"("x":"a.safetensors")"), "\"y\" of a.safetensors is not in"},
      {index_of(R"("x":"a.safetensors","y":"c.safetensors","z":"c.safetensors")"),
       "\"y\" is in c.safetensors, but it is in a.safetensors"},
      {index_of(R"("x":"a.safetensors","y":"a.safetensors","z":"b.safetensors")"),
       "\"x\" of b.safetensors is also in another shard"},
      {"{\"x\":" + std::string(100'000, '[') + "}", "nested too deep"},
  };
  for (const auto& [index, message] : cases) {
    const Status status = open_with_index(index);
    EXPECT_EQ(status.code(), StatusCode::kCorruptData) << index.substr(0, 200);
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

TEST(Checkpoint, missing_shard_is_not_found) {
  const Status status = open_with_index(index_of(R"("x":"missing.safetensors")"));
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("missing.safetensors"));
}

TEST(Checkpoint, missing_weights_are_explained) {
  const Directory directory;
  EXPECT_EQ(Checkpoint::open(directory.path()).error().code(), StatusCode::kNotFound);
  directory.write("pytorch_model.bin", "x");
  EXPECT_THAT(Checkpoint::open(directory.path()).error().hint(), HasSubstr("pickle"));
}

TEST(Checkpoint, other_kinds_of_files_are_refused) {
  const Directory directory;
  ASSERT_EQ(::mkfifo((directory.path() + "/model.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(Checkpoint::open(directory.path()).error().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace inferneo::formats
