// From source files to the image that steps read, through the cache and past it.
#include "runtimes/native/weight_image.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/str.h"

namespace inferneo::runtimes::native {
namespace {

namespace fs = std::filesystem;
using runtime::PackedFrom;
using tensor::DType;
using tensor::TensorView;

constexpr std::int64_t kWidth = 256;
constexpr std::int64_t kRows = 1000;

std::vector<std::byte> copy_of(const ModelPlan& plan, const WeightImage& image) {
  return {image.data(), image.data() + plan.matrices.image_size};
}

// A file of an embedding and two quantised matrices, one of a type of its own.
class WeightImageTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/inferneo_image_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    options_.enabled = true;
    options_.directory = dir_ + "/cache";
    options_.image_size_min = 0;
    std::string bytes(size_of(DType::kQ8_0) + size_of(DType::kQ4_0) + size_of(DType::kQ6_K), 'x');
    std::mt19937 random(1);
    for (char& byte : bytes) byte = static_cast<char>(random());
    write_source(bytes);
    settle();
  }
  void TearDown() override { fs::remove_all(dir_); }

  static std::size_t size_of(DType dtype) {
    return TensorView{dtype, tensor::Shape({kRows, kWidth}), nullptr}.byte_size();
  }
  [[nodiscard]] std::string source() const { return dir_ + "/weights"; }
  void write_source(const std::string& bytes) const {
    std::ofstream(source(), std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string read_source() const {
    return *read_file(source(), std::size_t{1} << 30);
  }
  // Until the clock of the file system has moved on, a file is not known by its times.
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(80)); }

  struct Load {
    WeightStore store;
    ModelPlan plan;
    WeightImage image;
  };
  Load load(const char* isa = "reference") {
    Load load;
    load.store.files.push_back(MappedFile::open(source()).value());
    const std::byte* at = load.store.files[0].bytes().data();
    const auto next = [&](DType dtype) {
      const TensorView view = {dtype, tensor::Shape({kRows, kWidth}), at};
      at += view.byte_size();
      return view;
    };
    const TensorView table = next(DType::kQ8_0);
    graph::ProgramBuilder builder({1, 4, 2, 8}, {{1.0F, 0.1F, 0.01F, 0.001F}, 1}, {true});
    const graph::ValueId in = builder.gather_logit_rows(builder.embed(table));
    const TensorView first = next(DType::kQ4_0);
    const TensorView second = next(DType::kQ6_K);
    const auto outs = builder.linear(in, {{first}, {second}, {table}});
    load.plan.built.program = std::move(builder).finish(outs[0]).value();
    const auto device = device::CpuDevice::create({2, isa}).value();
    load.plan.matrices = graph::plan_matrices(load.plan.built.program, device->kernels());
    load.plan.memory.weight_bytes = load.plan.matrices.image_size + table.byte_size();
    runtime::Progress progress = [&](std::uint64_t done, std::uint64_t total) {
      EXPECT_LE(done, total);
      EXPECT_GE(done, progress_);
      progress_ = done;
    };
    progress_ = 0;
    load.image = make_weight_image(load.plan, load.store, options_, *device, progress).value();
    EXPECT_EQ(progress_, load.plan.memory.weight_bytes);
    return load;
  }
  // Loads, and lets the image be written.
  std::pair<PackedFrom, std::vector<std::byte>> load_and_leave(const char* isa = "reference") {
    const Load loaded = load(isa);
    return {loaded.image.from(), copy_of(loaded.plan, loaded.image)};
  }
  [[nodiscard]] int image_file_count() const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(options_.directory)) {
      count += entry.path().extension() == ".packed" ? 1 : 0;
    }
    return count;
  }

  std::string dir_;
  runtime::PackedCacheOptions options_;
  std::uint64_t progress_ = 0;
};

TEST_F(WeightImageTest, the_second_start_maps_what_the_first_packed) {
  const auto first = load_and_leave();
  EXPECT_EQ(first.first, PackedFrom::kWeights);
  EXPECT_EQ(image_file_count(), 1);
  const auto second = load_and_leave();
  EXPECT_EQ(second.first, PackedFrom::kCache);
  EXPECT_EQ(second.second, first.second);
}

TEST_F(WeightImageTest, a_changed_byte_is_never_answered_from_the_cache) {
  const auto first = load_and_leave();
  std::string bytes = read_source();
  bytes[size_of(DType::kQ8_0) + 5] ^= 1;
  write_source(bytes);
  settle();
  const auto second = load_and_leave();
  EXPECT_EQ(second.first, PackedFrom::kWeights);
  EXPECT_NE(second.second, first.second);
  EXPECT_EQ(image_file_count(), 2);
  const auto third = load_and_leave();
  EXPECT_EQ(third.first, PackedFrom::kCache);
  EXPECT_EQ(third.second, second.second);
}

