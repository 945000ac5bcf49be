#include "stream_parser.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace inferneo::bench {
namespace {

constexpr std::size_t kRefusalBytesMax = 500;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(
      out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

int StreamParser::feed(std::string_view bytes) {
  raw_ += bytes;
  if (in_head_) take_head();
  if (in_head_) return 0;
  take_chunks();
  if (status_ == 200) return take_lines();
  refusal_ += body_.substr(0, kRefusalBytesMax - std::min(kRefusalBytesMax, refusal_.size()));
  body_.clear();
  return 0;
}

void StreamParser::take_head() {
  const std::size_t end = raw_.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const std::string head = lower(std::string_view(raw_).substr(0, end));
  const std::size_t space = head.find(' ');
  if (space != std::string::npos) status_ = std::atoi(head.c_str() + space);
  chunked_ = head.find("transfer-encoding: chunked") != std::string::npos;
  raw_.erase(0, end + 4);
  in_head_ = false;
}

void StreamParser::take_chunks() {
  if (!chunked_) {
    body_ += raw_;
    raw_.clear();
    return;
  }
  while (!raw_.empty()) {
    if (chunk_left_ == 0) {
      // The line break that ends the previous chunk comes before the next size.
      const std::size_t start = raw_.starts_with("\r\n") ? 2 : 0;
      const std::size_t end = raw_.find("\r\n", start);
      if (end == std::string::npos) return;
      chunk_left_ = std::strtoul(raw_.c_str() + start, nullptr, 16);
      raw_.erase(0, end + 2);
      if (chunk_left_ == 0) return;
    }
    const std::size_t size = std::min(chunk_left_, raw_.size());
    body_.append(raw_, 0, size);
    raw_.erase(0, size);
    chunk_left_ -= size;
  }
}

int StreamParser::take_lines() {
  int events = 0;
  std::size_t begin = 0;
  for (std::size_t end = body_.find('\n'); end != std::string::npos;
       end = body_.find('\n', begin)) {
    const std::string_view line = std::string_view(body_).substr(begin, end - begin);
    if (line.starts_with("data: ") && take_event(line.substr(6))) ++events;
    begin = end + 1;
  }
  body_.erase(0, begin);
  return events;
}

bool StreamParser::take_event(std::string_view event) {
  if (event.starts_with("[DONE]")) {
    done_ = true;
    return false;
  }
  constexpr std::string_view kCount = "\"completion_tokens\":";
  if (const std::size_t at = event.find(kCount); at != std::string_view::npos) {
    completion_tokens_ = std::atoll(std::string(event.substr(at + kCount.size(), 20)).c_str());
  }
  constexpr std::string_view kText = "\"text\":\"";
  const std::size_t at = event.find(kText);
  return at != std::string_view::npos && event.substr(at + kText.size(), 1) != "\"";
}

}  // namespace inferneo::bench
