// Full disks and damaged ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/mapped_file.h"
#include "base/str.h"
#include "disk_calls.h"
#include "operations.h"

namespace inferneo::catalog_test {
namespace {

using manager::Actor;
using manager::Catalog;
using ::testing::HasSubstr;

const Actor kActor = {.principal = "test"};

manager::ModelRegistration model(std::string name) {
  return {.name = std::move(name), .version = "1", .path = "/models/x"};
}

// Fails every call from number `from` on, as a disk does that is full.
struct FullDisk {
  int from = 0;
  int error = ENOSPC;
  CallKind kind = CallKind::kWrite;
  int seen = 0;

  Verdict operator()(const DiskCall& call) {
    if (call.kind != kind) return {};
    return {.error = ++seen >= from ? error : 0};
  }
};

TEST(CatalogFullDisk, a_change_that_does_not_fit_is_refused_and_nothing_is_lost) {
  int refused = 0;
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    for (int from = 1; from <= 12; ++from) {
      const StoreDirectory directory;
      std::string before;
      {
        const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}}).value();
        ASSERT_TRUE(catalog->register_model(model("a"), kActor).has_value());
        before = contents(*catalog);
        watch_disk_calls(directory.path(), FullDisk{.from = from, .error = error});
        const auto refusal = catalog->register_model(model("b"), kActor);
        stop_watching_disk_calls();
        if (refusal.has_value()) break;  // it needed fewer calls
        ++refused;
        if (refusal.error().code() == StatusCode::kUnavailable) {
          // The last write of all: the change is there, but the catalog stops counting on itself.
          EXPECT_THAT(refusal.error().message(), HasSubstr("takes no further changes"));
          EXPECT_FALSE(catalog->register_model(model("c"), kActor).has_value());
          continue;
        }
        EXPECT_EQ(refusal.error().code(), StatusCode::kResourceExhausted)
            << refusal.error().to_string();
        EXPECT_THAT(refusal.error().message(), HasSubstr("is full"));
        EXPECT_EQ(contents(*catalog), before);
        // With space again it goes on.
        ASSERT_TRUE(catalog->register_model(model("b"), kActor).has_value()) << from;
        before = contents(*catalog);
      }
      EXPECT_EQ(contents(*Catalog::open({.path = directory.store(), .owner_url = {}}).value()),
                before);
    }
  }
  EXPECT_GT(refused, 6);
}

TEST(CatalogFullDisk, a_store_that_cannot_be_made_leaves_nothing_behind) {
  for (int from = 1; from < 40; ++from) {
    const StoreDirectory directory;
    watch_disk_calls(directory.path(), FullDisk{.from = from});
    const auto refused = Catalog::open({.path = directory.store(), .owner_url = {}});
    stop_watching_disk_calls();
    if (refused.has_value()) return;
    EXPECT_EQ(refused.error().code(), StatusCode::kResourceExhausted)
        << from << " " << refused.error().to_string();
    const auto later = Catalog::open({.path = directory.store(), .owner_url = {}});
    ASSERT_TRUE(later.has_value()) << from << " " << later.error().to_string();
  }
  FAIL() << "it never succeeded";
}

TEST(CatalogFullDisk, a_sync_that_fails_is_a_refusal) {
  for (int from = 1; from <= 3; ++from) {
    const StoreDirectory directory;
    Oracle oracle(3);
    {
      const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}}).value();
      watch_disk_calls(directory.path(),
                       FullDisk{.from = from, .error = EIO, .kind = CallKind::kSync});
      const auto refused = catalog->register_model(model("a"), kActor);
      stop_watching_disk_calls();
      if (refused.has_value()) continue;
      EXPECT_EQ(refused.error().code(), StatusCode::kInternal);
    }
    const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}});
    ASSERT_TRUE(catalog.has_value()) << catalog.error().to_string();
    EXPECT_LE((*catalog)->snapshot()->models().size(), 1u);
  }
}

void flip_bit(const std::string& path, std::size_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

// A store as a crash leaves it: part in the database, part in the log.
void make_crashed_store(const StoreDirectory& directory, std::uint64_t operation_count) {
  const StoreDirectory live;
  const auto catalog = Catalog::open({.path = live.store(), .owner_url = {}}).value();
  for (std::uint64_t i = 0; i < operation_count; ++i) apply_operation(*catalog, 4, i);
  std::filesystem::copy(live.path(), directory.path());
}

TEST(CatalogDamage, a_flipped_bit_is_harmless_or_refused) {
  constexpr std::uint64_t kOperationCount = 90;
  const StoreDirectory crashed;
  make_crashed_store(crashed, kOperationCount);
  Oracle oracle(4);
  const std::string expected = oracle.after(kOperationCount);
  const std::size_t flips = is_full_size() ? 4000 : 250;
  const StoreDirectory directory;
  int refused = 0;
  int harmless = 0;
  for (const std::string suffix : {"", "-wal", ".head"}) {
    const std::string path = directory.store() + suffix;
    const std::size_t bits = std::filesystem::file_size(crashed.store() + suffix) * 8;
    ASSERT_GT(bits, 0u) << suffix;
    for (std::size_t bit = 5; bit < bits; bit += bits / flips | 1) {
      directory.clear();
      std::filesystem::copy(crashed.path(), directory.path());
      flip_bit(path, bit);
      const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}});
      if (!catalog.has_value()) {
        ++refused;
        ASSERT_NE(catalog.error().message(), "");
        continue;
      }
      ++harmless;
      ASSERT_EQ(contents(**catalog), expected) << "bit " << bit << " of catalog.db" << suffix;
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(harmless, 100);
  RecordProperty("refused", refused);
  RecordProperty("harmless", harmless);
}

TEST(CatalogDamage, a_shortened_file_is_harmless_or_refused) {
  constexpr std::uint64_t kOperationCount = 60;
  const StoreDirectory crashed;
  make_crashed_store(crashed, kOperationCount);
  Oracle oracle(4);
  const std::string expected = oracle.after(kOperationCount);
  const StoreDirectory directory;
  for (const std::string suffix : {"", "-wal", ".head"}) {
    const std::string path = directory.store() + suffix;
    const std::size_t size = std::filesystem::file_size(crashed.store() + suffix);
    for (std::size_t keep = 0; keep < size; keep += size / 40 | 1) {
      directory.clear();
      std::filesystem::copy(crashed.path(), directory.path());
      std::filesystem::resize_file(path, keep);
      const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}});
      if (catalog.has_value()) {
        ASSERT_EQ(contents(**catalog), expected) << keep << " of " << suffix;
      } else {
        ASSERT_EQ(catalog.error().code(), StatusCode::kCorruptData) << catalog.error().to_string();
        ASSERT_NE(catalog.error().hint(), "");
      }
    }
  }
}

TEST(CatalogDamage, what_was_refused_is_left_as_it_was_found) {
  const StoreDirectory directory;
  make_crashed_store(directory, 60);
  flip_bit(directory.store() + "-wal", 8 * 200);
  const auto read_all = [&] {
    return read_file(directory.store(), 1 << 24).value() +
           read_file(directory.store() + "-wal", 1 << 24).value() +
           read_file(directory.store() + ".head", 1 << 24).value();
  };
  const std::string before = read_all();
  for (int i = 0; i < 2; ++i) {
    const auto catalog = Catalog::open({.path = directory.store(), .owner_url = {}});
    ASSERT_FALSE(catalog.has_value());
    EXPECT_THAT(catalog.error().message(), HasSubstr("the last ones are lost"));
    EXPECT_EQ(read_all(), before);
  }
}

}  // namespace
}  // namespace inferneo::catalog_test
