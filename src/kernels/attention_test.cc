// Attention of every supported table against the reference, and bit equality for every way of
// cutting a sequence into chunks.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::close;
using testing::random_floats;
using testing::same_bits;

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
    k.assign(static_cast<std::size_t>(size), std::numeric_limits<float>::quiet_NaN());
    v = k;
    const std::vector<float> values = random_floats(std::int64_t{2} * tokens * row_size(), 5);
    auto next = values.begin();
    for (std::int32_t t = 0; t < tokens; ++t) {
      for (std::int32_t h = 0; h < kv_heads; ++h) {
        for (std::int32_t d = 0; d < head_dim; ++d) {
          k[offset(t, h) + static_cast<std::size_t>(d)] = *next++;
          v[offset(t, h) + static_cast<std::size_t>(d)] = *next++;
        }
      }
    }
    q = random_floats(tokens * q_stride(), 6);
    for (float& x : q) x *= 4;
    convert();
  }

  void convert() {
    k_f16 = testing::to_f16(k);
    v_f16 = testing::to_f16(v);
  }
  [[nodiscard]] std::int64_t row_size() const { return std::int64_t{kv_heads} * head_dim; }
  [[nodiscard]] std::int64_t q_stride() const { return row_size() * group + 3; }
  [[nodiscard]] std::size_t offset(std::int32_t t, std::int32_t head) const {
    const std::int64_t block = blocks[static_cast<std::size_t>(t / block_size)];
    return static_cast<std::size_t>(((block * kv_heads + head) * block_size + t % block_size) *
                                    head_dim);
  }

  // Output of tokens [begin, end) as rows of one chunk that starts at chunk_begin, all heads.
  void run(const KernelTable& table,
           bool f16,
           std::int32_t chunk_begin,
           std::int32_t begin,
           std::int32_t end,
           std::vector<float>& out) const {
    std::vector<float> scratch(static_cast<std::size_t>(attention_scratch_floats(head_dim, group)),
                               std::numeric_limits<float>::quiet_NaN());
    AttentionArgs args;
    args.q = q.data() + chunk_begin * q_stride();
    args.out = out.data() + chunk_begin * q_stride();
    args.k_cache = f16 ? static_cast<const void*>(k_f16.data()) : k.data();
    args.v_cache = f16 ? static_cast<const void*>(v_f16.data()) : v.data();
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
    args.scratch = scratch.data();
    for (args.kv_head = 0; args.kv_head < kv_heads; ++args.kv_head) {
      (f16 ? table.attention_f16 : table.attention_f32)(args);
    }
  }

  [[nodiscard]] std::vector<float> whole(const KernelTable& table, bool f16) const {
    std::vector<float> out(q.size(), 0.0F);
    run(table, f16, 0, 0, tokens, out);
    return out;
  }

  std::int32_t tokens, group, head_dim, block_size, kv_heads;
  std::vector<std::uint32_t> blocks;
  std::vector<float> q, k, v;
  std::vector<F16> k_f16, v_f16;
};

// Bound: outputs are averages of values in [-1, 1]; scores of magnitude up to 4 sqrt(head_dim)
// carry a relative error of head_dim rounding errors, which the exponential turns into a relative
// one.
constexpr double kBound = 2e-5;

void expect_close(const std::vector<float>& expected,
                  const std::vector<float>& actual,
                  const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(close(expected[i], actual[i], kBound))
        << what << " at " << i << ": " << expected[i] << " and " << actual[i];
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

TEST(Attention, agrees_with_the_reference_for_odd_head_sizes) {
  for (const KernelTable* table : supported_tables()) {
    for (const bool f16 : {false, true}) {
      for (const std::int32_t head_dim :
           {1, 2, 3, 7, 8, 15, 16, 17, 24, 48, 64, 80, 96, 100, 128}) {
        const Sequence sequence(70, 3, head_dim);
        expect_close(sequence.whole(reference_table(), f16),
                     sequence.whole(*table, f16),
                     std::string(table->name) + " head_dim " + std::to_string(head_dim));
      }
    }
  }
}

TEST(Attention, agrees_with_the_reference_for_odd_lengths_groups_and_block_sizes) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int32_t tokens : {1, 17, 64, 65, 130}) {
      for (const std::int32_t group : {1, 5, 33}) {
        for (const std::int32_t block_size : {1, 16, 50}) {
          const Sequence sequence(tokens, group, 16, block_size);
          expect_close(sequence.whole(reference_table(), true),
                       sequence.whole(*table, true),
                       std::string(table->name) + " tokens " + std::to_string(tokens) + " group " +
                           std::to_string(group));
        }
      }
    }
  }
}

