// kill -9 at random moments, and at every call that changes the disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>
#include <string>

#include "base/str.h"
#include "disk_calls.h"
#include "operations.h"

namespace inferneo::catalog_test {
namespace {

using manager::Catalog;

// What the child tells the parent, also when it dies in the middle.
struct Shared {
  std::atomic<std::uint64_t> acknowledged;
  std::atomic<std::uint64_t> call_count;
  std::atomic<bool> opened;
};

Shared* make_shared_page() {
  void* page =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (page) Shared();
}

// In a child process: operations `begin` to `end` on the store, then a clean close.
[[noreturn]] void write_and_exit(const std::string& store,
                                 std::uint64_t seed,
                                 std::uint64_t begin,
                                 std::uint64_t end,
                                 Shared& shared) {
  {
    const auto catalog = Catalog::open({.path = store, .owner_url = {}});
    if (!catalog.has_value()) {
      ::dprintf(2, "%s\n", catalog.error().to_string().c_str());
      ::_exit(3);
    }
    shared.opened = true;
    for (std::uint64_t i = begin; i < end; ++i) {
      apply_operation(**catalog, seed, i);
      shared.acknowledged = i + 1;
    }
  }
  ::_exit(0);
}

// What the store holds must be what was acknowledged, or that and the operation under way. Returns
// how many operations it holds.
std::uint64_t verify(const std::string& store, Oracle& oracle, std::uint64_t acknowledged) {
  const auto catalog = Catalog::open({.path = store, .owner_url = {}});
  EXPECT_TRUE(catalog.has_value()) << catalog.status().to_string();
  if (!catalog.has_value()) return acknowledged;
  const std::string held = contents(**catalog);
  if (held == oracle.after(acknowledged)) return acknowledged;
  EXPECT_EQ(held, oracle.after(acknowledged + 1)) << "after " << acknowledged;
  return acknowledged + 1;
}

TEST(CatalogCrash, killed_at_random_moments_it_keeps_what_was_acknowledged) {
  const int kills = is_full_size() ? 500 : 60;
  const StoreDirectory directory;
  Shared& shared = *make_shared_page();
  Oracle oracle(1);
  std::mt19937_64 random(7);
  std::uint64_t held = 0;
  int kept_one_more = 0;
  for (int i = 0; i < kills; ++i) {
    shared.acknowledged = held;
    shared.opened = false;
    const pid_t child = ::fork();
    if (child == 0) write_and_exit(directory.store(), 1, held, ~0ULL, shared);
    // Half of them from the moment it is open, the others from the start.
    while (i % 2 == 0 && !shared.opened) ::usleep(50);
    ::usleep(static_cast<useconds_t>(random() % 12'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended with " << WEXITSTATUS(status);
    const std::uint64_t acknowledged = shared.acknowledged;
    held = verify(directory.store(), oracle, acknowledged);
    ASSERT_FALSE(HasFailure()) << "kill " << i;
    kept_one_more += held > acknowledged ? 1 : 0;
  }
  EXPECT_GT(held, static_cast<std::uint64_t>(kills));
  RecordProperty("kills", kills);
  RecordProperty("operations", static_cast<int>(held));
  RecordProperty("kept_unacknowledged", kept_one_more);
}

// Runs the operations in a child that dies at call number `at`: before it, or with half of it done.
// False when it came to the end first.
bool run_and_die_at(const std::string& store,
                    const std::string& directory,
                    std::uint64_t at,
                    bool after_part,
                    std::uint64_t operation_count,
                    Shared& shared) {
  shared.acknowledged = 0;
  shared.call_count = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    watch_disk_calls(directory, [&shared, at, after_part](const DiskCall&) {
      if (++shared.call_count != at) return Verdict();
      if (!after_part) ::kill(::getpid(), SIGKILL);
      return Verdict{.kill_after_part = true};
    });
    write_and_exit(store, 2, 0, operation_count, shared);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  return WIFSIGNALED(status);
}

TEST(CatalogCrash, killed_at_every_call_that_writes_it_keeps_what_was_acknowledged) {
  // From the first call that makes the store to its clean close, several moves of the log into the
  // database between.
  const std::uint64_t operation_count = is_full_size() ? 120 : 60;
  const std::uint64_t step = is_full_size() ? 1 : 5;
  const StoreDirectory directory;
  Shared& shared = *make_shared_page();
  std::uint64_t kills = 0;
  for (std::uint64_t at = 1;; at += step) {
    bool ended = false;
    for (const bool after_part : {false, true}) {
      directory.clear();
      ended = !run_and_die_at(
          directory.store(), directory.path(), at, after_part, operation_count, shared);
      if (ended) break;
      ++kills;
      Oracle oracle(2);
      verify(directory.store(), oracle, shared.acknowledged);
      ASSERT_FALSE(HasFailure()) << "call " << at << (after_part ? ", half done" : "");
    }
    if (ended) break;
  }
  EXPECT_GT(kills, operation_count);
  RecordProperty("kills", static_cast<int>(kills));
}

}  // namespace
}  // namespace inferneo::catalog_test
