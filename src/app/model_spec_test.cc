#include "app/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "formats/gguf_writer.h"

namespace inferneo::app {
namespace {

using testing::HasSubstr;

class ModelSpecTest : public testing::Test {
 protected:
  ModelSpecTest() : root_(testing::TempDir() + folder_) {
    std::filesystem::create_directories(root_ + "/a");
    std::filesystem::create_directories(root_ + "/b/a");
  }
  ~ModelSpecTest() override { std::filesystem::remove_all(root_); }
  const std::string folder_ = "/model_spec_test_" + std::to_string(::getpid());
  const std::string root_;
};

TEST_F(ModelSpecTest, a_directory_is_named_after_itself) {
  for (const char* form : {"/a", "/a/", "/b/../a", "//a/."}) {
    const Result<ModelSpec> spec = parse_model_spec(root_ + form);
    ASSERT_TRUE(spec.has_value()) << form << spec.error().to_string();
    EXPECT_EQ(spec->name, "a") << form;
    EXPECT_THAT(spec->path, testing::EndsWith(folder_ + "/a")) << form;
  }
}

TEST_F(ModelSpecTest, a_name_can_be_chosen) {
  const Result<ModelSpec> spec = parse_model_spec("org/tiny=" + root_ + "/a");
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->name, "org/tiny");
}

TEST_F(ModelSpecTest, a_missing_directory_is_named_with_what_to_do) {
  const Status status = parse_model_spec(root_ + "/missing").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(folder_ + "/missing does not exist"));
  EXPECT_THAT(status.hint(), HasSubstr("config.json"));
}

TEST_F(ModelSpecTest, names_that_no_request_could_write_are_refused) {
  for (const char* name : {"", "a b", "a\nb", "\xc3\xa9", "a\"b"}) {
    const Result<ModelSpec> spec = parse_model_spec(std::string(name) + "=" + root_ + "/a");
    EXPECT_FALSE(spec.has_value()) << name;
  }
  EXPECT_FALSE(parse_model_spec("a=").has_value());
}

// A file without weights; its name inside when there is one.
void write_gguf(const std::string& path, const std::string& name, std::uint32_t shard_count = 0) {
  formats::GgufMetadataBytes metadata;
  metadata.text("general.architecture", "llama");
  if (!name.empty()) metadata.text("general.name", name);
  if (shard_count > 0) {
    metadata.u32("split.no", 0);
    metadata.u32("split.count", shard_count);
    metadata.u32("split.tensors.count", 0);
  }
  auto writer = formats::GgufWriter::create(path, metadata, {});
  ASSERT_TRUE(writer.has_value() && writer->finish().ok());
}

TEST_F(ModelSpecTest, a_gguf_file_is_named_by_itself_or_by_its_file) {
  write_gguf(root_ + "/with.gguf", "Llama 3.2 \"x\"");
  write_gguf(root_ + "/without-Q4_0.gguf", "");
  EXPECT_EQ(parse_model_spec(root_ + "/with.gguf").value().name, "Llama-3.2--x-");
  const ModelSpec spec = parse_model_spec(root_ + "/without-Q4_0.gguf").value();
  EXPECT_EQ(spec.name, "without-Q4_0");
  EXPECT_THAT(spec.path, testing::EndsWith("/without-Q4_0.gguf"));
  EXPECT_EQ(parse_model_spec("mine=" + root_ + "/with.gguf").value().name, "mine");
}

TEST_F(ModelSpecTest, a_directory_with_one_gguf_file_stands_for_it) {
  write_gguf(root_ + "/a/one.gguf", "");
  EXPECT_THAT(parse_model_spec(root_ + "/a").value().path, testing::EndsWith("/a/one.gguf"));
  write_gguf(root_ + "/a/two.gguf", "");
  const Status status = parse_model_spec(root_ + "/a").status();
  EXPECT_THAT(status.message(), HasSubstr("/a holds 2 GGUF files: one.gguf, two.gguf"));
  EXPECT_THAT(status.hint(), HasSubstr("the path of one"));
}

TEST_F(ModelSpecTest, the_shards_of_a_model_count_as_one_file) {
  write_gguf(root_ + "/a/big-00001-of-00002.gguf", "", 2);
  write_gguf(root_ + "/a/big-00002-of-00002.gguf", "", 2);
  EXPECT_THAT(parse_model_spec("x=" + root_ + "/a").value().path,
              testing::EndsWith("/a/big-00001-of-00002.gguf"));
}

TEST_F(ModelSpecTest, a_missing_shard_is_named) {
  write_gguf(root_ + "/a/big-00001-of-00002.gguf", "", 2);
  const Status status = parse_model_spec(root_ + "/a").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("big-00002-of-00002.gguf"));
}

TEST_F(ModelSpecTest, files_of_another_kind_are_refused) {
  std::ofstream(root_ + "/text.gguf") << "not a model";
  const Status status = parse_model_spec(root_ + "/text.gguf").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("neither a directory nor a GGUF file"));
}

TEST_F(ModelSpecTest, two_models_of_one_name_are_refused_with_both_paths) {
  const auto specs = parse_model_specs({root_ + "/a", root_ + "/b/a"});
  ASSERT_FALSE(specs.has_value());
  EXPECT_THAT(specs.error().message(), HasSubstr("/b/a"));
  EXPECT_TRUE(parse_model_specs({root_ + "/a", "x=" + root_ + "/b/a"}).has_value());
}

}  // namespace
}  // namespace inferneo::app
