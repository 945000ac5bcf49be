#include "case_file.h"

#include <cstdlib>
#include <fstream>

#include "base/str.h"

namespace inferneo::http_test {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// \r \n \t \0 \\ \xHH (lower-case digits).
Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char c = ++i < text.size() ? text[i] : '\0';
    if (c == 'r') {
      out += '\r';
    } else if (c == 'n') {
      out += '\n';
    } else if (c == 't') {
      out += '\t';
    } else if (c == '0') {
      out += '\0';
    } else if (c == '\\') {
      out += '\\';
    } else if (c == 'x' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      return invalid_argument("unknown escape");
    }
  }
  return out;
}

struct Keyword {
  std::string_view name;
  Step::Kind kind;
};
constexpr Keyword kKeywords[] = {
    {"pause", Step::Kind::kPause},
    {"shutdown", Step::Kind::kShutdown},
    {"expect", Step::Kind::kExpect},
    {"expect-head", Step::Kind::kExpectHead},
    {"header", Step::Kind::kHeader},
    {"no-header", Step::Kind::kNoHeader},
    {"body", Step::Kind::kBody},
    {"cut", Step::Kind::kCut},
    {"open", Step::Kind::kOpen},
    {"closed", Step::Kind::kClosed},
};

Result<Step> parse_send(std::string_view keyword, std::string_view argument, int line) {
  Step step{Step::Kind::kSend, line, 0, {}, {}};
  if (keyword == "repeat") {
    const std::size_t space = argument.find(' ');
    if (space == std::string_view::npos) return invalid_argument("repeat needs COUNT TEXT");
    ASSIGN_OR_RETURN(const std::string once, unescape(argument.substr(space + 1)));
    const int count = std::atoi(std::string(argument.substr(0, space)).c_str());
    for (int i = 0; i < count; ++i) step.text += once;
    return step;
  }
  ASSIGN_OR_RETURN(step.text, unescape(argument));
  if (keyword == "line") step.text += "\r\n";
  return step;
}

Result<Step> parse_step(std::string_view keyword, std::string_view argument, int line) {
  if (keyword == "send" || keyword == "line" || keyword == "repeat") {
    return parse_send(keyword, argument, line);
  }
  for (const Keyword& known : kKeywords) {
    if (known.name != keyword) continue;
    Step step{known.kind, line, std::atoi(std::string(argument).c_str()), {}, {}};
    step.text = argument;
    if (step.kind == Step::Kind::kHeader) {
      const std::size_t colon = argument.find(": ");
      if (colon == std::string_view::npos) return invalid_argument("header needs NAME: REGEX");
      step.name = argument.substr(0, colon);
      step.text = argument.substr(colon + 2);
    }
    return step;
  }
  return invalid_argument(str("unknown keyword ", keyword));
}

}  // namespace

Result<std::vector<Step>> read_case(const std::string& path) {
  std::ifstream file(path);
  if (!file) return not_found(path);
  std::vector<Step> steps;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    if (text.empty() || text.front() == '#') continue;
    const std::size_t space = text.find(' ');
    const std::string_view keyword = std::string_view(text).substr(0, space);
    const std::string_view argument =
        space == std::string::npos ? std::string_view() : std::string_view(text).substr(space + 1);
    auto step = parse_step(keyword, argument, line);
    if (!step) return std::move(step).error().with_context(str("line ", line));
    steps.push_back(*std::move(step));
  }
  return steps;
}

}  // namespace inferneo::http_test
