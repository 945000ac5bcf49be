#include "app/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/str.h"

namespace inferneo::app {
namespace {

constexpr std::size_t kBarWidth = 30;
// Why 50 ms: fast enough to look alive, slow enough not to cost.
constexpr std::chrono::milliseconds kInterval{50};

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

}  // namespace

ProgressLine::ProgressLine(std::string label, ProgressUnit unit)
    : label_(std::move(label)), unit_(unit), on_terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void ProgressLine::update(std::uint64_t done, std::uint64_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (!on_terminal_ || total == 0 || (shown_ && now - last_ < kInterval)) return;
  last_ = now;
  shown_ = true;
  std::fputs(str("\r\033[K", label_, " ", progress_text(done, total, unit_)).c_str(), stderr);
}

std::string progress_text(std::uint64_t done, std::uint64_t total, ProgressUnit unit) {
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  const auto shown = [&](std::uint64_t value) {
    return unit == ProgressUnit::kBytes ? byte_text(value) : str(value);
  };
  return str("[",
             std::string(filled, '='),
             std::string(kBarWidth - filled, ' '),
             "] ",
             shown(done),
             " of ",
             shown(total));
}

std::string byte_text(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return str(fixed(value, unit == 0 ? 0 : 1), " ", kUnits[unit]);
}

std::string count_text(std::uint64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return fixed(value / 1e9, 2) + " billion";
  if (value >= 1e6) return fixed(value / 1e6, 1) + " million";
  return str(count);
}

}  // namespace inferneo::app
