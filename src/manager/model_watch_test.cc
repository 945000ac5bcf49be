#include "manager/model_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/str.h"

namespace inferneo::manager {
namespace {

namespace fs = std::filesystem;

class ModelWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) / info->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  void write(const std::string& name, const std::string& content = "x") {
    fs::create_directories((directory_ / name).parent_path());
    std::ofstream(directory_ / name) << content;
  }
  std::vector<std::string> listed() {
    std::vector<std::string> ids;
    const Result<std::vector<WatchedModel>> models = list_watched(directory_.string());
    EXPECT_TRUE(models.has_value());
    for (const WatchedModel& model : *models) {
      ids.push_back(model_id(model.name, model.version));
    }
    return ids;
  }
  fs::path directory_;
};

TEST_F(ModelWatchTest, names_and_versions_come_from_paths) {
  write("chat/config.json");
  write("tool/1/config.json");
  write("tool/2/model.gguf");
  write("tool/.3/config.json");
  write("small.gguf");
  write("large-00001-of-00002.gguf");
  write("large-00002-of-00002.gguf");
  write(".coming/config.json");
  write("notes.txt");
  write("empty-of-models/readme.txt");
  EXPECT_THAT(listed(),
              ::testing::UnorderedElementsAre("chat:1", "tool:1", "tool:2", "small:1", "large:1"));
}

// Models of the manager's own tests cannot be loaded, but they can be recorded.
class WatchedCatalog : public ModelWatchTest {
 protected:
  void SetUp() override {
    ModelWatchTest::SetUp();
    catalog_ = Catalog::open({}).value();
    admin_ = std::make_unique<ModelAdmin>(AdminEnvironment{.catalog = catalog_.get()});
    watch_ =
        std::make_unique<ModelWatch>(*admin_,
                                     ModelWatch::Options{.directory = directory_.string(),
                                                         .settle = std::chrono::milliseconds(0)});
  }
  std::vector<std::string> registered() {
    std::vector<std::string> ids;
    for (const auto& model : catalog_->snapshot()->models()) {
      ids.push_back(model_id(model->name, model->version));
    }
    return ids;
  }
  void write_model(const std::string& name) {
    write(name + "/config.json", "{}");
    write(name + "/model.safetensors", "weights");
  }
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<ModelAdmin> admin_;
  std::unique_ptr<ModelWatch> watch_;
};

TEST_F(WatchedCatalog, models_come_and_go_with_their_directories) {
  write_model("m/1");
  write_model("m/2");
  write_model("other");
  watch_->look();
  EXPECT_THAT(registered(), ::testing::ElementsAre("m:1", "m:2", "other:1"));
  EXPECT_THAT(catalog_->snapshot()->find("other", "1")->tags, ::testing::ElementsAre("watched"));
  watch_->look();
  EXPECT_EQ(registered().size(), 3U);
  fs::remove_all(directory_ / "m");
  watch_->look();
  EXPECT_THAT(registered(), ::testing::ElementsAre("other:1"));
  // A directory that cannot be read is no empty one.
  fs::rename(directory_, directory_.string() + "-away");
  watch_->look();
  EXPECT_EQ(registered().size(), 1U);
  fs::rename(directory_.string() + "-away", directory_);
}

TEST_F(WatchedCatalog, a_manifest_decides_what_is_complete) {
  write_model("m");
  const auto manifest = [&](const std::string& files) {
    write(str("m/", kManifestName), str("{\"files\": {", files, "}, \"tags\": [\"chat\"]}"));
  };
  manifest(R"("config.json": {}, "model.safetensors": {"size": 7}, "tokenizer.json": {"size": 2})");
  watch_->look();
  EXPECT_TRUE(registered().empty()) << "tokenizer.json is missing";
  write("m/tokenizer.json", "{");
  watch_->look();
  EXPECT_TRUE(registered().empty()) << "tokenizer.json is not whole";
  write("m/tokenizer.json", "{}");
  watch_->look();
  ASSERT_THAT(registered(), ::testing::ElementsAre("m:1"));
  EXPECT_THAT(catalog_->snapshot()->find("m", "1")->tags,
              ::testing::ElementsAre("chat", "watched"));
}

TEST_F(WatchedCatalog, wrong_manifests_and_digests_are_refused_and_said_once) {
  write_model("m");
  const std::string wrong_digest(64, '0');
  for (const std::string& content :
       {std::string("{"),
        std::string(R"({"tags": []})"),
        std::string(R"({"files": {}, "x": 1})"),
        std::string(R"({"files": {"config.json": {"size": -1}}})"),
        str(R"({"files": {"model.safetensors": {"sha256": ")", wrong_digest, "\"}}}")}) {
    write(str("m/", kManifestName), content);
    watch_->look();
    EXPECT_TRUE(registered().empty()) << content;
  }
  const auto audit = catalog_->audit({}).value().size();
  watch_->look();
  EXPECT_EQ(catalog_->audit({}).value().size(), audit) << "nothing has changed, nothing is read";
}

TEST_F(WatchedCatalog, without_a_manifest_nothing_is_taken_while_it_is_written) {
  ModelWatch patient(*admin_, {.directory = directory_.string(), .settle = std::chrono::hours(1)});
  write_model("m");
  patient.look();
  EXPECT_TRUE(registered().empty());
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(2);
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::last_write_time(directory_ / "m" / name, long_ago);
  }
  patient.look();
  EXPECT_THAT(registered(), ::testing::ElementsAre("m:1"));
}

TEST_F(WatchedCatalog, what_is_registered_elsewhere_stays) {
  write_model("m");
  ASSERT_TRUE(catalog_->register_model({.name = "m", .version = "1", .path = "/elsewhere"}, {"me"})
                  .has_value());
  watch_->look();
  EXPECT_EQ(catalog_->snapshot()->find("m", "1")->path, "/elsewhere");
  fs::remove_all(directory_ / "m");
  watch_->look();
  EXPECT_EQ(registered().size(), 1U) << "nor is it removed";
}

}  // namespace
}  // namespace inferneo::manager
