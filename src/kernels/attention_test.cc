// Attention of every supported table against sums in double, and bit equality for every way of
// cutting a sequence into chunks, row ranges and ranges of keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::random_floats;
using testing::same_bits;

// kF16Fine is the cache of kF16 read by the entry that rounds less.
enum class KvType { kF32, kF16, kBf16, kI8, kF16Fine };
constexpr KvType kKvTypes[] = {
    KvType::kF32, KvType::kF16, KvType::kBf16, KvType::kI8, KvType::kF16Fine};
constexpr KvType kF16Types[] = {KvType::kF16, KvType::kF16Fine};

const char* name(KvType type) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "i8", "f16 fine"};
  return kNames[static_cast<int>(type)];
}

AttentionFn entry(const KernelTable& table, KvType type) {
  const AttentionFn entries[] = {table.attention_f32,
                                 table.attention_f16,
                                 table.attention_bf16,
                                 table.attention_i8,
                                 table.attention_f16_fine};
  return entries[static_cast<int>(type)];
}

// Keys or values of one cache in every type, and what each of them holds as f32.
struct Plane {
  void convert(std::int32_t head_dim) {
    const auto count = static_cast<std::int64_t>(f32.size());
    f16 = testing::to_f16(f32);
    bf16 = testing::to_bf16(f32);
    i8.resize(f32.size());
    scales.resize(f32.size() / static_cast<std::size_t>(head_dim));
    for (auto& each : held) each = f32;
    const KernelTable& table = reference_table();
    table.f16_to_f32(f16.data(), held[1].data(), count);
    table.bf16_to_f32(bf16.data(), held[2].data(), count);
    for (std::size_t row = 0; row < scales.size(); ++row) {
      const std::size_t at = row * static_cast<std::size_t>(head_dim);
      table.f32_to_i8(f32.data() + at, i8.data() + at, &scales[row], head_dim);
      for (std::size_t i = at; i < at + static_cast<std::size_t>(head_dim); ++i) {
        held[3][i] = static_cast<float>(i8[i]) * scales[row];
      }
    }
    held[4] = held[1];
  }
  [[nodiscard]] const void* data(KvType type) const {
    const void* planes[] = {f32.data(), f16.data(), bf16.data(), i8.data(), f16.data()};
    return planes[static_cast<int>(type)];
  }

  std::vector<float> f32;
  std::vector<F16> f16;
  std::vector<Bf16> bf16;
  std::vector<std::int8_t> i8;
  std::vector<float> scales;
  std::vector<float> held[5];
};

// What scores and the choice of keys have besides.
struct Style {
  [[nodiscard]] double adjust(double score, std::int32_t head, std::int32_t distance) const {
    if (soft_cap != 0) score = double{soft_cap} * std::tanh(score / double{soft_cap});
    if (!slopes.empty()) score += double{slopes[static_cast<std::size_t>(head)]} * distance;
    return score;
  }

  std::int32_t reach_before = kUnlimitedReach;
  std::int32_t reach_after = 0;
  float soft_cap = 0;
  std::vector<float> slopes;
  std::vector<float> sinks;
};

std::vector<Style> make_styles(std::int32_t heads) {
  std::vector<float> slopes;
  std::vector<float> sinks;
  for (std::int32_t head = 0; head < heads; ++head) {
    slopes.push_back(std::exp2(-8.0F * static_cast<float>(head + 1) / static_cast<float>(heads)));
    sinks.push_back(static_cast<float>(head) - 1.5F);
  }
  std::vector<Style> styles(7);
  styles[0].reach_before = 0;
  styles[1].reach_before = 9;
  styles[2].reach_before = 70;
  styles[2].sinks = sinks;
  styles[3].soft_cap = 3;
  styles[4].slopes = slopes;
  styles[5].reach_after = kUnlimitedReach;
  styles[6].reach_before = styles[6].reach_after = 33;
  styles[6].soft_cap = 2;
  styles[6].slopes = slopes;
  styles[6].sinks = sinks;
  return styles;
}

