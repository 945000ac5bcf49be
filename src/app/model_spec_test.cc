#include "app/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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

TEST_F(ModelSpecTest, two_models_of_one_name_are_refused_with_both_paths) {
  const auto specs = parse_model_specs({root_ + "/a", root_ + "/b/a"});
  ASSERT_FALSE(specs.has_value());
  EXPECT_THAT(specs.error().message(), HasSubstr("/b/a"));
  EXPECT_TRUE(parse_model_specs({root_ + "/a", "x=" + root_ + "/b/a"}).has_value());
}

}  // namespace
}  // namespace inferneo::app
