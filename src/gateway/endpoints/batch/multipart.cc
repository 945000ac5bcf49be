#include "gateway/endpoints/batch/multipart.h"

#include <algorithm>
#include <cctype>

#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

// Why 16: a form for a file has two or three.
constexpr std::size_t kPartCountMax = 16;
constexpr std::size_t kNameSizeMax = 512;

Status broken(std::string_view what) {
  return invalid_argument(str("the form cannot be read: ", what)).with_where("body");
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return out;
}

// The value of a parameter "name=value" or name="value" of a header; empty when it is not there.
std::string parameter(std::string_view header, std::string_view name) {
  const std::string folded = lower(header);
  const std::string wanted = str(name, "=");
  std::size_t at = 0;
  while ((at = folded.find(wanted, at)) != std::string::npos) {
    const char before = at == 0 ? ';' : folded[at - 1];
    at += wanted.size();
    if (before != ';' && before != ' ' && before != '\t') continue;
    std::string_view value = header.substr(at);
    if (!value.starts_with('"')) {
      value = value.substr(0, value.find(';'));
      while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
      return std::string(value);
    }
    std::string out;
    for (std::size_t i = 1; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      out += value[i];
    }
    return out;
  }
  return {};
}

// The headers of a part, up to the empty line.
Result<FormPart> parse_headers(std::string_view headers) {
  FormPart part;
  while (!headers.empty()) {
    const std::size_t end = headers.find("\r\n");
    const std::string_view line = headers.substr(0, end);
    headers = end == std::string_view::npos ? std::string_view() : headers.substr(end + 2);
    if (!lower(line).starts_with("content-disposition:")) continue;
    part.name = parameter(line, "name");
    part.filename = parameter(line, "filename");
  }
  if (part.name.empty() || part.name.size() > kNameSizeMax || part.filename.size() > kNameSizeMax ||
      !utf8::is_valid(part.name) || !utf8::is_valid(part.filename)) {
    return broken("a part has no name");
  }
  return part;
}

}  // namespace

Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body) {
  const std::string boundary = parameter(content_type, "boundary");
  // Spec: RFC 2046: 1 to 70 characters.
  if (boundary.empty() || boundary.size() > 70) {
    return broken("the header Content-Type names no boundary of 1 to 70 characters");
  }
  const std::string first = str("--", boundary);
  const std::string between = str("\r\n--", boundary);
  std::size_t at = 0;
  if (!body.starts_with(first)) {
    at = body.find(between);
    if (at == std::string_view::npos) return broken("its boundary does not occur");
    at += 2;
  }
  at += first.size();
  std::vector<FormPart> parts;
  while (true) {
    const std::string_view rest = body.substr(at);
    if (rest.starts_with("--")) return parts;
    // Spec: white space may follow a boundary.
    const std::size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos ||
        rest.substr(0, line_end).find_first_not_of(" \t") != std::string_view::npos) {
      return broken("a boundary is not followed by a line end");
    }
    if (parts.size() == kPartCountMax) return broken("it has more than 16 parts");
    const std::size_t headers_begin = at + line_end + 2;
    const std::size_t headers_end = body.find("\r\n\r\n", headers_begin);
    const std::size_t end = body.find(between, headers_begin);
    if (headers_end == std::string_view::npos || end == std::string_view::npos ||
        headers_end + 4 > end + 2) {
      return broken("a part has no end");
    }
    ASSIGN_OR_RETURN(FormPart part,
                     parse_headers(body.substr(headers_begin, headers_end - headers_begin)));
    const std::size_t content_begin = std::min(headers_end + 4, end);
    part.content = body.substr(content_begin, end - content_begin);
    parts.push_back(std::move(part));
    at = end + between.size();
  }
}

}  // namespace inferneo::gateway::endpoints::batch