// A sequence in a paged cache whose blocks lie in no order, beside blocks full of NaN.
struct Sequence {
  Sequence(std::int32_t tokens_,
           std::int32_t group_,
           std::int32_t head_dim_,
           std::int32_t block_size_ = 16,
           std::int32_t kv_heads_ = 2)
      : tokens(tokens_),
        group(group_),
        head_dim(head_dim_),
        block_size(block_size_),
        kv_heads(kv_heads_) {
    const std::int32_t block_count = (tokens + block_size - 1) / block_size;
    for (std::int32_t b = 0; b < block_count; ++b) {
      blocks.push_back(static_cast<std::uint32_t>((b * 7 + 3) % (2 * block_count + 1)));
      while (std::count(blocks.begin(), blocks.end(), blocks.back()) > 1) {
        blocks.back() = (blocks.back() + 1) % static_cast<std::uint32_t>(2 * block_count + 1);
      }
    }
    const std::int64_t size = std::int64_t{2 * block_count + 1} * kv_heads * block_size * head_dim;
    k.f32.assign(static_cast<std::size_t>(size), std::numeric_limits<float>::quiet_NaN());
    v.f32 = k.f32;
    const std::vector<float> values = random_floats(std::int64_t{2} * tokens * row_size(), 5);
    auto next = values.begin();
    for (std::int32_t t = 0; t < tokens; ++t) {
      for (std::int32_t h = 0; h < kv_heads; ++h) {
        for (std::int32_t d = 0; d < head_dim; ++d) {
          k.f32[offset(t, h) + static_cast<std::size_t>(d)] = *next++;
          v.f32[offset(t, h) + static_cast<std::size_t>(d)] = *next++;
        }
      }
    }
    q = random_floats(tokens * q_stride(), 6);
    for (float& x : q) x *= 4;
    convert();
  }

  // Brings changes of the f32 elements to the other types.
  void convert() {
    k.convert(head_dim);
    v.convert(head_dim);
  }
  [[nodiscard]] std::int64_t row_size() const { return std::int64_t{kv_heads} * head_dim; }
  [[nodiscard]] std::int64_t q_stride() const { return row_size() * group + 3; }
  [[nodiscard]] std::size_t offset(std::int32_t t, std::int32_t head) const {
    const std::int64_t block = blocks[static_cast<std::size_t>(t / block_size)];
    return static_cast<std::size_t>(((block * kv_heads + head) * block_size + t % block_size) *
                                    head_dim);
  }

  // Rows [begin, end) as rows of one chunk that starts at chunk_begin, without head and scratch.
  [[nodiscard]] AttentionArgs args(KvType type,
                                   std::int32_t chunk_begin,
                                   std::int32_t begin,
                                   std::int32_t end,
                                   std::vector<float>& out) const {
    AttentionArgs args;
    args.q = q.data() + chunk_begin * q_stride();
    args.out = out.data() + chunk_begin * q_stride();
    args.k_cache = k.data(type);
    args.v_cache = v.data(type);
    if (type == KvType::kI8) {
      args.k_scales = k.scales.data();
      args.v_scales = v.scales.data();
    }
    args.blocks = blocks.data();
    args.q_stride = q_stride();
    args.out_stride = q_stride();
    args.row_begin = begin - chunk_begin;
    args.row_end = end - chunk_begin;
    args.context_before = chunk_begin;
    args.kv_heads = kv_heads;
    args.group = group;
    args.head_dim = head_dim;
    args.block_size = block_size;
    args.scale = 1 / std::sqrt(static_cast<float>(head_dim));
    args.reach_before = style.reach_before;
    args.reach_after = style.reach_after;
    args.key_count = style.reach_after == 0 ? kUnlimitedReach : tokens;
    args.soft_cap = style.soft_cap;
    args.slopes = style.slopes.empty() ? nullptr : style.slopes.data();
    args.sinks = style.sinks.empty() ? nullptr : style.sinks.data();
    return args;
  }
  [[nodiscard]] std::vector<float> scratch() const {
    return std::vector<float>(static_cast<std::size_t>(attention_scratch_floats(head_dim, group)),
                              std::numeric_limits<float>::quiet_NaN());
  }

