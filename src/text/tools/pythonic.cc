#include <array>
#include <utility>

#include "text/tools/python_call.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kOpenMark = "<|python_start|>";
constexpr std::string_view kCloseMark = "<|python_end|>";
constexpr std::array<std::string_view, 2> kMarkNames{kOpenMark, kCloseMark};
constexpr std::string_view kSpace = " \t\r\n";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// The whole reply is a list of calls in Python's words: [name(key="value", n=1), other()].
class PythonCalls final : public ToolParser {
 public:
  explicit PythonCalls(ToolList tools) : tools_(std::move(tools)) {}

  void push(std::string_view piece, ReplyWriter& writer) override {
    pending_ += piece;
    while (step(writer)) {
    }
  }

  void finish(ReplyWriter& writer) override {
    if (stage_ != Stage::kCall && stage_ != Stage::kNext) writer.text(raw_ + pending_);
    if (stage_ == Stage::kNext && pending_.find_first_not_of(" \t\r\n]") != std::string::npos &&
        !kCloseMark.starts_with(pending_)) {
      writer.text(pending_);
    }
    pending_.clear();
  }

 private:
  enum class Stage { kStart, kName, kCall, kNext, kText };

  bool step(ReplyWriter& writer) {
    switch (stage_) {
      case Stage::kStart:
        return step_start();
      case Stage::kName:
        return step_name(writer);
      case Stage::kCall:
        if (!call_.push(pending_, writer)) return false;
        stage_ = Stage::kNext;
        return true;
      case Stage::kNext:
        return step_next();
      case Stage::kText:
        writer.text(raw_ + pending_);
        raw_.clear();
        pending_.clear();
        return false;
    }
    return false;
  }

  // Moves `size` bytes to what is text if no call follows.
  void pass(std::size_t size) {
    raw_ += std::string_view(pending_).substr(0, size);
    pending_.erase(0, size);
  }

  bool step_start() {
    const std::size_t first = pending_.find_first_not_of(kSpace);
    if (first == std::string::npos) return false;
    const std::string_view rest = std::string_view(pending_).substr(first);
    if (rest.starts_with(kOpenMark)) {
      pass(first + kOpenMark.size());
      return true;
    }
    if (rest.size() < kOpenMark.size() && kOpenMark.starts_with(rest)) return false;
    if (rest.front() == '[') {
      pass(first + 1);
      stage_ = Stage::kName;
    } else {
      stage_ = Stage::kText;
    }
    return true;
  }

  bool step_name(ReplyWriter& writer) {
    const std::size_t first = pending_.find_first_not_of(kSpace);
    if (first == std::string::npos) return false;
    std::size_t end = first;
    while (end < pending_.size() && is_name_char(pending_[end])) ++end;
    if (end == pending_.size()) return false;
    const std::string name = pending_.substr(first, end - first);
    const bool is_known = tools_ == nullptr || find_tool_function(tools_.get(), name) != nullptr;
    if (pending_[end] != '(' || name.empty() || !is_known) {
      stage_ = writer.call_count() == 0 ? Stage::kText : Stage::kNext;
      if (stage_ == Stage::kNext) raw_.clear();
      if (stage_ == Stage::kNext) stage_ = Stage::kText;
      return true;
    }
    pending_.erase(0, end + 1);
    raw_.clear();
    writer.begin_call(name);
    call_ = PythonCall();
    stage_ = Stage::kCall;
    return true;
  }

  bool step_next() {
    const std::size_t first = pending_.find_first_not_of(kSpace);
    if (first == std::string::npos) return false;
    if (pending_[first] == ',') {
      pending_.erase(0, first + 1);
      stage_ = Stage::kName;
      return true;
    }
    if (pending_[first] == ']') {
      const std::size_t next = pending_.find_first_not_of(kSpace, first + 1);
      if (next == std::string::npos) return false;
      const std::string_view rest = std::string_view(pending_).substr(next);
      if (rest.size() < kCloseMark.size() && kCloseMark.starts_with(rest)) return false;
      pending_.erase(0, rest.starts_with(kCloseMark) ? next + kCloseMark.size() : next);
    }
    stage_ = Stage::kText;
    return true;
  }

  const ToolList tools_;
  Stage stage_ = Stage::kStart;
  std::string pending_;
  std::string raw_;
  PythonCall call_;
};

int score(std::string_view template_source) {
  if (template_source.find(kOpenMark) != std::string_view::npos) return 25;
  return template_source.find("[func_name1(") != std::string_view::npos ? 18 : 0;
}

std::unique_ptr<ToolParser> make_parser(ToolList tools) {
  return std::make_unique<PythonCalls>(std::move(tools));
}

}  // namespace

// Llama 3.2 (small) and 4, ToolACE and others.
extern const ToolFormat kPythonicToolFormat;
const ToolFormat kPythonicToolFormat{
    .name = "pythonic",
    .summary = "[name(key=\"value\", other=1)] as the whole reply",
    .score = score,
    .make_parser = make_parser,
    .shape = {},
    .marks = kMarkNames,
    .call_end = {},
};

}  // namespace inferneo::text
