#include "runtimes/native/packed_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/atomic_file.h"
#include "base/str.h"
#include "runtimes/native/packed_file.h"

namespace inferneo::runtimes::native {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint64_t kRoom = std::uint64_t{1} << 30;
constexpr Digest kPlan = {1, 2};
constexpr Digest kSource = {3, 4};

class PackedCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/inferneo_packed_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
    dir_ = top_ + "/cache/inferneo";
    device_ = device::CpuDevice::create({2, ""}).value();
  }
  void TearDown() override { fs::remove_all(top_); }

  [[nodiscard]] PackedCache open(std::uint64_t bytes_max = kRoom) const {
    return PackedCache::open(dir_, bytes_max).value();
  }
  [[nodiscard]] std::optional<PackedImageFile> find(const Digest& source = kSource) const {
    return open().find(kPlan, source, image_.size(), *device_);
  }
  [[nodiscard]] bool has(const Digest& source = kSource) const {
    const auto found = find(source);
    return found && std::equal(found->image.begin(), found->image.end(), image_.begin());
  }
  [[nodiscard]] Status store(const PackedCache& cache, const Digest& source = kSource) const {
    return cache.store(kPlan, source, image_, {});
  }
  [[nodiscard]] std::vector<std::string> files(std::string_view suffix) const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(dir_)) {
      if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  // The only image there is.
  [[nodiscard]] std::string image_path() const { return files(".packed").at(0); }
  void flip_bit(std::uint64_t at) const {
    std::fstream file(image_path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 1));
  }

  static std::vector<std::byte> make_image() {
    std::vector<std::byte> image(2 * kPackedChunkSize + 5000);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i * i >> 3);
    return image;
  }

  std::string top_;
  std::string dir_;
  std::unique_ptr<device::CpuDevice> device_;
  const std::vector<std::byte> image_ = make_image();
};

TEST_F(PackedCacheTest, what_is_stored_is_found) {
  EXPECT_FALSE(find());
  EXPECT_FALSE(open().has_plan(kPlan));
  ASSERT_TRUE(store(open()).ok());
  EXPECT_TRUE(has());
  EXPECT_TRUE(open().has_plan(kPlan));
  EXPECT_FALSE(open().has_plan({1, 3}));
  EXPECT_FALSE(find({3, 5}));
  EXPECT_FALSE(open().find({1, 3}, kSource, image_.size(), *device_));
  EXPECT_THAT(files(".tmp"), testing::IsEmpty());
}

TEST_F(PackedCacheTest, an_image_of_several_pieces_comes_back_as_it_was) {
  std::vector<std::byte> image(40 * kPackedChunkSize + 77);
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i * i >> 9);
  ASSERT_TRUE(open().store(kPlan, kSource, image, {}).ok());
  const auto found = open().find(kPlan, kSource, image.size(), *device_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::equal(found->image, image));
}

