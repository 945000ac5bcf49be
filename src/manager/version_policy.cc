#include "manager/version_policy.h"

#include <algorithm>
#include <charconv>

#include "base/str.h"
#include "manager/catalog_record.h"

namespace inferneo::manager {
namespace {

constexpr int kLatestCountMax = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front of `text`; returns them without leading zeros.
std::string_view take_number(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_digit(text[size])) ++size;
  std::string_view number = text.substr(0, size);
  text.remove_prefix(size);
  while (number.size() > 1 && number.front() == '0') number.remove_prefix(1);
  return number;
}

Result<std::vector<std::string>> parse_versions(std::string_view list) {
  std::vector<std::string> versions;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view version = list.substr(0, comma);
    RETURN_IF_ERROR(check_model_version(version));
    versions.emplace_back(version);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return versions;
}

bool parse_latest_count(std::string_view text, int& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size() && count >= 1 &&
         count <= kLatestCountMax;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view number_a = take_number(a);
      const std::string_view number_b = take_number(b);
      if (number_a.size() != number_b.size()) return number_a.size() < number_b.size() ? -1 : 1;
      if (const int order = number_a.compare(number_b); order != 0) return order;
    } else {
      if (a.front() != b.front()) return a.front() < b.front() ? -1 : 1;
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() != b.empty()) return a.empty() ? -1 : 1;
  return whole_a.compare(whole_b);  // "01" and "1" differ, but in a fixed order
}

Result<VersionPolicy> parse_version_policy(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  VersionPolicy policy;
  if (text == "all") return policy;
  if (kind == "latest" && (text == kind || parse_latest_count(rest, policy.latest_count))) {
    policy.kind = VersionPolicy::Kind::kLatest;
    return policy;
  }
  if (kind == "specific" && !rest.empty()) {
    policy.kind = VersionPolicy::Kind::kSpecific;
    ASSIGN_OR_RETURN(policy.versions, parse_versions(rest));
    return policy;
  }
  return invalid_argument(str("version policy '", printable(text), "' is not known"))
      .with_where("version_policy")
      .with_hint("write all, latest, latest:2 or specific:1,3");
}

std::string version_policy_text(const VersionPolicy& policy) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      break;
    case VersionPolicy::Kind::kLatest:
      return str("latest:", policy.latest_count);
    case VersionPolicy::Kind::kSpecific: {
      std::string text = "specific:";
      for (const std::string& version : policy.versions) {
        text += str(text.back() == ':' ? "" : ",", version);
      }
      return text;
    }
  }
  return "all";
}

bool policy_serves(const VersionPolicy& policy,
                   const std::vector<std::string>& sorted,
                   std::string_view version) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      return true;
    case VersionPolicy::Kind::kLatest: {
      const auto found = std::find(sorted.begin(), sorted.end(), version);
      return found != sorted.end() && sorted.end() - found <= policy.latest_count;
    }
    case VersionPolicy::Kind::kSpecific:
      return std::find(policy.versions.begin(), policy.versions.end(), version) !=
             policy.versions.end();
  }
  return false;
}

}  // namespace inferneo::manager
