#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace inferneo::text {
namespace {

struct Outcome {
  std::string text;
  std::string matched;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::ostream& operator<<(std::ostream& os, const Outcome& outcome) {
  return os << "'" << outcome.text << "' stopped by '" << outcome.matched << "'";
}

// What the contract says, on the whole text at once.
Outcome search_slowly(const std::string& text,
                      const std::vector<std::string>& stops,
                      bool include_stop) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    std::string best;
    for (const std::string& stop : stops) {
      if (text.compare(begin, stop.size(), stop) == 0 && stop.size() > best.size()) best = stop;
    }
    if (!best.empty()) return {text.substr(0, begin) + (include_stop ? best : ""), best};
  }
  return {text, ""};
}

Outcome push_all(const std::vector<std::string>& pieces,
                 const std::vector<std::string>& stops,
                 bool include_stop) {
  StopMatcher matcher(stops, include_stop);
  Outcome outcome;
  for (const std::string& piece : pieces) {
    if (matcher.push(piece, outcome.text)) break;
  }
  matcher.finish(outcome.text);
  outcome.matched = matcher.matched();
  return outcome;
}

TEST(StopMatcher, holds_back_only_what_may_become_a_stop) {
  StopMatcher matcher({"</s>"}, false);
  std::string out;
  EXPECT_FALSE(matcher.push("one <", out));
  EXPECT_EQ(out, "one ");
  EXPECT_FALSE(matcher.push("/b> two</", out));
  EXPECT_EQ(out, "one </b> two");
  EXPECT_TRUE(matcher.push("s> three", out));
  EXPECT_EQ(out, "one </b> two");
  EXPECT_EQ(matcher.matched(), "</s>");
}

TEST(StopMatcher, finish_gives_back_the_tail) {
  StopMatcher matcher({"STOP"}, false);
  std::string out;
  EXPECT_FALSE(matcher.push("do not STO", out));
  EXPECT_EQ(out, "do not ");
  matcher.finish(out);
  EXPECT_EQ(out, "do not STO");
  EXPECT_EQ(matcher.matched(), "");
}

TEST(StopMatcher, earlier_start_wins_over_earlier_end) {
  EXPECT_EQ(push_all({"xab", "c"}, {"b", "abc"}, false), (Outcome{"x", "abc"}));
  EXPECT_EQ(push_all({"xab", "d"}, {"b", "abc"}, false), (Outcome{"xa", "b"}));
}

TEST(StopMatcher, longest_of_equal_starts_wins_and_finish_settles) {
  EXPECT_EQ(push_all({"x", "a", "b"}, {"a", "abc"}, true), (Outcome{"xa", "a"}));
  EXPECT_EQ(push_all({"x", "a", "bc"}, {"a", "abc"}, true), (Outcome{"xabc", "abc"}));
}

TEST(StopMatcher, without_stops_everything_passes) {
  EXPECT_EQ(push_all({"a", "", "b"}, {}, false), (Outcome{"ab", ""}));
  EXPECT_EQ(push_all({"a", "b"}, {""}, false), (Outcome{"ab", ""}));
}

TEST(StopMatcher, equals_naive_search_at_any_split) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int matches = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::size_t letters = 1 + below(3);
    const auto word = [&](std::size_t size) {
      std::string text;
      for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + below(letters));
      return text;
    };
    std::vector<std::string> stops(1 + below(5));
    for (std::string& stop : stops) stop = word(1 + below(6));
    const std::string text = word(below(30));
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = below(5);
      pieces.push_back(text.substr(at, size));
      at += size;
    }
    const bool include_stop = below(2) == 1;
    const Outcome expected = search_slowly(text, stops, include_stop);
    ASSERT_EQ(push_all(pieces, stops, include_stop), expected) << text;
    matches += expected.matched.empty() ? 0 : 1;
  }
  EXPECT_GT(matches, 5000);
}

TEST(StopMatcher, reads_a_hostile_text_in_linear_time) {
  const std::string almost(255, 'a');
  StopMatcher matcher({almost + "b", almost + "c"}, false);
  const std::string piece(1024, 'a');
  std::string out;
  for (int i = 0; i < 4096; ++i) ASSERT_FALSE(matcher.push(piece, out));
  matcher.finish(out);
  EXPECT_EQ(out.size(), 4096U * 1024U);
}

}  // namespace
}  // namespace inferneo::text