TEST_F(PackedCacheTest, belongs_to_its_user_alone) {
  ASSERT_TRUE(store(open()).ok());
  open().remember_source("identity", kSource);
  for (const auto& entry : fs::recursive_directory_iterator(top_ + "/cache")) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, entry.is_directory() ? 0700U : 0600U) << entry.path();
  }
  ASSERT_EQ(::chmod(dir_.c_str(), 0770), 0);
  const auto shared = PackedCache::open(dir_, kRoom);
  ASSERT_FALSE(shared);
  EXPECT_EQ(shared.error().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(shared.error().message(), HasSubstr("others may write there"));
  std::ofstream(top_ + "/file").put('x');
  EXPECT_EQ(PackedCache::open(top_ + "/file", kRoom).error().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(PackedCache::open(top_ + "/file/below", kRoom).error().code(),
            StatusCode::kPermissionDenied);
}

TEST_F(PackedCacheTest, sources_are_remembered_by_identity) {
  const PackedCache cache = open();
  EXPECT_FALSE(cache.find_source("identity"));
  cache.remember_source("identity", kSource);
  EXPECT_EQ(open().find_source("identity"), kSource);
  EXPECT_FALSE(open().find_source("other"));
  for (const char* text : {"", "00", "0000000000000001000000000000000g", " "}) {
    ASSERT_TRUE(write_file(files(".source").at(0), text).ok());
    EXPECT_FALSE(open().find_source("identity")) << text;
  }
}

TEST_F(PackedCacheTest, the_key_stays_and_a_broken_one_is_replaced) {
  const HashKey key = open().key();
  EXPECT_EQ(open().key().low, key.low);
  ASSERT_TRUE(write_file(dir_ + "/key", "short").ok());
  const HashKey other = open().key();
  EXPECT_NE(other.low, key.low);
  EXPECT_EQ(open().key().low, other.low);
}

TEST_F(PackedCacheTest, a_flipped_bit_is_found_wherever_it_is) {
  const std::uint64_t offset = packed_image_offset(image_.size());
  for (const std::uint64_t at : {std::uint64_t{0},
                                 std::uint64_t{20},
                                 std::uint64_t{40},
                                 std::uint64_t{50},
                                 std::uint64_t{65},
                                 offset,
                                 offset + kPackedChunkSize - 1,
                                 offset + image_.size() - 1}) {
    ASSERT_TRUE(store(open()).ok());
    ASSERT_TRUE(has());
    flip_bit(at);
    EXPECT_FALSE(find()) << at;
    EXPECT_THAT(files(".packed"), testing::IsEmpty());
    EXPECT_THAT(files(".used"), testing::IsEmpty());
  }
}

// The time of the content can be set back, the other cannot.
TEST_F(PackedCacheTest, a_flipped_bit_is_found_behind_an_old_time) {
  ASSERT_TRUE(store(open()).ok());
  ASSERT_TRUE(has());
  struct stat info {};
  ASSERT_EQ(::stat(image_path().c_str(), &info), 0);
  flip_bit(packed_image_offset(image_.size()) + 77);
  const timespec times[2] = {{0, UTIME_OMIT}, info.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, image_path().c_str(), times, 0), 0);
  EXPECT_FALSE(find());
}

TEST_F(PackedCacheTest, a_truncated_file_is_found) {
  for (const std::uint64_t size : {0, 10, 64, 4096, 4097, 1'000'000}) {
    ASSERT_TRUE(store(open()).ok());
    fs::resize_file(image_path(), size);
    EXPECT_FALSE(find()) << size;
    EXPECT_THAT(files(".packed"), testing::IsEmpty());
  }
}

TEST_F(PackedCacheTest, an_image_under_another_name_is_refused) {
  ASSERT_TRUE(store(open()).ok());
  const std::string path = image_path();
  ASSERT_TRUE(store(open(), {3, 5}).ok());
  const std::vector<std::string> both = files(".packed");
  const std::string other = both[0] == path ? both[1] : both[0];
  fs::rename(path, other);
  EXPECT_FALSE(find({3, 5}));
  EXPECT_FALSE(find());
  EXPECT_THAT(files(".packed"), testing::IsEmpty());
}

// A mark of an earlier start of the machine, or of another state of the file, is worth nothing.
TEST_F(PackedCacheTest, an_image_without_its_mark_is_checked_and_marked) {
  ASSERT_TRUE(store(open()).ok());
  const std::string mark = files(".used").at(0);
  const std::string text = *read_file(mark, 1000);
  for (const std::string& wrong : {std::string(), text + "x", "0" + text}) {
    ASSERT_TRUE(write_file(mark, wrong).ok());
    EXPECT_TRUE(has());
    EXPECT_EQ(*read_file(mark, 1000), text);
  }
  fs::remove(mark);
  EXPECT_TRUE(has());
  EXPECT_EQ(*read_file(mark, 1000), text);
}

