#include "sample/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <vector>

#include "sample/rng.h"

namespace {
// Of the only thread.
int allocation_count = 0;
}  // namespace

// Counts what the code under test allocates. Not inlined, so that the compiler does not see the
// pair and warn about malloc and free in it.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocation_count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocation_count;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace inferneo::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using request::SamplingParams;

SamplingParams greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

Sampler make_sampler(const SamplingParams& params,
                     std::size_t vocab_size,
                     const std::vector<TokenId>& prompt = {},
                     std::int32_t choice = 0) {
  return Sampler(params, choice, 99, static_cast<std::int32_t>(vocab_size), prompt);
}

std::vector<float> random_row(std::mt19937& random, std::size_t size, float spread) {
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> row(size);
  for (float& x : row) x = normal(random);
  return row;
}

// The documented steps in the most direct way, with a full sort: the exact probability of each
// token, in double.
std::vector<double> slow_distribution(const SamplingParams& params,
                                      const std::vector<float>& row,
                                      const std::vector<TokenId>& prompt,
                                      const std::vector<TokenId>& output,
                                      const std::vector<TokenId>& banned) {
  std::vector<double> x(row.begin(), row.end());
  for (const auto& bias : params.logit_bias)
    x[static_cast<std::size_t>(bias.id)] += static_cast<double>(bias.bias);
  for (std::size_t id = 0; id < x.size(); ++id) {
    const auto token = static_cast<TokenId>(id);
    const auto count = std::count(output.begin(), output.end(), token);
    if (count > 0 || std::count(prompt.begin(), prompt.end(), token) > 0) {
      const auto penalty = static_cast<double>(params.repetition_penalty);
      x[id] = x[id] > 0 ? x[id] / penalty : x[id] * penalty;
    }
    x[id] -= static_cast<double>(params.frequency_penalty) * static_cast<double>(count);
    if (count > 0) x[id] -= static_cast<double>(params.presence_penalty);
  }
  for (const TokenId id : banned)
    x[static_cast<std::size_t>(id)] = -std::numeric_limits<double>::infinity();
  const double max = *std::max_element(x.begin(), x.end());
  for (double& v : x) v = std::exp((v - max) / static_cast<double>(params.temperature));

  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] > x[b]; });
  while (x[order.back()] < static_cast<double>(params.min_p)) order.pop_back();
  if (params.top_k > 0 && static_cast<std::size_t>(params.top_k) < order.size()) {
    order.resize(static_cast<std::size_t>(params.top_k));
  }
  double total = 0;
  for (const std::size_t id : order) total += x[id];
  std::vector<double> result(x.size());
  double kept = 0;
  for (const std::size_t id : order) {
    if (kept >= static_cast<double>(params.top_p) * total && kept > 0) break;
    result[id] = x[id];
    kept += x[id];
  }
  for (double& v : result) v /= kept;
  return result;
}

// Wilson and Hilferty: a chi-square statistic as a standard normal deviate.
double chi_square_deviate(const std::vector<int>& counts,
                          const std::vector<double>& expected,
                          int draws) {
  double statistic = 0;
  double pooled_expected = 0;
  int pooled_count = 0;
  int cells = 0;
  for (std::size_t id = 0; id < counts.size(); ++id) {
    const double mean = expected[id] * draws;
    if (mean < 5) {  // too rare for the approximation: counted together
      pooled_expected += mean;
      pooled_count += counts[id];
      continue;
    }
    statistic += (counts[id] - mean) * (counts[id] - mean) / mean;
    ++cells;
  }
  if (pooled_expected > 1) {
    statistic +=
        (pooled_count - pooled_expected) * (pooled_count - pooled_expected) / pooled_expected;
    ++cells;
  }
  const double freedom = std::max(1, cells - 1);
  const double spread = 2.0 / (9.0 * freedom);
  return (std::cbrt(statistic / freedom) - (1 - spread)) / std::sqrt(spread);
}

TEST(Rng, philox_equals_published_vectors) {
  // Known-answer test of the Random123 distribution, philox4x32 with 10 rounds.
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, ~std::uint64_t{0}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Rng, uniform_is_flat_and_choices_differ) {
  std::vector<int> counts(64);
  for (std::uint64_t i = 0; i < 64000; ++i) {
    ++counts[static_cast<std::size_t>(uniform_at(5, 1, i) * 64)];
  }
  EXPECT_LT(std::abs(chi_square_deviate(counts, std::vector<double>(64, 1.0 / 64), 64000)), 4);
  EXPECT_NE(uniform_at(5, 1, 0), uniform_at(5, 2, 0));
  EXPECT_NE(uniform_at(5, 1, 0), uniform_at(6, 1, 0));
}