  // Output of tokens [begin, end), all heads.
  void run(const KernelTable& table,
           KvType type,
           std::int32_t chunk_begin,
           std::int32_t begin,
           std::int32_t end,
           std::vector<float>& out) const {
    std::vector<float> memory = scratch();
    AttentionArgs a = args(type, chunk_begin, begin, end, out);
    a.scratch = memory.data();
    for (a.kv_head = 0; a.kv_head < kv_heads; ++a.kv_head) entry(table, type)(a);
  }

  // The same from partials of the ranges, several to a call, the last ranges first.
  void run_split(const KernelTable& table,
                 KvType type,
                 std::int32_t begin,
                 std::int32_t end,
                 std::int32_t ranges_per_call,
                 std::vector<float>& out) const {
    std::vector<float> memory = scratch();
    AttentionArgs a = args(type, begin, begin, end, out);
    a.scratch = memory.data();
    const std::int32_t key_count = std::min(end + style.reach_after, tokens);
    const std::int32_t range_count = (key_count - 1) / kAttentionRange + 1;
    const std::int64_t queries = std::int64_t{end - begin} * group;
    std::vector<float> partials(
        static_cast<std::size_t>(range_count * attention_partial_floats(queries, head_dim)),
        std::numeric_limits<float>::quiet_NaN());
    a.partials = partials.data();
    for (a.kv_head = 0; a.kv_head < kv_heads; ++a.kv_head) {
      for (a.range_end = range_count; a.range_end > 0; a.range_end = a.range_begin) {
        a.range_begin = std::max(a.range_end - ranges_per_call, 0);
        entry(table, type)(a);
      }
      table.attention_merge(a);
    }
  }

  [[nodiscard]] std::vector<float> whole(const KernelTable& table, KvType type) const {
    std::vector<float> out(q.size(), 0.0F);
    run(table, type, 0, 0, tokens, out);
    return out;
  }

  // What one query gives, with sums in double.
  [[nodiscard]] std::vector<double> expected(KvType type,
                                             std::int32_t token,
                                             std::int32_t head) const {
    const float* keys = k.held[static_cast<int>(type)].data();
    const float* values = v.held[static_cast<int>(type)].data();
    const float* query = q.data() + token * q_stride() + head * head_dim;
    const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
    std::vector<double> weights;
    const std::int32_t first = std::max(token - style.reach_before, 0);
    const std::int32_t last = std::min(token + style.reach_after, tokens - 1);
    for (std::int32_t t = first; t <= last; ++t) {
      double sum = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(head_dim); ++d) {
        sum += double{query[d]} * double{keys[offset(t, head / group) + d]};
      }
      weights.push_back(style.adjust(sum * scale, head, t - token));
    }
    const double most = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    if (!style.sinks.empty()) {
      total = std::exp(double{style.sinks[static_cast<std::size_t>(head)]} - most);
    }
    for (double& weight : weights) total += weight = std::exp(weight - most);
    std::vector<double> sums(static_cast<std::size_t>(head_dim), 0.0);
    for (std::int32_t t = first; t <= last; ++t) {
      for (std::size_t d = 0; d < sums.size(); ++d) {
        sums[d] += weights[static_cast<std::size_t>(t - first)] / total *
                   double{values[offset(t, head / group) + d]};
      }
    }
    return sums;
  }

  std::int32_t tokens, group, head_dim, block_size, kv_heads;
  std::vector<std::uint32_t> blocks;
  std::vector<float> q;
  Plane k, v;
  Style style;
};

