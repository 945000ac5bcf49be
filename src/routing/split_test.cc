#include "routing/split.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "routing/routing_table.h"
#include "routing/subject.h"

namespace inferneo::routing {
namespace {

constexpr std::int32_t kStages[] = {500, 1500, 3000, 5000, 7500, 9000, kWholeShare};

Split split_of(std::int32_t share, std::uint64_t salt = 7) {
  return {.name = "m", .stable = "1", .candidate = "2", .candidate_share = share, .salt = salt};
}

Subject user(int number) { return SubjectHash().add("user").add(std::to_string(number)).value(); }

class FixedSubject final : public SubjectSource {
 public:
  explicit FixedSubject(Subject subject) : subject_(subject) {}
  [[nodiscard]] Subject subject() const override {
    ++asked;
    return subject_;
  }
  mutable int asked = 0;

 private:
  Subject subject_;
};

// Three sigma of a binomial count, in subjects.
double tolerance(double count, double share) { return 3 * std::sqrt(count * share * (1 - share)); }

TEST(Split, shares_are_exact_within_sampling_error_for_ids_that_look_alike) {
  constexpr int kUsers = 100'000;
  for (const std::uint64_t salt : {0ULL, 1ULL, 2ULL, 0xffffffffffffffffULL}) {
    for (const std::int32_t share : kStages) {
      const Split split = split_of(share, salt);
      int candidate = 0;
      for (int i = 0; i < kUsers; ++i) candidate += goes_to_candidate(split, user(i)) ? 1 : 0;
      const double expected = kUsers * (share / double{kWholeShare});
      EXPECT_NEAR(candidate, expected, tolerance(kUsers, share / double{kWholeShare}) + 0.5)
          << "share " << share << " salt " << salt;
    }
  }
}

TEST(Split, a_subject_that_moved_stays_while_the_share_grows) {
  for (int i = 0; i < 20'000; ++i) {
    bool was_candidate = false;
    for (const std::int32_t share : kStages) {
      const bool is_candidate = goes_to_candidate(split_of(share), user(i));
      ASSERT_TRUE(is_candidate || !was_candidate) << "subject " << i << " moved back at " << share;
      was_candidate = is_candidate;
    }
    EXPECT_TRUE(was_candidate);
    EXPECT_FALSE(goes_to_candidate(split_of(0), user(i)));
  }
}

TEST(Split, another_salt_chooses_other_subjects_first) {
  int both = 0;
  constexpr int kUsers = 40'000;
  for (int i = 0; i < kUsers; ++i) {
    both += goes_to_candidate(split_of(1000, 1), user(i)) &&
                    goes_to_candidate(split_of(1000, 2), user(i))
                ? 1
                : 0;
  }
  // Independent: 1 % of all.
  EXPECT_NEAR(both, kUsers * 0.01, tolerance(kUsers, 0.01));
}

TEST(Split, positions_are_uniform_over_the_whole_line) {
  // Chi-square over 100 cells of consecutive numbers, the hardest subjects for a bad mixer.
  std::vector<int> cells(100);
  constexpr int kCount = 200'000;
  for (Subject i = 0; i < kCount; ++i) {
    const std::int32_t position = position_of(i, 3);
    ASSERT_GE(position, 0);
    ASSERT_LT(position, kWholeShare);
    ++cells[static_cast<std::size_t>(position / 100)];
  }
  double chi_square = 0;
  for (const int cell : cells) {
    const double expected = kCount / 100.0;
    chi_square += (cell - expected) * (cell - expected) / expected;
  }
  EXPECT_LT(chi_square, 148.2);  // 99 degrees of freedom, p = 0.001
}

// Restarts and other machines must agree: the numbers are part of what a rollout relies on.
TEST(Split, positions_are_the_same_on_every_run) {
  EXPECT_EQ(SubjectHash().add("alice").value(), SubjectHash().add("alice").value());
  EXPECT_EQ(position_of(0, 0), position_of(0, 0));
  EXPECT_EQ(position_of(1, 2), 9473);
  EXPECT_EQ(position_of(SubjectHash().add("alice").value(), 7), 2175);
}

TEST(SubjectHash, borders_between_texts_count) {
  EXPECT_NE(SubjectHash().add("ab").add("c").value(), SubjectHash().add("a").add("bc").value());
  EXPECT_NE(SubjectHash().add("").add("a").value(), SubjectHash().add("a").add("").value());
  EXPECT_NE(SubjectHash().value(), SubjectHash().add("").value());
}

TEST(RoutingTable, names_without_a_split_have_no_version_of_their_own) {
  const RoutingTable table = RoutingTable().with(split_of(5000));
  const FixedSubject subject(1);
  EXPECT_EQ(table.version_for("other", &subject), "");
  EXPECT_EQ(subject.asked, 0) << "the subject of a name that is not split is not needed";
  EXPECT_EQ(table.find("other"), nullptr);
  EXPECT_EQ(table.version_for("m", nullptr), "1");
}

TEST(RoutingTable, a_split_is_replaced_and_removed_without_touching_others) {
  RoutingTable table;
  for (const char* name : {"b", "a/x", "c"}) {
    Split split = split_of(100);
    split.name = name;
    table = table.with(split);
  }
  const RoutingTable before = table;
  Split grown = split_of(kWholeShare);
  grown.name = "a/x";
  table = table.with(grown);
  EXPECT_EQ(table.splits().size(), 3U);
  EXPECT_EQ(table.find("a/x")->candidate_share, kWholeShare);
  EXPECT_EQ(before.find("a/x")->candidate_share, 100) << "a table never changes";
  const FixedSubject subject(5);
  EXPECT_EQ(table.version_for("a/x", &subject), "2");
  EXPECT_EQ(subject.asked, 1);
  table = table.without("a/x").without("none");
  EXPECT_EQ(table.find("a/x"), nullptr);
  EXPECT_NE(table.find("b"), nullptr);
  EXPECT_NE(table.find("c"), nullptr);
}

}  // namespace
}  // namespace inferneo::routing