TEST(Sampler, greedy_takes_the_lowest_id_of_the_largest) {
  Sampler sampler = make_sampler(greedy(), 40);
  std::vector<float> row(40, -1);
  row[17] = row[33] = 2;
  EXPECT_EQ(sampler.sample(row, {}).id, 17);
  EXPECT_EQ(sampler.sample(row, std::vector<TokenId>{17}).id, 33);
}

TEST(Sampler, row_that_is_not_finite_is_reported_wherever_it_is) {
  for (const std::size_t size : {1, 5, 16, 33, 100}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const float bad : {kInfinity,
                              std::numeric_limits<float>::quiet_NaN(),
                              -std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> row(size, 0.5F);
        row[at] = bad;
        EXPECT_FALSE(make_sampler(greedy(), size).sample(row, {}).finite);
        row.assign(size, 0.5F);
        row[at] = bad;
        // Also when the element would be overwritten by a ban.
        const std::vector<TokenId> banned = {static_cast<TokenId>(at)};
        EXPECT_FALSE(make_sampler(SamplingParams{}, size).sample(row, banned).finite);
      }
    }
  }
  std::vector<float> nothing(20, -kInfinity);
  EXPECT_FALSE(make_sampler(greedy(), 20).sample(nothing, {}).finite);
}

TEST(Sampler, all_banned_has_no_answer) {
  std::vector<float> row = {1, 2};
  EXPECT_FALSE(make_sampler(greedy(), 2).sample(row, std::vector<TokenId>{0, 1}).finite);
}

TEST(Sampler, draws_within_a_mask_and_what_is_allowed_besides) {
  // 200 tokens: one word of the mask is full, one empty, one mixed, and the last ids have none.
  const std::vector<std::uint64_t> mask{~std::uint64_t{0}, 0, 0x5};
  const std::vector<TokenId> ends{70, 199};
  std::vector<float> row(200, 0.0F);
  std::vector<int> count(200);
  Sampler sampler = make_sampler({}, 200);
  for (int i = 0; i < 4000; ++i) {
    std::vector<float> copy = row;
    const Sampled sampled = sampler.sample(copy, {}, {false, mask, ends});
    ASSERT_TRUE(sampled.finite);
    ++count[static_cast<std::size_t>(sampled.id)];
  }
  for (std::size_t id = 0; id < 200; ++id) {
    const bool allowed = id < 64 || id == 70 || id == 128 || id == 130 || id == 199;
    EXPECT_EQ(count[id] > 0, allowed) << id;
  }
  std::vector<float> copy = row;
  const Sampled none = sampler.sample(copy, {}, {false, {}, {}});
  EXPECT_FALSE(none.finite);
  EXPECT_TRUE(none.blocked);
}

TEST(Sampler, truncation_works_on_what_the_mask_leaves) {
  SamplingParams params;
  params.top_k = 1;
  Sampler sampler = make_sampler(params, 4);
  std::vector<float> row{9, 8, 7, 6};
  const std::vector<std::uint64_t> mask{0xC};
  EXPECT_EQ(sampler.sample(row, {}, {false, mask, {}}).id, 2);
}

TEST(Sampler, skipped_tokens_count_and_move_the_draws) {
  SamplingParams params;
  params.seed = 4;
  params.presence_penalty = 2;
  Sampler drawn = make_sampler(params, 1000);
  Sampler skipped = make_sampler(params, 1000);
  std::mt19937 random(8);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> row = random_row(random, 1000, 2);
    std::vector<float> copy = row;
    const TokenId id = drawn.sample(copy, {}).id;
    if (i % 3 != 0) {
      skipped.skip(id);
      continue;
    }
    copy = row;
    EXPECT_EQ(skipped.sample(copy, {}).id, id);
  }
}

TEST(Sampler, minus_infinity_is_never_drawn) {
  Sampler sampler = make_sampler(SamplingParams{}, 40);
  for (int i = 0; i < 200; ++i) {
    std::vector<float> row(40, -kInfinity);
    row[7] = -3;
    row[39] = -3;
    const TokenId id = sampler.sample(row, {}).id;
    EXPECT_TRUE(id == 7 || id == 39);
  }
}

