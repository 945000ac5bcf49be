#include "text/reasoning/reasoning_format.h"

#include <algorithm>
#include <utility>

namespace inferneo::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

const ReasoningFormat* find_reasoning_format(std::string_view name) {
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (format->name == name) return format;
  }
  return nullptr;
}

const ReasoningFormat* choose_reasoning_format(std::string_view template_source) {
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (template_source.find(format->template_mark) != std::string_view::npos) return format;
  }
  return nullptr;
}

bool ends_in_reasoning(const ReasoningFormat& format, std::string_view prompt) {
  const std::size_t begin = prompt.rfind(format.begin);
  if (begin == std::string_view::npos) return false;
  // Only at the very end: an earlier message may hold an opening mark that a user typed.
  const std::string_view rest = prompt.substr(begin + format.begin.size());
  return rest.find_first_not_of(kSpace) == std::string_view::npos;
}

bool ends_behind_reasoning(const ReasoningFormat& format, std::string_view prompt) {
  const std::size_t last = prompt.find_last_not_of(kSpace);
  return last != std::string_view::npos && prompt.substr(0, last + 1).ends_with(format.end);
}

std::size_t partial_mark_size(std::string_view text, std::string_view mark) {
  std::size_t size = std::min(text.size(), mark.size() - 1);
  while (size > 0 && !text.ends_with(mark.substr(0, size))) --size;
  return size;
}

ReasoningSplitter::ReasoningSplitter(const ReasoningFormat& format, bool begins_inside)
    : format_(format), stage_(begins_inside ? Stage::kInside : Stage::kBefore) {}

void ReasoningSplitter::push(std::string_view piece, std::string& reasoning, std::string& text) {
  if (stage_ == Stage::kText) {
    text += piece;
    return;
  }
  pending_ += piece;
  while (step(reasoning, text)) {
  }
}

void ReasoningSplitter::emit_reasoning(std::string_view piece, std::string& reasoning) {
  if (!has_reasoned_) {
    const std::size_t first = piece.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return;
    piece.remove_prefix(first);
    has_reasoned_ = true;
  }
  const std::size_t last = piece.find_last_not_of(kSpace);
  if (last == std::string_view::npos) {
    held_space_ += piece;
    return;
  }
  reasoning += std::exchange(held_space_, {});
  reasoning += piece.substr(0, last + 1);
  held_space_ = piece.substr(last + 1);
}

// One decision about pending_; false when more text is needed.
bool ReasoningSplitter::step(std::string& reasoning, std::string& text) {
  switch (stage_) {
    case Stage::kBefore: {
      const std::size_t first = pending_.find_first_not_of(kSpace);
      if (first == std::string::npos) return false;
      const std::string_view rest = std::string_view(pending_).substr(first);
      if (rest.starts_with(format_.begin)) {
        pending_.erase(0, first + format_.begin.size());
        stage_ = Stage::kInside;
        return true;
      }
      if (format_.begin.starts_with(rest)) return false;
      stage_ = Stage::kText;
      text += std::exchange(pending_, {});
      return false;
    }
    case Stage::kInside: {
      const std::size_t end = pending_.find(format_.end);
      if (end != std::string::npos) {
        emit_reasoning(std::string_view(pending_).substr(0, end), reasoning);
        pending_.erase(0, end + format_.end.size());
        held_space_.clear();
        stage_ = Stage::kBehind;
        return true;
      }
      const std::size_t certain = pending_.size() - partial_mark_size(pending_, format_.end);
      emit_reasoning(std::string_view(pending_).substr(0, certain), reasoning);
      pending_.erase(0, certain);
      return false;
    }
    case Stage::kBehind: {
      const std::size_t first = pending_.find_first_not_of(kSpace);
      if (first == std::string::npos) return false;
      stage_ = Stage::kText;
      text += std::string_view(pending_).substr(first);
      pending_.clear();
      return false;
    }
    case Stage::kText:
      break;
  }
  return false;
}

void ReasoningSplitter::finish(std::string& reasoning, std::string& text) {
  if (stage_ == Stage::kBefore) text += pending_;
  if (stage_ == Stage::kInside) emit_reasoning(pending_, reasoning);
  pending_.clear();
}

}  // namespace inferneo::text
