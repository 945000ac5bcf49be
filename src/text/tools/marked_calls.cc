#include "text/tools/marked_calls.h"

#include <algorithm>
#include <utility>

#include "text/reasoning/reasoning_format.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

MarkedCalls::MarkedCalls(CallMarks syntax, ToolList tools)
    : syntax_(syntax),
      tools_(std::move(tools)),
      stage_(syntax.bare ? Stage::kStart : Stage::kText) {}

void MarkedCalls::push(std::string_view piece, ReplyWriter& writer) {
  pending_ += piece;
  while (step(writer)) {
  }
}

bool MarkedCalls::step(ReplyWriter& writer) {
  switch (stage_) {
    case Stage::kStart:
      return step_start();
    case Stage::kText:
      return step_text(writer);
    case Stage::kOpen:
      return step_open(writer);
    case Stage::kJson:
      return step_json(writer);
    case Stage::kXml:
      if (!xml_->push(pending_, writer)) return false;
      stage_ = Stage::kClose;
      return true;
    case Stage::kClose:
      return step_close(writer);
  }
  return false;
}

// Whether the reply begins with a bare call.
bool MarkedCalls::step_start() {
  const std::size_t first = pending_.find_first_not_of(kSpace);
  if (first == std::string::npos) return false;
  if (pending_[first] == '{' || pending_[first] == '[') {
    open({.begin = {}, .end = {}, .known_names_only = true});
  } else {
    stage_ = Stage::kText;
  }
  return true;
}

void MarkedCalls::open(const CallMark& mark) {
  mark_ = mark;
  opened_ = mark.begin;
  stage_ = Stage::kOpen;
}

bool MarkedCalls::step_text(ReplyWriter& writer) {
  std::size_t best = std::string::npos;
  CallMark found;
  std::size_t partial = 0;
  const auto look_for = [&](const CallMark& mark) {
    const std::size_t at = pending_.find(mark.begin);
    if (at < best) {
      best = at;
      found = mark;
    }
    partial = std::max(partial, partial_mark_size(pending_, mark.begin));
  };
  for (const CallMark& mark : syntax_.marks) look_for(mark);
  if (syntax_.xml) look_for({.begin = XmlCall::kBegin, .end = {}});
  if (best == std::string::npos) {
    const std::size_t certain = pending_.size() - partial;
    writer.text(std::string_view(pending_).substr(0, certain));
    pending_.erase(0, certain);
    return false;
  }
  writer.text(std::string_view(pending_).substr(0, best));
  if (found.begin == XmlCall::kBegin) {
    pending_.erase(0, best);
    found.begin = {};
  } else {
    pending_.erase(0, best + found.begin.size());
  }
  open(found);
  return true;
}

void MarkedCalls::begin_json() {
  json_.emplace(mark_.known_names_only ? tools_.get() : nullptr);
  stage_ = Stage::kJson;
}

bool MarkedCalls::step_open(ReplyWriter& writer) {
  std::size_t first = pending_.find_first_not_of(kSpace);
  if (first == std::string::npos) return false;
  // A list of calls; its separators are skipped behind each call.
  if (pending_[first] == '[') {
    first = pending_.find_first_not_of(kSpace, first + 1);
    if (first == std::string::npos) return false;
  }
  const std::string_view rest = std::string_view(pending_).substr(first);
  const bool is_json = rest.starts_with('{');
  const bool is_xml = syntax_.xml && rest.starts_with(XmlCall::kBegin);
  if (!is_json && !is_xml && syntax_.xml && XmlCall::kBegin.starts_with(rest)) return false;
  opened_ += std::string_view(pending_).substr(0, first);
  pending_.erase(0, first);
  if (is_json) {
    begin_json();
  } else if (is_xml) {
    xml_.emplace(tools_);
    stage_ = Stage::kXml;
  } else {
    restore(writer);
  }
  return true;
}

// What was taken for the beginning of a call is text.
void MarkedCalls::restore(ReplyWriter& writer) {
  writer.text(std::exchange(opened_, {}));
  stage_ = Stage::kText;
}

bool MarkedCalls::step_json(ReplyWriter& writer) {
  std::size_t used = 0;
  const JsonCall::Progress progress = json_->push(pending_, used, writer);
  pending_.erase(0, used);
  if (progress == JsonCall::Progress::kMore) return false;
  if (progress == JsonCall::Progress::kDone) {
    stage_ = Stage::kClose;
    return true;
  }
  // The rest may hold marks of its own.
  pending_.insert(0, json_->raw());
  restore(writer);
  return true;
}

bool MarkedCalls::step_close(ReplyWriter& writer) {
  const std::size_t first = pending_.find_first_not_of(kSpace);
  if (first == std::string::npos) return false;
  const std::string_view rest = std::string_view(pending_).substr(first);
  if (!mark_.end.empty() && rest.starts_with(mark_.end)) {
    pending_.erase(0, first + mark_.end.size());
    stage_ = Stage::kText;
    return true;
  }
  if (!mark_.end.empty() && mark_.end.starts_with(rest)) return false;
  if (rest.front() == ',' || rest.front() == ';' || rest.front() == ']') {
    const std::size_t next = pending_.find_first_not_of(kSpace, first + 1);
    if (next == std::string::npos) return false;
    if (rest.front() == ']' || pending_[next] == '{') {
      pending_.erase(0, next);
      return true;
    }
  }
  if (rest.front() == '{') {
    opened_ = pending_.substr(0, first);
    pending_.erase(0, first);
    begin_json();
    return true;
  }
  stage_ = Stage::kText;
  return step_text(writer);
}

void MarkedCalls::finish(ReplyWriter& writer) {
  switch (stage_) {
    case Stage::kStart:
    case Stage::kText:
      writer.text(pending_);
      break;
    case Stage::kOpen:
      writer.text(opened_ + pending_);
      break;
    case Stage::kJson:
      if (json_->finish() == JsonCall::Progress::kFailed) writer.text(opened_ + json_->raw());
      break;
    case Stage::kXml:
      if (!xml_->finish(pending_, writer)) writer.text(opened_ + pending_);
      break;
    case Stage::kClose: {
      const std::size_t first = pending_.find_first_not_of(kSpace);
      if (first == std::string::npos) break;
      const std::string_view rest = std::string_view(pending_).substr(first);
      const bool is_mark = mark_.end.starts_with(rest) || rest == "]";
      if (!is_mark) writer.text(pending_);
      break;
    }
  }
  pending_.clear();
}

}  // namespace inferneo::text