TEST_F(PackedCacheTest, what_was_used_least_recently_goes_first) {
  const PackedCache cache = open(3 * image_.size() + 3 * 4096);
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(store(cache, {i, i}).ok());
    cache.remember_source(str("identity ", i), {i, i});
  }
  EXPECT_TRUE(has({0, 0}));  // now 1 is the oldest
  ASSERT_TRUE(store(cache, {3, 3}).ok());
  EXPECT_TRUE(has({0, 0}));
  EXPECT_FALSE(find({1, 1}));
  EXPECT_TRUE(has({2, 2}));
  EXPECT_TRUE(has({3, 3}));
  EXPECT_EQ(files(".used").size(), 3U);
  // Sources of what is gone are forgotten with it.
  EXPECT_TRUE(cache.find_source("identity 0"));
  EXPECT_FALSE(cache.find_source("identity 1"));
}

TEST_F(PackedCacheTest, more_than_its_bound_is_refused) {
  const Status status = store(open(image_.size()));
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("packed_cache_bytes_max"));
  EXPECT_THAT(files(".packed"), testing::IsEmpty());
}

TEST_F(PackedCacheTest, no_space_is_a_failure_that_leaves_nothing) {
  const PackedCache cache = open();
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{image_.size() / 2, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = store(cache);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(files(".packed"), testing::IsEmpty());
  EXPECT_THAT(files(".tmp"), testing::IsEmpty());
}

TEST_F(PackedCacheTest, stops_when_asked) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(open().store(kPlan, kSource, image_, stop.get_token()).code(), StatusCode::kCancelled);
  EXPECT_THAT(files(".packed"), testing::IsEmpty());
  EXPECT_THAT(files(".tmp"), testing::IsEmpty());
}

TEST_F(PackedCacheTest, leftovers_of_a_crash_are_removed) {
  const PackedCache cache = open();
  std::ofstream(dir_ + "/a.packed.1.1.tmp").put('x');
  std::ofstream(dir_ + "/b.packed.1.1.tmp").put('x');
  fs::last_write_time(dir_ + "/a.packed.1.1.tmp",
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  ASSERT_TRUE(store(cache).ok());
  EXPECT_THAT(files(".tmp"), testing::ElementsAre(HasSubstr("b.packed")));
}

TEST_F(PackedCacheTest, writers_and_readers_do_not_disturb_each_other) {
  const PackedCache cache = open();
  ASSERT_TRUE(store(cache).ok());
  std::vector<std::jthread> threads;
  std::atomic<int> failures{0};
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) failures += store(cache).ok() ? 0 : 1;
    });
  }
  const auto device = device::CpuDevice::create({1, ""}).value();
  for (int round = 0; round < 50; ++round) {
    const auto found = cache.find(kPlan, kSource, image_.size(), *device);
    const bool equal =
        found && std::equal(found->image.begin(), found->image.end(), image_.begin());
    failures += equal ? 0 : 1;
  }
  threads.clear();
  EXPECT_EQ(failures.load(), 0);
  EXPECT_TRUE(has());
}

TEST(PackedCacheDirectory, follows_the_environment) {
  const auto with = [](const char* cache, const char* home) {
    ::setenv("XDG_CACHE_HOME", cache, 1);
    ::setenv("HOME", home, 1);
    return default_packed_cache_directory();
  };
  const std::string old_home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  EXPECT_EQ(with("/x", "/home/a"), "/x/inferneo");
  EXPECT_EQ(with("relative", "/home/a"), "/home/a/.cache/inferneo");
  EXPECT_EQ(with("", "/home/a"), "/home/a/.cache/inferneo");
  EXPECT_EQ(with("", ""), "/var/cache/inferneo");
  ::unsetenv("XDG_CACHE_HOME");
  ::setenv("HOME", old_home.c_str(), 1);
}

}  // namespace
}  // namespace inferneo::runtimes::native