// Bound: outputs are averages of values in [-1, 1]; scores of magnitude up to 4 sqrt(head_dim)
// carry a relative error of head_dim rounding errors, which the exponential turns into a relative
// one.
constexpr double kBound = 2e-5;
// Queries and weights rounded to f16, whose errors are 2^12 times those of f32 but meet by chance.
constexpr double kBoundHalves = 2e-3;
constexpr double kMeanBoundHalves = 1.5e-4;

// Every `stride`-th token of every head.
void expect_close(const Sequence& sequence,
                  KvType type,
                  const KernelTable& table,
                  std::int32_t stride,
                  const std::string& what) {
  const std::vector<float> actual = sequence.whole(table, type);
  const bool halves = (type == KvType::kF16 && std::string(table.name) == "amx_fp16") ||
                      (type == KvType::kI8 && std::string(table.name).starts_with("amx"));
  double error_sum = 0;
  double error_count = 0;
  for (std::int32_t t = sequence.tokens - 1; t >= 0; t -= stride) {
    for (std::int32_t head = 0; head < sequence.kv_heads * sequence.group; ++head) {
      const std::vector<double> expected = sequence.expected(type, t, head);
      const float* row = actual.data() + t * sequence.q_stride() + head * sequence.head_dim;
      for (std::size_t d = 0; d < expected.size(); ++d) {
        const double error = std::abs(expected[d] - double{row[d]});
        ASSERT_LE(error, halves ? kBoundHalves : kBound)
            << table.name << " " << name(type) << " " << what << " token " << t << " head " << head
            << " at " << d << ": " << expected[d] << " and " << row[d];
        error_sum += error;
        ++error_count;
      }
    }
  }
  if (halves) {
    EXPECT_LE(error_sum / error_count, kMeanBoundHalves) << what;
  }
}

void expect_same(const std::vector<float>& expected,
                 const std::vector<float>& actual,
                 const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(same_bits(expected[i], actual[i]))
        << what << " at " << i << ": " << expected[i] << " and " << actual[i];
  }
}

template <typename Body>
void for_each_f16(const Body& body) {
  for (const KernelTable* table : supported_tables()) {
    for (const KvType type : kF16Types) body(*table, type);
  }
}

TEST(Attention, agrees_with_sums_in_double_for_odd_head_sizes) {
  for (const std::int32_t head_dim :
       {1, 2, 3, 7, 8, 15, 16, 17, 24, 32, 48, 64, 80, 96, 100, 128, 192, 256, 320, 576}) {
    const Sequence sequence(70, 3, head_dim);
    for (const KernelTable* table : supported_tables()) {
      for (const KvType type : kKvTypes) {
        expect_close(sequence, type, *table, 3, "head_dim " + std::to_string(head_dim));
      }
    }
  }
}

TEST(Attention, agrees_with_sums_in_double_for_windows_caps_slopes_and_sinks) {
  for (const std::int32_t tokens : {1, 70, 150}) {
    for (const std::int32_t head_dim : {20, 64}) {
      Sequence sequence(tokens, 3, head_dim);
      for (const Style& style : make_styles(6)) {
        sequence.style = style;
        const std::string what = "tokens " + std::to_string(tokens) + " reach " +
                                 std::to_string(style.reach_before) + " and " +
                                 std::to_string(style.reach_after);
        for (const KernelTable* table : supported_tables()) {
          for (const KvType type : kKvTypes) expect_close(sequence, type, *table, 3, what);
        }
      }
    }
  }
}

