// Files and batches by an injected clock: what is over is gone, and nothing grows without bound.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "base/limits.h"
#include "gateway/endpoints/batch/batches.h"
#include "gateway/endpoints/batch/files.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

constexpr std::int64_t kStart = 1'800'000'000;

// Answers every request at once.
class Answers final : public http::Dispatcher {
 public:
  Result<std::size_t> admit(const http::RequestHead&) override { return std::size_t{1 << 20}; }
  void dispatch(std::shared_ptr<http::Exchange> exchange) override {
    http::Response response;
    response.body = "{}";
    exchange->respond(std::move(response));
  }
};

class Expiry : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path(::testing::TempDir()) / ("expiry_" + std::string(test->name()));
    std::filesystem::remove_all(root_);
    files_ = open_files();
  }
  void TearDown() override {
    files_.reset();
    std::filesystem::remove_all(root_);
  }
  std::unique_ptr<Files> open_files(std::uint64_t bytes_max = 1000) {
    return Files::open((root_ / "files").string(), bytes_max, [this] { return now_.load(); })
        .value();
  }
  std::unique_ptr<Batches> open_batches() {
    return Batches::open((root_ / "batches").string(), *files_).value();
  }
  FileRecord add_file(std::string_view content, std::optional<std::int64_t> expires_at = {}) {
    FileRecord record;
    record.filename = "in.jsonl";
    record.purpose = "batch";
    record.expires_at = expires_at;
    return files_->add(std::move(record), content).value();
  }
  BatchRecord add_batch(Batches& batches, const FileRecord& file) {
    BatchRecord record;
    record.endpoint = "/v1/completions";
    record.input_file_id = file.id;
    return batches.create(std::move(record)).value();
  }
  // Waits until the batch is over.
  static std::string end_of(const Batches& batches, const std::string& id) {
    for (int i = 0; i < 3000 && !batches.find(id)->is_over(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return batches.find(id)->status;
  }
  std::size_t entries_of(const char* folder) const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(root_ / folder)) {
      count += entry.path().filename().string().starts_with('.') ? 0 : 1;
    }
    return count;
  }

  std::atomic<std::int64_t> now_{kStart};
  std::filesystem::path root_;
  std::unique_ptr<Files> files_;
};

constexpr std::string_view kLine =
    R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"x"}})";

TEST_F(Expiry, a_file_is_gone_when_its_time_has_come) {
  const FileRecord brief = add_file(std::string(600, 'x'), kStart + 60);
  const FileRecord lasting = add_file("stays");
  now_ = kStart + 59;
  EXPECT_TRUE(files_->find(brief.id).has_value());
  now_ = kStart + 60;
  EXPECT_EQ(files_->find(brief.id).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(files_->read(brief.id).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(files_->remove(brief.id).code(), StatusCode::kNotFound);
  EXPECT_EQ(files_->list({}).size(), 1U);
  // Its bytes are free again, on the disk too.
  add_file(std::string(900, 'y'));
  EXPECT_FALSE(std::filesystem::exists(files_->path(brief.id)));
  EXPECT_EQ(files_->read(lasting.id).value(), "stays");
}

TEST_F(Expiry, a_file_that_ran_out_while_the_server_was_down_is_removed) {
  const FileRecord brief = add_file("x", kStart + 60);
  files_.reset();
  now_ = kStart + 3600;
  files_ = open_files();
  files_->expire();
  EXPECT_TRUE(files_->list({}).empty());
  EXPECT_FALSE(std::filesystem::exists(files_->path(brief.id)));
  EXPECT_EQ(entries_of("files"), 0U);
}

TEST_F(Expiry, a_batch_ends_with_its_window_and_keeps_what_was_done) {
  const FileRecord file = add_file(kLine);
  const auto batches = open_batches();
  const BatchRecord late = add_batch(*batches, file);
  EXPECT_EQ(late.expires_at, kStart + limits::kBatchWindow.count());
  now_ = late.expires_at;
  const BatchRecord fresh = add_batch(*batches, file);
  Answers answers;
  batches->start(answers);
  EXPECT_EQ(end_of(*batches, late.id), "expired");
  EXPECT_EQ(batches->find(late.id)->expired_at, now_);
  EXPECT_EQ(end_of(*batches, fresh.id), "completed");
  EXPECT_EQ(batches->find(fresh.id)->completed, 1);
}

TEST_F(Expiry, a_batch_that_is_over_is_forgotten_after_its_age) {
  const FileRecord file = add_file(kLine);
  const auto batches = open_batches();
  const BatchRecord done = add_batch(*batches, file);
  Answers answers;
  batches->start(answers);
  ASSERT_EQ(end_of(*batches, done.id), "completed");
  batches->stop();
  now_ = kStart + limits::kBatchAgeMax.count() - 1;
  const BatchRecord open = add_batch(*batches, file);
  EXPECT_EQ(batches->list().size(), 2U);
  now_ = kStart + 2 * limits::kBatchAgeMax.count();
  const BatchRecord other = add_batch(*batches, file);
  EXPECT_FALSE(batches->find(done.id).has_value());
  EXPECT_TRUE(batches->find(open.id).has_value()) << "it is still to be done";
  EXPECT_TRUE(batches->find(other.id).has_value());
  EXPECT_EQ(entries_of("batches"), 2U);
}

TEST_F(Expiry, no_batch_is_taken_where_its_results_have_no_room) {
  const FileRecord file = add_file(kLine);
  add_file(std::string(1000 - kLine.size(), 'x'));
  const auto batches = open_batches();
  EXPECT_TRUE(batches->list().empty());
  files_.reset();
  files_ = open_files(10);
  const auto full = open_batches();
  BatchRecord record;
  record.endpoint = "/v1/completions";
  record.input_file_id = file.id;
  EXPECT_EQ(full->create(std::move(record)).error().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace inferneo::gateway::endpoints::batch
