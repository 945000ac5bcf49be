#include "manager/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "manager/catalog/database.h"
#include "manager/catalog/schema.h"

namespace inferneo::manager {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Actor kMe = {.principal = "test", .address = "127.0.0.1"};

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "catalog-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/sub/catalog.db";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Catalog> open() {
    Result<std::unique_ptr<Catalog>> catalog = Catalog::open({.path = path_, .owner_url = {}});
    EXPECT_TRUE(catalog.has_value()) << catalog.status().to_string();
    return catalog.has_value() ? *std::move(catalog) : nullptr;
  }
  Status open_failure() {
    const Result<std::unique_ptr<Catalog>> catalog =
        Catalog::open({.path = path_, .owner_url = {}});
    return catalog.status();
  }
  std::string directory_;
  std::string path_;
};

ModelRegistration model(std::string name, std::string version = {}) {
  return {.name = std::move(name), .version = std::move(version), .path = "/models/x"};
}

std::vector<std::string> ids(const CatalogSnapshot& snapshot) {
  std::vector<std::string> out;
  for (const auto& record : snapshot.models()) {
    out.push_back(model_id(record->name, record->version));
  }
  return out;
}

void flip_bit(const std::string& path, std::size_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

TEST_F(CatalogTest, a_registered_model_is_there_after_a_restart) {
  ModelRegistration registration = model("meta/llama", "3.1-8b");
  registration.settings = {{"context_tokens_max", "4096"}, {"dtype", "bf16"}};
  registration.tags = {"chat", "big", "chat"};
  registration.pinned = true;
  registration.files = {{"a.safetensors", 7, std::string(64, 'a'), "1 2 3 4 5"}};
  std::shared_ptr<const ModelRecord> before;
  {
    const auto catalog = open();
    before = catalog->register_model(registration, kMe).value();
    EXPECT_TRUE(catalog->is_durable());
  }
  const auto catalog = open();
  const auto after = catalog->snapshot()->find("meta/llama", "3.1-8b");
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(*after, *before);
  EXPECT_THAT(after->tags, ElementsAre("big", "chat"));
  EXPECT_GT(after->created_unix_ms, 1'700'000'000'000);
  EXPECT_EQ(catalog->snapshot()->live_version("meta/llama"), "3.1-8b");
}

TEST_F(CatalogTest, versions_are_numbered_when_none_is_named) {
  const auto catalog = Catalog::open({}).value();
  EXPECT_FALSE(catalog->is_durable());
  EXPECT_EQ(catalog->register_model(model("m"), kMe).value()->version, "1");
  EXPECT_EQ(catalog->register_model(model("m"), kMe).value()->version, "2");
  EXPECT_EQ(catalog->register_model(model("m", "beta"), kMe).value()->version, "beta");
  EXPECT_EQ(catalog->register_model(model("m", "10"), kMe).value()->version, "10");
  EXPECT_EQ(catalog->register_model(model("m"), kMe).value()->version, "11");
  EXPECT_EQ(catalog->snapshot()->live_version("m"), "1");
}

TEST_F(CatalogTest, names_resolve_to_versions) {
  const auto catalog = Catalog::open({}).value();
  for (const char* version : {"1", "2", "3"}) {
    ASSERT_TRUE(catalog->register_model(model("a/b", version), kMe).has_value());
  }
  ASSERT_TRUE(catalog->set_live_version("a/b", "2", kMe).ok());
  ASSERT_TRUE(catalog->set_alias("best", "a/b", kMe).ok());
  ASSERT_TRUE(catalog->set_alias("fixed", "a/b:1", kMe).ok());
  const auto resolved = [&](std::string_view text) {
    const auto found = catalog->snapshot()->resolve(text);
    return found.has_value() ? model_id((*found)->name, (*found)->version)
                             : str(found.error().where(), "|", found.error().hint());
  };
  EXPECT_EQ(resolved("a/b"), "a/b:2");
  EXPECT_EQ(resolved("a/b:latest"), "a/b:2");
  EXPECT_EQ(resolved("a/b:3"), "a/b:3");
  EXPECT_EQ(resolved("best"), "a/b:2");
  EXPECT_EQ(resolved("fixed"), "a/b:1");
  EXPECT_EQ(resolved("a/bb"), "model|did you mean 'a/b'?");
  EXPECT_EQ(resolved("bst"), "model|did you mean 'best'?");
  EXPECT_EQ(resolved("a/b:4"), "model|did you mean 'a/b'?");
  EXPECT_EQ(resolved("a/b:"), "model|did you mean 'a/b'?");
  EXPECT_EQ(resolved(""), "model|GET /v1/models lists the names");
}

TEST_F(CatalogTest, a_second_registration_is_refused) {
  const auto catalog = Catalog::open({}).value();
  ASSERT_TRUE(catalog->register_model(model("m", "1"), kMe).has_value());
  ASSERT_TRUE(catalog->set_alias("alias", "m", kMe).ok());
  const auto again = catalog->register_model(model("m", "1"), kMe);
  EXPECT_EQ(again.error().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(again.error().message(), HasSubstr("'m:1' is registered already"));
  EXPECT_EQ(catalog->register_model(model("alias"), kMe).error().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(catalog->set_alias("m", "m", kMe).code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(ids(*catalog->snapshot()), ElementsAre("m:1"));
}

TEST_F(CatalogTest, refuses_what_could_not_be_named_or_used) {
  const auto catalog = Catalog::open({}).value();
  const auto refusal = [&](const std::function<void(ModelRegistration&)>& spoil) {
    ModelRegistration registration = model("m");
    spoil(registration);
    const Status status = catalog->register_model(registration, kMe).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.to_string();
    return status.where();
  };
  const std::string long_name(limits::kModelNameSizeMax + 1, 'x');
  for (const std::string& name : {std::string(),
                                  std::string("a:b"),
                                  std::string("/a"),
                                  std::string("a/"),
                                  std::string("a//b"),
                                  std::string(" a"),
                                  std::string("a\n"),
                                  std::string("\xff"),
                                  std::string("a\0b", 3),
                                  long_name}) {
    EXPECT_EQ(refusal([&](auto& r) { r.name = name; }), "model_id") << printable(name);
  }
  for (const char* version : {"latest", "a/b", "a:b", "a b", "ä"}) {
    EXPECT_EQ(refusal([&](auto& r) { r.version = version; }), "version") << version;
  }
  EXPECT_EQ(refusal([](auto& r) { r.path = "relative"; }), "path");
  EXPECT_EQ(refusal([](auto& r) { r.settings = {{"port", "1"}}; }), "config");
  EXPECT_EQ(refusal([](auto& r) { r.settings = {{"threads", "1"}}; }), "config");
  EXPECT_EQ(refusal([](auto& r) { r.settings = {{"dtype", "f31"}}; }), "config");
  EXPECT_EQ(refusal([](auto& r) { r.settings = {{"dtype", "f32"}, {"dtype", "f32"}}; }), "config");
  EXPECT_EQ(refusal([](auto& r) { r.tags = {""}; }), "tags");
  EXPECT_EQ(refusal([](auto& r) { r.tags.assign(65, "t"); }), "tags");
  EXPECT_TRUE(catalog->snapshot()->models().empty());
}

TEST_F(CatalogTest, what_others_depend_on_is_not_removed) {
  const auto catalog = Catalog::open({}).value();
  for (const char* version : {"1", "2"}) {
    ASSERT_TRUE(catalog->register_model(model("m", version), kMe).has_value());
  }
  ASSERT_TRUE(catalog->set_alias("old", "m:2", kMe).ok());
  EXPECT_THAT(catalog->remove_model("m", "1", kMe).message(), HasSubstr("live version"));
  EXPECT_THAT(catalog->remove_model("m", "2", kMe).message(), HasSubstr("alias 'old'"));
  EXPECT_THAT(catalog->remove_model("m", "", kMe).message(), HasSubstr("alias 'old'"));
  EXPECT_EQ(catalog->remove_model("m", "3", kMe).code(), StatusCode::kNotFound);
  EXPECT_EQ(catalog->remove_model("n", "", kMe).code(), StatusCode::kNotFound);
  ASSERT_TRUE(catalog->remove_alias("old", kMe).ok());
  EXPECT_EQ(catalog->remove_alias("old", kMe).code(), StatusCode::kNotFound);
  EXPECT_TRUE(catalog->remove_model("m", "2", kMe).ok());
  EXPECT_TRUE(catalog->remove_model("m", "latest", kMe).ok());
  EXPECT_TRUE(catalog->snapshot()->models().empty());
  EXPECT_EQ(catalog->snapshot()->live_version("m"), "");
}

TEST_F(CatalogTest, a_change_touches_only_what_it_names) {
  const auto catalog = open();
  ModelRegistration registration = model("m");
  registration.tags = {"a"};
  registration.settings = {{"dtype", "f32"}};
  ASSERT_TRUE(catalog->register_model(registration, kMe).has_value());
  ASSERT_TRUE(catalog->register_model(model("n"), kMe).has_value());
  const auto changed = catalog->change_model("m", "", {.pinned = true}, kMe).value();
  EXPECT_TRUE(changed->pinned);
  EXPECT_THAT(changed->tags, ElementsAre("a"));
  EXPECT_EQ(changed->settings.size(), 1u);
  EXPECT_EQ(catalog->change_model("m", "9", {.pinned = true}, kMe).error().code(),
            StatusCode::kNotFound);
  ModelChange bad;
  bad.settings = ModelSettings{{"nonsense", "1"}};
  EXPECT_EQ(catalog->change_model("m", "1", bad, kMe).error().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(ids(*catalog->snapshot()), ElementsAre("m:1", "n:1"));
}

TEST_F(CatalogTest, every_change_and_refusal_is_in_the_audit) {
  {
    const auto catalog = open();
    ASSERT_TRUE(catalog->register_model(model("m"), kMe).has_value());
    ASSERT_FALSE(catalog->register_model(model("m", "1"), kMe).has_value());
    ASSERT_TRUE(
        catalog->change_model("m", "1", {.pinned = true}, {.principal = "cli"}).has_value());
    ASSERT_TRUE(catalog->set_alias("a", "m", kMe).ok());
    ASSERT_TRUE(catalog->append_audit({.actor = kMe, .action = "load", .subject = "m:1"}).ok());
  }
  const auto catalog = open();
  const auto records = catalog->audit({}).value();
  std::vector<std::string> lines;
  for (const AuditRecord& record : records) {
    lines.push_back(str(record.id,
                        " ",
                        record.actor.principal,
                        " ",
                        record.action,
                        " ",
                        record.subject,
                        " ",
                        record.result));
  }
  EXPECT_THAT(lines,
              ElementsAre("5 test load m:1 ok",
                          "4 test alias a ok",
                          "3 cli pin m:1 ok",
                          "2 test register m:1 already_exists",
                          "1 test register m:1 ok"));
  EXPECT_THAT(records[2].before, HasSubstr("\"pinned\":false"));
  EXPECT_THAT(records[2].after, HasSubstr("\"pinned\":true"));
  EXPECT_THAT(records[3].message, HasSubstr("registered already"));
  EXPECT_EQ(records[4].before, "");
  EXPECT_EQ(records[4].actor.address, "127.0.0.1");
  EXPECT_EQ(catalog->audit({.subject = "m", .before_id = 5, .count_max = 2}).value().size(), 2u);
  EXPECT_EQ(catalog->audit({.subject = "m:2"}).value().size(), 0u);
}

TEST_F(CatalogTest, states_are_kept_by_owner_and_key) {
  {
    const auto catalog = open();
    ASSERT_TRUE(catalog->save_state("rollout", "b", "2").ok());
    ASSERT_TRUE(catalog->save_state("rollout", "a", "1").ok());
    ASSERT_TRUE(catalog->save_state("rollout", "a", "3").ok());
    ASSERT_TRUE(catalog->save_state("other", "a", "4").ok());
    ASSERT_TRUE(catalog->remove_state("rollout", "b").ok());
    EXPECT_EQ(
        catalog->save_state("x", "y", std::string(limits::kCatalogStateSizeMax + 1, ' ')).code(),
        StatusCode::kInvalidArgument);
  }
  const auto catalog = open();
  EXPECT_THAT(catalog->states("rollout").value(), ElementsAre(std::pair("a", "3")));
}

TEST_F(CatalogTest, a_second_holder_is_told_who_has_it) {
  const auto catalog = open();
  ASSERT_TRUE(catalog->set_owner_url("http://127.0.0.1:8123").ok());
  const Status status = open_failure();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.where(), "catalog");
  EXPECT_THAT(status.message(), HasSubstr(str("process ", ::getpid())));
  EXPECT_THAT(status.message(), HasSubstr("http://127.0.0.1:8123"));
  EXPECT_THAT(status.hint(), HasSubstr("--address"));
  EXPECT_EQ(Catalog::owner_of(path_).url, "http://127.0.0.1:8123");
}

TEST_F(CatalogTest, a_released_store_can_be_opened_by_a_successor) {
  const auto first = open();
  ASSERT_TRUE(first->register_model(model("m"), kMe).has_value());
  first->release();
  const auto second = open();
  EXPECT_EQ(first->snapshot()->models().size(), 1u);
  EXPECT_EQ(first->register_model(model("n"), kMe).error().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(first->states("x").has_value());
  EXPECT_TRUE(second->register_model(model("n"), kMe).has_value());
}

TEST_F(CatalogTest, a_released_store_comes_back_with_what_a_successor_wrote) {
  const auto first = open();
  ASSERT_TRUE(first->set_owner_url("http://127.0.0.1:8123").ok());
  ASSERT_TRUE(first->register_model(model("m"), kMe).has_value());
  first->release();
  {
    const auto second = open();
    ASSERT_TRUE(second->register_model(model("n"), kMe).has_value());
    EXPECT_EQ(first->reopen().code(), StatusCode::kUnavailable) << "another one still holds it";
    EXPECT_EQ(first->snapshot()->models().size(), 1u);
  }
  ASSERT_TRUE(first->reopen().ok());
  EXPECT_EQ(first->snapshot()->models().size(), 2u);
  EXPECT_TRUE(first->register_model(model("o"), kMe).has_value());
  EXPECT_EQ(Catalog::owner_of(path_).url, "http://127.0.0.1:8123");
  EXPECT_TRUE(first->reopen().ok()) << "nothing to do";
}

TEST_F(CatalogTest, a_record_in_memory_is_kept_while_it_is_released) {
  const auto catalog = Catalog::open({}).value();
  ASSERT_TRUE(catalog->register_model(model("m"), kMe).has_value());
  catalog->release();
  EXPECT_EQ(catalog->register_model(model("n"), kMe).error().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(catalog->reopen().ok());
  EXPECT_TRUE(catalog->register_model(model("n"), kMe).has_value());
  EXPECT_EQ(catalog->snapshot()->models().size(), 2u);
}

TEST_F(CatalogTest, files_of_other_kinds_are_refused_and_left_alone) {
  std::filesystem::create_directories(directory_ + "/sub");
  const auto refused = [&](const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    const Status status = open_failure();
    EXPECT_EQ(status.code(), StatusCode::kCorruptData) << status.to_string();
    EXPECT_EQ(read_file(path_, 1 << 20).value(), content);
    return status.message();
  };
  EXPECT_THAT(refused(""), HasSubstr("not a database"));
  EXPECT_THAT(refused(std::string(5000, 'x')), HasSubstr("not a database"));
  std::filesystem::remove(path_);
  {
    const auto database = catalog::Database::open(path_).value();
    ASSERT_TRUE(database->run("CREATE TABLE t (a); INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_THAT(refused(read_file(path_, 1 << 20).value()), HasSubstr("another program"));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_THAT(open_failure().message(), HasSubstr("not a file"));
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(open_failure().message(), HasSubstr("not a file"));
}

TEST_F(CatalogTest, missing_parts_are_noticed) {
  { ASSERT_TRUE(open()->register_model(model("m"), kMe).has_value()); }
  std::filesystem::rename(path_ + ".head", path_ + ".kept");
  EXPECT_THAT(open_failure().message(), HasSubstr("head file is missing"));
  std::filesystem::rename(path_ + ".kept", path_ + ".head");
  std::filesystem::rename(path_, path_ + ".kept");
  EXPECT_THAT(open_failure().message(), HasSubstr("is missing, but its head file counts 1"));
  EXPECT_FALSE(std::filesystem::exists(path_));
  std::filesystem::rename(path_ + ".kept", path_);
  EXPECT_EQ(open()->snapshot()->models().size(), 1u);
}

TEST_F(CatalogTest, an_older_copy_of_the_database_is_noticed) {
  { ASSERT_TRUE(open()->register_model(model("m"), kMe).has_value()); }
  std::filesystem::copy(path_, directory_ + "/old");
  { ASSERT_TRUE(open()->register_model(model("n"), kMe).has_value()); }
  std::filesystem::copy(
      directory_ + "/old", path_, std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(open_failure().message(), HasSubstr("it holds 1 changes, but 2 were acknowledged"));
}

TEST_F(CatalogTest, a_newer_schema_is_refused) {
  { ASSERT_TRUE(open()->register_model(model("m"), kMe).has_value()); }
  {
    const auto database = catalog::Database::open(path_).value();
    ASSERT_TRUE(database->run("PRAGMA user_version = 99").ok());
  }
  const Status status = open_failure();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("schema version 99"));
}

TEST_F(CatalogTest, migrations_run_once_and_whole) {
  const auto database = catalog::Database::open(":memory:").value();
  const std::vector<catalog::Migration> first = {"CREATE TABLE a (x);"};
  std::vector<catalog::Migration> all = {first[0], "INSERT INTO a VALUES (1); SYNTAX ERROR;"};
  ASSERT_TRUE(catalog::migrate(*database, first).ok());
  EXPECT_FALSE(catalog::migrate(*database, all).ok());
  EXPECT_EQ(database->integer("PRAGMA user_version").value(), 1);
  EXPECT_EQ(database->integer("SELECT count(*) FROM a").value(), 0);
  all[1] = "INSERT INTO a VALUES (1);";
  ASSERT_TRUE(catalog::migrate(*database, all).ok());
  ASSERT_TRUE(catalog::migrate(*database, all).ok());
  EXPECT_EQ(database->integer("SELECT count(*) FROM a").value(), 1);
  EXPECT_EQ(database->integer("PRAGMA user_version").value(), 2);
}

TEST_F(CatalogTest, rows_cannot_be_altered_behind_the_sum) {
  { ASSERT_TRUE(open()->register_model(model("m"), kMe).has_value()); }
  {
    const auto database = catalog::Database::open(path_).value();
    EXPECT_FALSE(database->run("UPDATE models SET path = '/elsewhere'").ok());
    ASSERT_TRUE(
        database->run("DROP TRIGGER models_updated; UPDATE models SET path = '/elsewhere'").ok());
  }
  EXPECT_THAT(open_failure().message(), HasSubstr("do not add up"));
}

// Every bit of the first pages and a sample of the rest, of each file.
TEST_F(CatalogTest, a_flipped_bit_is_harmless_or_refused) {
  {
    const auto catalog = open();
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(catalog->register_model(model(str("model-", i)), kMe).has_value());
    }
    ASSERT_TRUE(catalog->set_alias("alias", "model-3", kMe).ok());
  }
  const auto expected = open()->snapshot();
  const std::string copy = directory_ + "/copy";
  std::filesystem::copy(directory_ + "/sub", copy, std::filesystem::copy_options::recursive);
  int refused = 0;
  for (const std::string suffix : {"", ".head"}) {
    const std::size_t bits = std::filesystem::file_size(path_ + suffix) * 8;
    const std::size_t step = suffix.empty() ? bits / 400 | 1 : 127;
    for (std::size_t bit = 3; bit < bits; bit += step) {
      std::filesystem::remove_all(directory_ + "/sub");
      std::filesystem::copy(copy, directory_ + "/sub");
      flip_bit(path_ + suffix, bit);
      const auto catalog = Catalog::open({.path = path_, .owner_url = {}});
      if (!catalog.has_value()) {
        ++refused;
        continue;
      }
      ASSERT_EQ(ids(*(*catalog)->snapshot()), ids(*expected)) << suffix << " bit " << bit;
      for (const auto& record : expected->models()) {
        ASSERT_EQ(*(*catalog)->snapshot()->find(record->name, record->version), *record) << bit;
      }
    }
  }
  EXPECT_GT(refused, 50);
}

TEST_F(CatalogTest, a_thousand_models_are_listed_quickly) {
  const auto catalog = Catalog::open({}).value();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(catalog->register_model(model(str("group/model-", i)), kMe).has_value());
  }
  const auto begin = std::chrono::steady_clock::now();
  std::set<std::string> seen;
  const auto snapshot = catalog->snapshot();
  for (const auto& record : snapshot->models()) seen.insert(record->name);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(snapshot->resolve(str("group/model-", i)).has_value());
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(seen.size(), 1000u);
  RecordProperty(
      "microseconds",
      static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
}

TEST_F(CatalogTest, the_audit_is_bounded) {
  const auto catalog = Catalog::open({}).value();
  for (std::size_t i = 0; i < limits::kAuditRecordCountMax + 5; ++i) {
    ASSERT_TRUE(catalog->append_audit({.actor = kMe, .action = "load", .subject = "m"}).ok());
  }
  const auto all = catalog->audit({.count_max = limits::kAuditRecordCountMax + 100}).value();
  EXPECT_EQ(all.size(), limits::kAuditRecordCountMax);
  EXPECT_EQ(all.front().id, limits::kAuditRecordCountMax + 5);
}

}  // namespace
}  // namespace inferneo::manager