TEST(Attention, windows_caps_slopes_and_sinks_change_no_bit_however_a_sequence_is_cut) {
  for (const std::int32_t tokens : {90, 2 * kAttentionRange + 100}) {
    Sequence sequence(tokens, 2, 16);
    for (const Style& style : make_styles(4)) {
      sequence.style = style;
      for (const KernelTable* table : supported_tables()) {
        if (table == &reference_table()) continue;
        for (const KvType type : kF16Types) {
          std::vector<float> whole(sequence.q.size(), 0.0F);
          const std::int32_t begin = std::max(tokens - 90, 0);
          sequence.run(*table, type, begin, begin, tokens, whole);
          std::vector<float> cut(sequence.q.size(), 0.0F);
          for (std::int32_t at = begin; at < tokens;) {
            const std::int32_t end = std::min(at + 1 + at % 7, tokens);
            if (at % 2 == 0) {
              sequence.run(*table, type, begin, at, end, cut);
            } else {
              sequence.run_split(*table, type, at, end, 1 + at % 2, cut);
            }
            at = end;
          }
          expect_same(whole, cut, table->name);
        }
      }
    }
  }
}

TEST(Attention, agrees_with_sums_in_double_for_odd_lengths_groups_and_block_sizes) {
  for (const std::int32_t tokens : {1, 17, 64, 65, 130}) {
    for (const std::int32_t group : {1, 5, 33}) {
      for (const std::int32_t block_size : {1, 16, 50}) {
        const Sequence sequence(tokens, group, group == 5 ? 32 : 16, block_size);
        for (const KernelTable* table : supported_tables()) {
          const std::string what = "tokens " + std::to_string(tokens) + " group " +
                                   std::to_string(group) + " block " + std::to_string(block_size);
          for (const KvType type : kF16Types) expect_close(sequence, type, *table, 9, what);
        }
      }
    }
  }
}

TEST(Attention, agrees_with_sums_in_double_over_many_ranges) {
  for (const std::int32_t tokens :
       {kAttentionRange, kAttentionRange + 1, 3 * kAttentionRange - 5}) {
    const Sequence sequence(tokens, 2, 32, 16, 1);
    for (const KernelTable* table : supported_tables()) {
      if (table == &reference_table() && tokens > 2 * kAttentionRange) continue;  // takes seconds
      for (const KvType type : kKvTypes) {
        expect_close(sequence, type, *table, 257, "tokens " + std::to_string(tokens));
      }
    }
  }
}

TEST(Attention, bits_do_not_depend_on_chunks_or_row_ranges) {
  for (const std::int32_t head_dim : {40, 64}) {
    for (const std::int32_t group : {1, 3, 8}) {
      const Sequence sequence(110, group, head_dim);
      for (const KernelTable* table : supported_tables()) {
        for (const KvType type : kKvTypes) {
          const std::vector<float> whole = sequence.whole(*table, type);
          for (const std::int32_t size : {1, 7, 31, 64, 109}) {
            std::vector<float> chunks(whole.size(), 0.0F);
            std::vector<float> ranges(whole.size(), 0.0F);
            for (std::int32_t t = 0; t < sequence.tokens; t += size) {
              const std::int32_t end = std::min(t + size, sequence.tokens);
              sequence.run(*table, type, t, t, end, chunks);
              sequence.run(*table, type, 0, t, end, ranges);
            }
            const std::string what = std::string(table->name) + " " + name(type) + " head_dim " +
                                     std::to_string(head_dim) + " size " + std::to_string(size);
            expect_same(whole, chunks, what + " chunks");
            expect_same(whole, ranges, what + " ranges");
          }
        }
      }
    }
  }
}

// As latent attention has them: many queries of one key, in tiles and in few.
TEST(Attention, bits_of_wide_heads_do_not_depend_on_chunks) {
  const Sequence sequence(40, 9, 320);
  for (const KernelTable* table : supported_tables()) {
    const std::vector<float> whole = sequence.whole(*table, KvType::kF16);
    for (const std::int32_t size : {1, 7, 31}) {
      std::vector<float> chunks(whole.size(), 0.0F);
      for (std::int32_t t = 0; t < sequence.tokens; t += size) {
        const std::int32_t end = std::min(t + size, sequence.tokens);
        sequence.run(*table, KvType::kF16, t, t, end, chunks);
      }
      expect_same(whole, chunks, std::string(table->name) + " size " + std::to_string(size));
    }
  }
}