TEST(Sampler, tiny_temperatures_and_huge_logits_stay_finite) {
  for (const float temperature : {1e-38F, 1e-6F, 1.1e-5F, 1e-3F}) {
    SamplingParams params;
    params.temperature = temperature;
    params.top_p = 0.9F;
    params.repetition_penalty = 1e-30F;
    std::vector<float> row = {3e38F, -3e38F, 1, 2};
    const Sampled sampled = make_sampler(params, 4, {0, 1}).sample(row, {});
    EXPECT_TRUE(sampled.finite);
    EXPECT_EQ(sampled.id, 0);
  }
}

SamplingParams random_params(std::mt19937& random, std::size_t size) {
  const auto below = [&](std::size_t n) { return static_cast<std::int32_t>(random() % n); };
  const auto unit = [&] { return static_cast<float>(below(1000)) / 1000; };
  SamplingParams params;
  params.temperature = 0.2F + 1.5F * unit();
  if (below(2) == 0) params.top_k = 1 + below(size + 3);
  if (below(2) == 0) params.top_p = 0.001F + 0.999F * unit();
  if (below(3) == 0) params.min_p = unit() * 0.3F;
  if (below(2) == 0) params.repetition_penalty = 0.5F + unit();
  if (below(2) == 0) params.frequency_penalty = unit() * 2 - 1;
  if (below(2) == 0) params.presence_penalty = unit() * 2 - 1;
  for (std::int32_t i = below(4); i > 0; --i) {
    params.logit_bias.push_back({below(size), unit() * 6 - 3});
  }
  params.seed = random();
  return params;
}

// A draw is a function of the distribution and one uniform number, so the sampler can be held
// against the slow distribution draw by draw.
TEST(Sampler, equals_the_slow_distribution_draw_by_draw) {
  std::mt19937 random(11);
  int near_border = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::size_t size = 1 + random() % (round % 10 == 0 ? 3000 : 60);
    const SamplingParams params = random_params(random, size);
    std::vector<TokenId> prompt(random() % 5);
    for (TokenId& id : prompt) id = static_cast<TokenId>(random() % size);
    Sampler sampler = make_sampler(params, size, prompt, 3);
    std::vector<TokenId> output;
    for (std::uint64_t position = 0; position < 4; ++position) {
      std::vector<float> row = random_row(random, size, 2.5F);
      std::vector<TokenId> banned;
      if (size > 8 && random() % 3 == 0) banned.push_back(static_cast<TokenId>(random() % size));
      const std::vector<double> expected = slow_distribution(params, row, prompt, output, banned);
      const Sampled sampled = sampler.sample(row, banned);
      ASSERT_TRUE(sampled.finite);
      const double uniform = uniform_at(*params.seed, 3, position);
      double before = 0;
      for (TokenId id = 0; id < sampled.id; ++id) before += expected[static_cast<std::size_t>(id)];
      const double after = before + expected[static_cast<std::size_t>(sampled.id)];
      // A candidate at the very edge of top_p or min_p may fall on either side by rounding; then
      // the whole distribution differs. That must stay rare.
      if (!(uniform >= before - 1e-5 && uniform <= after + 1e-5 && after > before)) ++near_border;
      output.push_back(sampled.id);
    }
  }
  EXPECT_LE(near_border, 3);
}

TEST(Sampler, draws_follow_the_exact_probabilities) {
  std::mt19937 random(5);
  std::vector<SamplingParams> cases(6);
  cases[1].temperature = 0.6F;
  cases[2].top_k = 12;
  cases[3].top_p = 0.85F;
  cases[4].min_p = 0.05F;
  cases[5].temperature = 1.4F;
  cases[5].top_k = 40;
  cases[5].top_p = 0.9F;
  cases[5].min_p = 0.01F;
  for (SamplingParams& params : cases) {
    params.seed = 2024;
    const std::vector<float> row = random_row(random, 200, 1.5F);
    const auto expected = slow_distribution(params, row, {}, {}, {});
    std::vector<int> counts(row.size());
    constexpr int kDraws = 40000;
    Sampler sampler = make_sampler(params, row.size());
    for (int i = 0; i < kDraws; ++i) {
      std::vector<float> copy = row;
      ++counts[static_cast<std::size_t>(sampler.sample(copy, {}).id)];
    }
    for (std::size_t id = 0; id < row.size(); ++id) {
      if (expected[id] == 0) {
        EXPECT_EQ(counts[id], 0) << id;
      }
    }
    EXPECT_LT(std::abs(chi_square_deviate(counts, expected, kDraws)), 4);
  }
}

