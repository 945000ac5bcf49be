#include "base/str.h"

#include <algorithm>
#include <vector>

#include "base/utf8.h"

namespace inferneo {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, substituted});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  // Bound: names from outside can be long; nothing longer than this is a typing error of ours.
  constexpr std::size_t kNameSizeMax = 64;
  constexpr std::size_t kBeginningSizeMin = 4;
  if (name.size() > kNameSizeMax) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (best_distance <= 1 || name.size() < kBeginningSizeMin) return best;
  std::string_view begun;
  for (const std::string_view candidate : candidates) {
    if (!candidate.starts_with(name)) continue;
    if (begun.empty() || candidate.size() < begun.size()) begun = candidate;
  }
  return begun.empty() ? best : begun;
}

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out += str(out.empty() ? "" : ", ", name);
  return out;
}

std::string printable(std::string_view text, std::size_t size_max) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (out.size() >= size_max) return out + "...";
    const utf8::Decoded next = utf8::decode(text, at);
    if (!next.valid || next.code_point < 0x20 || next.code_point == 0x7f) {
      out += '?';
    } else {
      out += text.substr(at, next.size);
    }
    at += next.size;
  }
  return out;
}

}  // namespace inferneo