// Rows near the borders of ranges, alone, in chunks, and merged from partials.
TEST(Attention, bits_do_not_depend_on_who_computes_a_range_of_keys) {
  constexpr std::int32_t kTokens = 3 * kAttentionRange + 40;
  for (const std::int32_t head_dim : {24, 64}) {
    const Sequence sequence(kTokens, 3, head_dim, 16, 1);
    for (const KernelTable* table : supported_tables()) {
      const bool is_slow = table == &reference_table();
      for (const KvType type : kKvTypes) {
        for (const std::int32_t end : {kAttentionRange, kAttentionRange + 7, kTokens}) {
          if (is_slow && end == kTokens) continue;
          const std::int32_t begin = end - (is_slow ? 9 : 45);
          const std::string what = std::string(table->name) + " " + name(type) + " head_dim " +
                                   std::to_string(head_dim) + " end " + std::to_string(end);
          std::vector<float> whole(sequence.q.size(), 0.0F);
          sequence.run(*table, type, begin, begin, end, whole);
          std::vector<float> rows(whole.size(), 0.0F);
          for (std::int32_t t = begin; t < end; ++t) sequence.run(*table, type, t, t, t + 1, rows);
          expect_same(whole, rows, what + " rows");
          for (const std::int32_t ranges_per_call : {1, 3}) {
            std::vector<float> split(whole.size(), 0.0F);
            sequence.run_split(*table, type, begin, end, ranges_per_call, split);
            expect_same(whole, split, what + " split by " + std::to_string(ranges_per_call));
          }
        }
      }
    }
  }
}