// Even when the change comes within one tick of the clock and its time is set back.
TEST_F(WeightImageTest, a_change_at_once_is_never_answered_from_the_cache) {
  std::string bytes = read_source();
  std::vector<std::byte> before;
  for (int round = 0; round < 5; ++round) {
    bytes[size_of(DType::kQ8_0) + 5] ^= 1;
    write_source(bytes);
    struct stat info {};
    ASSERT_EQ(::stat(source().c_str(), &info), 0);
    const timespec times[2] = {info.st_atim, {1'000'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, source().c_str(), times, 0), 0);
    options_.enabled = false;
    const auto wanted = load_and_leave();
    options_.enabled = true;
    const auto found = load_and_leave();
    EXPECT_EQ(found.second, wanted.second) << round;
  }
}

TEST_F(WeightImageTest, a_copy_of_the_source_finds_the_same_image) {
  const auto first = load_and_leave();
  fs::copy_file(source(), dir_ + "/copy");
  fs::rename(dir_ + "/copy", source());
  settle();
  const auto copied = load_and_leave();
  EXPECT_EQ(copied.first, PackedFrom::kCache);
  EXPECT_EQ(copied.second, first.second);
  ASSERT_EQ(::utimensat(AT_FDCWD, source().c_str(), nullptr, 0), 0);
  EXPECT_EQ(load_and_leave().first, PackedFrom::kCache);
  EXPECT_EQ(image_file_count(), 1);
}

TEST_F(WeightImageTest, a_damaged_image_is_packed_again) {
  const auto first = load_and_leave();
  for (const auto& entry : fs::directory_iterator(options_.directory)) {
    if (entry.path().extension() != ".packed") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(10'000);
    file.put('!');
  }
  const auto second = load_and_leave();
  EXPECT_EQ(second.first, PackedFrom::kWeights);
  EXPECT_EQ(second.second, first.second);
  const auto third = load_and_leave();
  EXPECT_EQ(third.first, PackedFrom::kCache);
  EXPECT_EQ(third.second, first.second);
}

TEST_F(WeightImageTest, tables_have_images_of_their_own) {
  const auto reference = load_and_leave();
  for (const auto* table : kernels::supported_tables()) {
    if (table->matrix_ops == nullptr) continue;
    const std::string_view name = table->name;
    const auto found = load_and_leave(table->name);
    options_.enabled = false;
    EXPECT_EQ(found.second, load_and_leave(table->name).second) << name;
    options_.enabled = true;
  }
}

TEST_F(WeightImageTest, is_off_when_it_is_switched_off_or_not_worth_it) {
  options_.enabled = false;
  EXPECT_EQ(load_and_leave().first, PackedFrom::kWeights);
  EXPECT_FALSE(fs::exists(options_.directory));
  options_.enabled = true;
  options_.image_size_min = std::uint64_t{1} << 40;
  EXPECT_EQ(load_and_leave().first, PackedFrom::kWeights);
  EXPECT_FALSE(fs::exists(options_.directory));
}

TEST_F(WeightImageTest, a_cache_that_does_not_work_stops_nobody) {
  std::ofstream(options_.directory).put('x');  // a file where the directory should be
  EXPECT_EQ(load_and_leave().first, PackedFrom::kWeights);
  fs::remove(options_.directory);
  options_.bytes_max = 1000;
  EXPECT_EQ(load_and_leave().first, PackedFrom::kWeights);
  EXPECT_EQ(image_file_count(), 0);
}

// Rows of a tied embedding are read after its head was packed.
TEST_F(WeightImageTest, rows_of_the_source_stay_readable) {
  const std::string bytes = read_source();
  const Load loaded = load();
  const auto rows = loaded.store.files[0].bytes();
  ASSERT_EQ(rows.size(), bytes.size());
  EXPECT_EQ(std::memcmp(rows.data(), bytes.data(), bytes.size()), 0);
}

std::uint64_t resident_bytes_of(const std::string& name) {
  std::ifstream file("/proc/self/smaps");
  std::string line;
  bool inside = false;
  std::uint64_t total = 0;
  while (std::getline(file, line)) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(name);
    if (inside && line.starts_with("Rss:")) total += std::stoull(line.substr(4)) * 1024;
  }
  return total;
}

TEST_F(WeightImageTest, sources_are_let_go_of) {
  options_.enabled = false;
  const Load loaded = load();
  EXPECT_LT(resident_bytes_of(source()), fs::file_size(source()) / 4);
}

}  // namespace
}  // namespace inferneo::runtimes::native
