#include "base/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace inferneo {
namespace {

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/inferneo_atomic_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  [[nodiscard]] std::string path(const char* name) const { return dir_ + "/" + name; }
  [[nodiscard]] std::ptrdiff_t file_count() const {
    return std::distance(std::filesystem::directory_iterator(dir_), {});
  }

  std::string dir_;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST_F(AtomicFileTest, has_its_name_only_when_complete) {
  ASSERT_TRUE(write_file(path("a"), "old").ok());
  auto file = AtomicFile::create(path("a")).value();
  ASSERT_TRUE(file.reserve(10).ok());
  ASSERT_TRUE(file.write(2, bytes_of("cd")).ok());
  EXPECT_EQ(*read_file(path("a"), 10), "old");
  ASSERT_TRUE(file.write(0, bytes_of("ab")).ok());
  ASSERT_TRUE(file.sync().ok());
  const FileIdentity identity = file.commit().value();
  EXPECT_EQ(read_file(path("a"), 10)->substr(0, 4), "abcd");
  EXPECT_EQ(MappedFile::open(path("a"))->identity(), identity);
  struct stat info {};
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(file_count(), 1);
}

TEST_F(AtomicFileTest, leaves_nothing_without_commit) {
  {
    auto file = AtomicFile::create(path("a")).value();
    ASSERT_TRUE(file.write(0, bytes_of("ab")).ok());
    EXPECT_EQ(file_count(), 1);
  }
  EXPECT_EQ(file_count(), 0);
}

TEST_F(AtomicFileTest, writers_of_one_name_do_not_meet) {
  auto first = AtomicFile::create(path("a")).value();
  auto second = AtomicFile::create(path("a")).value();
  ASSERT_TRUE(first.write(0, bytes_of("first")).ok());
  ASSERT_TRUE(second.write(0, bytes_of("second")).ok());
  ASSERT_TRUE(second.commit());
  ASSERT_TRUE(first.commit());
  EXPECT_EQ(*read_file(path("a"), 10), "first");
}

TEST_F(AtomicFileTest, a_missing_directory_is_not_found) {
  EXPECT_EQ(AtomicFile::create(path("none/a")).error().code(), StatusCode::kNotFound);
}

// Without the check beforehand the process would end by SIGXFSZ.
TEST_F(AtomicFileTest, a_size_limit_of_the_process_is_no_space) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1000, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto file = AtomicFile::create(path("a")).value();
  const Status reserved = file.reserve(1001);
  const Status written = file.write(999, bytes_of("ab"));
  const Status fits = file.write(998, bytes_of("ab"));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(reserved.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(written.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(fits.ok());
}

TEST_F(AtomicFileTest, identities_tell_states_of_a_file_apart) {
  ASSERT_TRUE(write_file(path("a"), "one").ok());
  const FileIdentity one = MappedFile::open(path("a"))->identity();
  EXPECT_EQ(MappedFile::open(path("a"))->identity(), one);
  EXPECT_EQ(one.size, 3U);
  ASSERT_TRUE(write_file(path("a"), "two").ok());
  const FileIdentity two = MappedFile::open(path("a"))->identity();
  EXPECT_NE(one, two);
  EXPECT_NE(one.to_string(), two.to_string());
  // Setting the time of the content back leaves its trace in the other.
  ::usleep(20'000);
  const timespec times[2] = {
      {0, UTIME_OMIT},
      {two.content_changed_ns / 1'000'000'000, two.content_changed_ns % 1'000'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), times, 0), 0);
  const FileIdentity touched = MappedFile::open(path("a"))->identity();
  EXPECT_EQ(touched.content_changed_ns, two.content_changed_ns);
  EXPECT_NE(touched, two);
}

}  // namespace
}  // namespace inferneo
