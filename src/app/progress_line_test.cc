#include "app/progress_line.h"

#include <gtest/gtest.h>

namespace inferneo::app {
namespace {

TEST(progress_line, sizes_read_naturally) {
  EXPECT_EQ(byte_text(0), "0 B");
  EXPECT_EQ(byte_text(1023), "1023 B");
  EXPECT_EQ(byte_text(14 * 1024 * 1024), "14.0 MiB");
  EXPECT_EQ(byte_text(std::uint64_t{3} << 30), "3.0 GiB");
}

TEST(progress_line, counts_read_naturally) {
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(7'344'384), "7.3 million");
  EXPECT_EQ(count_text(1'100'048'384), "1.10 billion");
}

TEST(progress_line, what_is_counted_has_no_bytes) {
  EXPECT_EQ(progress_text(3, 9, ProgressUnit::kCount), "[==========                    ] 3 of 9");
  EXPECT_TRUE(progress_text(1, 2, ProgressUnit::kBytes).ends_with("] 1 B of 2 B"));
}

TEST(progress_line, no_total_is_harmless) {
  ProgressLine line("loading");
  line.update(1, 0);
  line.update(5, 1);
}

}  // namespace
}  // namespace inferneo::app
