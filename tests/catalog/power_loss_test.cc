// The power fails after any call that changes the disk.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/str.h"
#include "disk_calls.h"
#include "disk_model.h"
#include "operations.h"

namespace inferneo::catalog_test {
namespace {

using manager::Catalog;

class PowerLoss {
 public:
  PowerLoss(std::uint64_t seed, int states_per_call)
      : seed_(seed), states_per_call_(states_per_call), random_(seed), model_(live_.path()) {
    oracle_next_.after(1);
  }

  // Makes the store, changes it, closes it and opens it again; after each call the power fails in
  // several ways.
  void run(std::uint64_t operation_count) {
    watch_disk_calls(live_.path(), [this](const DiskCall& call) {
      if (call.path.ends_with(".lock")) return Verdict();
      model_.record(call);
      try_states();
      return Verdict();
    });
    for (std::uint64_t half = 1; half <= 2; ++half) {
      const auto catalog = Catalog::open({.path = live_.store(), .owner_url = {}});
      ASSERT_TRUE(catalog.has_value()) << catalog.status().to_string();
      while (acknowledged_ < operation_count * half / 2) {
        apply_operation(**catalog, seed_, acknowledged_);
        ++acknowledged_;
        expected_ = oracle_.after(acknowledged_);
        expected_next_ = oracle_next_.after(acknowledged_ + 1);
      }
    }
    stop_watching_disk_calls();
  }
  [[nodiscard]] int state_count() const { return state_count_; }

 private:
  void try_states() {
    // While the store is made there may be nothing yet.
    for (int i = 0; i < states_per_call_ && !testing::Test::HasFailure(); ++i) {
      after_.clear();
      model_.materialise(random_, after_.path());
      const auto catalog = Catalog::open({.path = after_.store(), .owner_url = {}});
      ++state_count_;
      ASSERT_TRUE(catalog.has_value()) << catalog.status().to_string() << explain();
      const std::string held = contents(**catalog);
      if (held == expected_) continue;
      ASSERT_EQ(held, expected_next_) << explain();
    }
  }
  [[nodiscard]] std::string explain() const {
    return str(" (seed ", seed_, ", ", acknowledged_, " acknowledged, state ", state_count_, ")");
  }

  const std::uint64_t seed_;
  const int states_per_call_;
  std::mt19937_64 random_;
  StoreDirectory live_;
  StoreDirectory after_;
  DiskModel model_;
  Oracle oracle_{seed_};
  Oracle oracle_next_{seed_};
  std::uint64_t acknowledged_ = 0;
  std::string expected_ = oracle_.after(0);
  std::string expected_next_ = oracle_next_.after(1);
  int state_count_ = 0;
};

TEST(CatalogPowerLoss, what_was_acknowledged_survives_and_nothing_else_appears) {
  const int seeds = is_full_size() ? 20 : 2;
  int states = 0;
  for (int seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    PowerLoss power_loss(static_cast<std::uint64_t>(seed), is_full_size() ? 4 : 2);
    power_loss.run(is_full_size() ? 80 : 30);
    states += power_loss.state_count();
  }
  EXPECT_GT(states, 300);
  RecordProperty("states", states);
}

}  // namespace
}  // namespace inferneo::catalog_test