TEST(Attention, bits_do_not_depend_on_chunks_or_row_ranges) {
  for (const KernelTable* table : supported_tables()) {
    for (const bool f16 : {false, true}) {
      for (const std::int32_t group : {1, 3, 8}) {
        const Sequence sequence(150, group, 40);
        const std::vector<float> whole = sequence.whole(*table, f16);
        for (const std::int32_t size : {1, 2, 7, 31, 64, 149}) {
          std::vector<float> chunks(whole.size(), 0.0F);
          std::vector<float> ranges(whole.size(), 0.0F);
          for (std::int32_t t = 0; t < sequence.tokens; t += size) {
            const std::int32_t end = std::min(t + size, sequence.tokens);
            sequence.run(*table, f16, t, t, end, chunks);
            sequence.run(*table, f16, 0, t, end, ranges);
          }
          const std::string what = std::string(table->name) + " size " + std::to_string(size);
          expect_same(whole, chunks, what + " chunks");
          expect_same(whole, ranges, what + " ranges");
        }
      }
    }
  }
}

// A later token's broken key or value touches no earlier row, not even one in the same tile.
TEST(Attention, nans_reach_later_rows_only) {
  for (const KernelTable* table : supported_tables()) {
    for (const bool f16 : {false, true}) {
      for (const bool in_key : {false, true}) {
        const Sequence good(100, 2, 20);
        const std::vector<float> expected = good.whole(*table, f16);
        Sequence bad = good;
        const std::int32_t at = 41;
        (in_key ? bad.k : bad.v)[bad.offset(at, 0) + 5] = std::numeric_limits<float>::quiet_NaN();
        bad.convert();
        const std::vector<float> actual = bad.whole(*table, f16);
        for (std::int32_t t = 0; t < good.tokens; ++t) {
          const auto row = static_cast<std::size_t>(t * good.q_stride());
          for (std::size_t i = 0; i < static_cast<std::size_t>(good.head_dim * 2); ++i) {
            const bool touched = t >= at && (in_key || i % 20 == 5);
            EXPECT_EQ(std::isnan(actual[row + i]), touched) << table->name << " token " << t;
            if (!touched) {
              EXPECT_TRUE(same_bits(expected[row + i], actual[row + i]))
                  << table->name << " token " << t;
            }
          }
        }
      }
    }
  }
}

TEST(Attention, scores_of_minus_infinity_weigh_nothing) {
  for (const KernelTable* table : supported_tables()) {
    Sequence sequence(130, 1, 8);
    // The first tile's scores are all -infinity, the later ones finite.
    for (float& x : sequence.q) x = 1;
    for (std::int32_t t = 0; t < 64; ++t) {
      sequence.k[sequence.offset(t, 0)] = -std::numeric_limits<float>::infinity();
    }
    sequence.convert();
    const std::vector<float> expected = sequence.whole(reference_table(), false);
    const std::vector<float> actual = sequence.whole(*table, false);
    for (std::int32_t t = 64; t < 130; ++t) {
      for (std::int32_t d = 0; d < 8; ++d) {
        const auto i = static_cast<std::size_t>(t * sequence.q_stride() + d);
        EXPECT_TRUE(std::isfinite(actual[i])) << table->name;
        EXPECT_TRUE(close(expected[i], actual[i], kBound)) << table->name;
      }
    }
    EXPECT_TRUE(std::isnan(actual[0])) << table->name;
  }
}

}  // namespace
}  // namespace inferneo::kernels
