#include <array>
#include <optional>
#include <utility>

#include "text/reasoning/reasoning_format.h"
#include "text/tools/json_call.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kCalls = "[TOOL_CALLS]";
constexpr std::string_view kId = "[CALL_ID]";
constexpr std::string_view kArgsMark = "[ARGS]";
constexpr std::array<std::string_view, 3> kMarkNames{kCalls, kId, kArgsMark};
constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...], and since version 11 of the tokenizer
// [TOOL_CALLS]name[ARGS]{...} or [TOOL_CALLS]name[CALL_ID]id[ARGS]{...}, once a call.
class MistralCalls final : public ToolParser {
 public:
  void push(std::string_view piece, ReplyWriter& writer) override {
    pending_ += piece;
    while (step(writer)) {
    }
  }

  void finish(ReplyWriter& writer) override {
    const bool is_call =
        stage_ == Stage::kArguments || (stage_ == Stage::kObject && object_->is_begun());
    if (stage_ == Stage::kText) {
      writer.text(pending_);
    } else if (stage_ == Stage::kNext) {
      if (trim(pending_) != "]") writer.text(pending_);
    } else if (!is_call) {
      writer.text(opened_ + (stage_ == Stage::kObject ? object_->raw() : "") + pending_);
    }
    pending_.clear();
  }

 private:
  enum class Stage { kText, kOpen, kObject, kNext, kName, kArguments };

  bool step(ReplyWriter& writer) {
    switch (stage_) {
      case Stage::kText:
        return step_text(writer);
      case Stage::kOpen:
        return step_open();
      case Stage::kObject:
        return step_object(writer);
      case Stage::kNext:
        return step_next();
      case Stage::kName:
        return step_name(writer);
      case Stage::kArguments:
        return step_arguments(writer);
    }
    return false;
  }

  bool step_text(ReplyWriter& writer) {
    const std::size_t at = pending_.find(kCalls);
    if (at == std::string::npos) {
      const std::size_t certain = pending_.size() - partial_mark_size(pending_, kCalls);
      writer.text(std::string_view(pending_).substr(0, certain));
      pending_.erase(0, certain);
      return false;
    }
    writer.text(std::string_view(pending_).substr(0, at));
    pending_.erase(0, at + kCalls.size());
    opened_ = kCalls;
    stage_ = Stage::kOpen;
    return true;
  }

  bool step_open() {
    const std::size_t first = pending_.find_first_not_of(kSpace);
    if (first == std::string::npos) return false;
    if (pending_[first] == '[') {
      const std::size_t object = pending_.find_first_not_of(kSpace, first + 1);
      if (object == std::string::npos) return false;
      begin_object(object);
    } else if (pending_[first] == '{') {
      begin_object(first);
    } else {
      stage_ = Stage::kName;
    }
    return true;
  }

  void begin_object(std::size_t at) {
    opened_ += std::string_view(pending_).substr(0, at);
    pending_.erase(0, at);
    object_.emplace();
    stage_ = Stage::kObject;
  }

  bool step_object(ReplyWriter& writer) {
    std::size_t used = 0;
    const JsonCall::Progress progress = object_->push(pending_, used, writer);
    pending_.erase(0, used);
    if (progress == JsonCall::Progress::kMore) return false;
    if (progress == JsonCall::Progress::kDone) {
      stage_ = Stage::kNext;
      return true;
    }
    writer.text(opened_ + object_->raw());
    stage_ = Stage::kText;
    return true;
  }

  bool step_next() {
    const std::size_t first = pending_.find_first_not_of(kSpace);
    if (first == std::string::npos) return false;
    if (pending_[first] == ',') {
      const std::size_t object = pending_.find_first_not_of(kSpace, first + 1);
      if (object == std::string::npos) return false;
      opened_.clear();
      begin_object(object);
      opened_.clear();
      return true;
    }
    pending_.erase(0, pending_[first] == ']' ? first + 1 : first);
    stage_ = Stage::kText;
    return true;
  }

  bool step_name(ReplyWriter& writer) {
    const std::size_t brace = pending_.find('{');
    if (brace == std::string::npos) return false;
    std::string_view head = std::string_view(pending_).substr(0, brace);
    const std::size_t arguments = head.find(kArgsMark);
    head = head.substr(0, arguments);
    const std::size_t id = head.find(kId);
    const std::string_view name = trim(head.substr(0, id));
    if (name.empty() || name.find_first_of(kSpace) != std::string_view::npos) {
      writer.text(opened_);
      stage_ = Stage::kText;
      return true;
    }
    writer.begin_call(
        name,
        id == std::string_view::npos ? std::string_view() : trim(head.substr(id + kId.size())));
    pending_.erase(0, brace);
    depth_ = 0;
    in_string_ = is_escaped_ = false;
    stage_ = Stage::kArguments;
    return true;
  }

  bool step_arguments(ReplyWriter& writer) {
    std::size_t size = 0;
    bool is_complete = false;
    while (size < pending_.size() && !is_complete) is_complete = take(pending_[size++]);
    writer.arguments(std::string_view(pending_).substr(0, size));
    pending_.erase(0, size);
    if (is_complete) stage_ = Stage::kText;
    return is_complete;
  }

  // True when the object ends with this byte.
  bool take(char c) {
    if (in_string_) {
      if (is_escaped_) {
        is_escaped_ = false;
      } else if (c == '\\') {
        is_escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      return false;
    }
    if (c == '"') in_string_ = true;
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') return --depth_ == 0;
    return false;
  }

  Stage stage_ = Stage::kText;
  std::string pending_;
  std::string opened_;
  std::optional<JsonCall> object_;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool is_escaped_ = false;
};

int score(std::string_view template_source) {
  return template_source.find(kCalls) != std::string_view::npos ? 20 : 0;
}

std::unique_ptr<ToolParser> make_parser(ToolList) { return std::make_unique<MistralCalls>(); }

}  // namespace

// Mistral's instruct models.
extern const ToolFormat kMistralToolFormat;
const ToolFormat kMistralToolFormat{
    .name = "mistral",
    .summary = "[TOOL_CALLS] and a list of objects, or a name, [ARGS] and an object",
    .score = score,
    .make_parser = make_parser,
    .shape = {.open = "[TOOL_CALLS][",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .between = ", ",
              .close = "]"},
    .marks = kMarkNames,
    .call_end = {},
    // Their templates refuse ids of any other form.
    .call_id_size = 9,
    .call_id_prefix = {},
};

}  // namespace inferneo::text