// A later token's broken key or value touches no earlier row, not even one in the same tile.
TEST(Attention, broken_elements_reach_later_rows_only) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : supported_tables()) {
    for (const KvType type : kKvTypes) {
      for (const std::int32_t head_dim : {20, 32}) {
        const Sequence good(100, 2, head_dim);
        const std::vector<float> expected = good.whole(*table, type);
        for (const bool in_key : {false, true}) {
          for (const float value : {std::numeric_limits<float>::quiet_NaN(), infinity}) {
            Sequence bad = good;
            const std::int32_t at = 41;
            (in_key ? bad.k : bad.v).f32[bad.offset(at, 0) + 5] = value;
            bad.convert();
            const std::vector<float> actual = bad.whole(*table, type);
            for (std::int32_t t = 0; t < good.tokens; ++t) {
              const auto row = static_cast<std::size_t>(t * good.q_stride());
              for (std::size_t i = 0; i < static_cast<std::size_t>(head_dim * 2); ++i) {
                // A broken element breaks the scale of its row.
                const bool all = in_key || type == KvType::kI8;
                const bool touched =
                    t >= at && (all || i % static_cast<std::size_t>(head_dim) == 5);
                // An infinite key gives some queries a weight of 0.
                if (touched && in_key && value == infinity) continue;
                EXPECT_EQ(std::isfinite(actual[row + i]), !touched)
                    << table->name << " token " << t << " at " << i;
                if (!touched) {
                  EXPECT_TRUE(same_bits(expected[row + i], actual[row + i]))
                      << table->name << " token " << t << " at " << i;
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(Attention, broken_queries_spoil_their_own_row_only) {
  for_each_f16([](const KernelTable& table, KvType type) {
    const Sequence good(40, 2, 32);
    const std::vector<float> expected = good.whole(table, type);
    Sequence bad = good;
    bad.q[static_cast<std::size_t>(17 * good.q_stride() + 3)] =
        std::numeric_limits<float>::infinity();
    const std::vector<float> actual = bad.whole(table, type);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto row = static_cast<std::size_t>(17 * good.q_stride());
      if (i >= row && i < row + 32) {
        EXPECT_TRUE(std::isnan(actual[i])) << table.name << " " << name(type);
      } else {
        EXPECT_TRUE(same_bits(expected[i], actual[i])) << table.name << " " << name(type);
      }
    }
  });
}

// Rows of values of any magnitude lose no more than the rounding of their scale.
TEST(Attention, int8_rows_may_have_any_magnitude) {
  for (const float factor : {1e-7F, 1e-3F, 200.0F}) {
    Sequence sequence(50, 2, 64);
    for (float& x : sequence.v.f32) x *= factor;
    sequence.convert();
    for (const KernelTable* table : supported_tables()) {
      const std::vector<float> actual = sequence.whole(*table, KvType::kI8);
      for (std::int32_t t = 0; t < 50; t += 7) {
        const std::vector<double> expected = sequence.expected(KvType::kI8, t, 1);
        const float* row = actual.data() + t * sequence.q_stride() + 64;
        for (std::size_t d = 0; d < 64; ++d) {
          ASSERT_NEAR(expected[d], row[d], double{factor} * kBoundHalves + 5e-8) << table->name;
        }
      }
    }
  }
}

// Queries beyond the range of f16, and so small that f16 would lose their digits.
TEST(Attention, queries_may_have_any_magnitude) {
  for (const float factor : {1e6F, 1e-9F}) {
    Sequence sequence(40, 2, 32);
    for (float& x : sequence.q) x *= factor;
    for (float& x : sequence.k.f32) x /= factor < 1 ? 1e-4F : 1e4F;
    sequence.convert();
    for_each_f16([&](const KernelTable& table, KvType type) {
      const std::vector<float> actual = sequence.whole(table, type);
      double largest = 0;
      for (std::int32_t t = 0; t < 40; ++t) {
        const std::vector<double> expected = sequence.expected(KvType::kF16, t, 1);
        const float* row = actual.data() + t * sequence.q_stride() + 32;
        for (std::size_t d = 0; d < 32; ++d) {
          largest = std::max(largest, std::abs(expected[d] - double{row[d]}));
        }
      }
      // The scores reach some hundreds, so that a relative error of 2^-12 in them is one of a tenth
      // in a weight, and one of 2^-18 at least 50 times less.
      const double bound = factor > 1 ? 0.1 : 2e-4;
      EXPECT_LE(largest, type == KvType::kF16 ? bound : bound / 50)
          << table.name << " " << name(type);
    });
  }
}

TEST(Attention, scores_of_minus_infinity_weigh_nothing) {
  for_each_f16([](const KernelTable& table, KvType type) {
    for (const std::int32_t head_dim : {8, 32}) {
      // The first scores are all -infinity, the later ones finite.
      constexpr std::int32_t kBroken = 150;
      Sequence sequence(300, 1, head_dim);
      for (float& x : sequence.q) x = 1;
      for (std::int32_t t = 0; t < kBroken; ++t) {
        sequence.k.f32[sequence.offset(t, 0)] = -std::numeric_limits<float>::infinity();
      }
      sequence.convert();
      const std::vector<float> actual = sequence.whole(table, type);
      for (std::int32_t t = kBroken; t < sequence.tokens; ++t) {
        const std::vector<double> expected = sequence.expected(KvType::kF16, t, 0);
        const float* row = actual.data() + t * sequence.q_stride();
        for (std::size_t d = 0; d < expected.size(); ++d) {
          if (type == KvType::kF16Fine && std::isnan(row[d])) continue;
          EXPECT_NEAR(expected[d], row[d], type == KvType::kF16 ? kBoundHalves : kBound)
              << table.name << " " << name(type) << " token " << t;
        }
      }
      EXPECT_TRUE(std::isnan(actual[0])) << table.name << " " << name(type);
    }
  });
}

}  // namespace
}  // namespace inferneo::kernels