TEST(Sampler, seed_choice_and_position_decide_and_nothing_else) {
  std::mt19937 random(3);
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 50; ++i) rows.push_back(random_row(random, 500, 2));
  SamplingParams params;
  params.seed = 7;
  const auto run = [&](std::int32_t choice, std::uint64_t entropy) {
    Sampler sampler(params, choice, entropy, 500, {});
    std::vector<TokenId> ids;
    for (std::vector<float> row : rows) ids.push_back(sampler.sample(row, {}).id);
    return ids;
  };
  EXPECT_EQ(run(0, 1), run(0, 2));
  EXPECT_NE(run(0, 1), run(1, 1));
  params.seed.reset();
  EXPECT_EQ(run(0, 1), run(0, 1));
  EXPECT_NE(run(0, 1), run(0, 2));
}

TEST(Sampler, top_k_one_is_greedy_and_ties_go_to_the_lower_id) {
  SamplingParams params;
  params.top_k = 1;
  Sampler sampler = make_sampler(params, 100);
  std::vector<float> row(100, 1);
  EXPECT_EQ(sampler.sample(row, {}).id, 0);
  params.top_k = 3;
  Sampler three = make_sampler(params, 100);
  for (int i = 0; i < 100; ++i) {
    row.assign(100, 1);
    EXPECT_LT(three.sample(row, {}).id, 3);
  }
}

TEST(Sampler, logprobs_are_of_the_raw_row) {
  std::mt19937 random(17);
  for (const std::size_t size : {2, 19, 20, 21, 1000}) {
    SamplingParams params = random_params(random, size);
    params.logprobs = 20;
    std::vector<float> row = random_row(random, size, 8);
    row[0] = row[1];
    const std::vector<float> raw = row;
    const Sampled sampled = make_sampler(params, size).sample(row, {});
    double sum = 0;
    for (const float x : raw) sum += std::exp(static_cast<double>(x));
    std::vector<TokenId> order(size);
    std::iota(order.begin(), order.end(), 0);
    const auto at = [&](TokenId id) { return raw[static_cast<std::size_t>(id)]; };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return at(a) > at(b); });
    EXPECT_NEAR(sampled.logprob, static_cast<double>(at(sampled.id)) - std::log(sum), 2e-6);
    ASSERT_EQ(sampled.top_count, static_cast<std::int32_t>(std::min<std::size_t>(size, 20)));
    for (std::int32_t i = 0; i < sampled.top_count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      EXPECT_EQ(sampled.top[index].id, order[index]);
      EXPECT_NEAR(
          sampled.top[index].logprob, static_cast<double>(at(order[index])) - std::log(sum), 4e-6);
    }
    const Sampled scored = score_row(raw, sampled.id, 20);
    EXPECT_EQ(scored.logprob, sampled.logprob);
  }
}

TEST(Sampler, score_row_refuses_what_has_no_answer) {
  const std::vector<float> row = {1, 2};
  EXPECT_FALSE(score_row(row, 2, 0).finite);
  EXPECT_FALSE(score_row(row, -1, 0).finite);
  EXPECT_FALSE(score_row({}, 0, 0).finite);
  const std::vector<float> bad = {1, kInfinity};
  EXPECT_FALSE(score_row(bad, 0, 0).finite);
}

TEST(Sampler, ids_outside_the_vocabulary_are_ignored) {
  SamplingParams params = greedy();
  params.logit_bias = {{-1, 50}, {4, 50}, {2, 50}};
  params.repetition_penalty = 2;
  Sampler sampler = make_sampler(params, 4, {-5, 100});
  std::vector<float> row = {4, 3, 2, 1};
  EXPECT_EQ(sampler.sample(row, std::vector<TokenId>{-1, 4}).id, 2);
}

TEST(Sampler, nothing_is_allocated_after_construction) {
  std::mt19937 random(23);
  SamplingParams params = random_params(random, 2000);
  params.top_k = 100;
  params.top_p = 0.9F;
  params.repetition_penalty = 1.2F;
  params.logprobs = 5;
  params.max_tokens = 64;
  Sampler sampler = make_sampler(params, 2000, {1, 2, 3});
  const std::vector<float> row = random_row(random, 2000, 2);
  std::vector<float> copy = row;
  const std::vector<TokenId> banned = {7};
  const int before = allocation_count;
  for (int i = 0; i < 64; ++i) {
    std::copy(row.begin(), row.end(), copy.begin());
    ASSERT_TRUE(sampler.sample(copy, banned).finite);
  }
  EXPECT_EQ(allocation_count, before);
}

}  // namespace
}  // namespace inferneo::sample
