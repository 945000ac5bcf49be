#include "text/reply.h"

#include <utility>

#include "text/reasoning/reasoning_format.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

void ReplyWriter::append(ReplyPart::Kind kind, std::string_view piece, std::int32_t call) {
  if (piece.empty()) return;
  if (!out_->empty() && out_->back().kind == kind && out_->back().call == call) {
    out_->back().text += piece;
    return;
  }
  ReplyPart part;
  part.kind = kind;
  part.call = call;
  part.text = piece;
  out_->push_back(std::move(part));
}

void ReplyWriter::text(std::string_view piece) {
  if (piece.empty() || (one_call_ && call_count_ > 0)) return;
  const std::size_t last = piece.find_last_not_of(kSpace);
  if (last == std::string_view::npos) {
    held_space_ += piece;
    return;
  }
  std::string space = std::exchange(held_space_, {});
  if (std::exchange(is_behind_call_, false)) {
    space.clear();
    const std::size_t first = piece.find_first_not_of(kSpace);
    append(ReplyPart::Kind::kText, piece.substr(first, last + 1 - first), -1);
  } else {
    append(ReplyPart::Kind::kText, space, -1);
    append(ReplyPart::Kind::kText, piece.substr(0, last + 1), -1);
  }
  held_space_ = piece.substr(last + 1);
}

void ReplyWriter::reasoning(std::string_view piece) {
  append(ReplyPart::Kind::kReasoning, piece, -1);
}

void ReplyWriter::begin_call(std::string_view name, std::string_view id) {
  held_space_.clear();
  is_behind_call_ = true;
  ++call_count_;
  if (is_over()) return;
  ReplyPart part;
  part.kind = ReplyPart::Kind::kCall;
  part.call = call_count_ - 1;
  part.text = name;
  part.id = id;
  out_->push_back(std::move(part));
}

void ReplyWriter::arguments(std::string_view piece) {
  if (is_over()) return;
  append(ReplyPart::Kind::kArguments, piece, call_count_ - 1);
}

void ReplyWriter::finish() {
  if (call_count_ == 0) append(ReplyPart::Kind::kText, held_space_, -1);
  held_space_.clear();
}

struct ReplyParser::State {
  explicit State(const ReplyOptions& options) : writer(options.one_call) {
    if (options.reasoning_format != nullptr) {
      splitter = std::make_unique<ReasoningSplitter>(*options.reasoning_format,
                                                     options.begins_in_reasoning);
    }
    if (options.tool_format != nullptr) parser = options.tool_format->make_parser(options.tools);
  }

  void text(std::string_view piece) {
    if (parser != nullptr) {
      parser->push(piece, writer);
    } else {
      writer.text(piece);
    }
  }

  ReplyWriter writer;
  std::unique_ptr<ReasoningSplitter> splitter;
  std::unique_ptr<ToolParser> parser;
};

ReplyParser::ReplyParser(const ReplyOptions& options) {
  if (options.reasoning_format != nullptr || options.tool_format != nullptr) {
    state_ = std::make_unique<State>(options);
  }
}
ReplyParser::~ReplyParser() = default;
ReplyParser::ReplyParser(ReplyParser&&) noexcept = default;
ReplyParser& ReplyParser::operator=(ReplyParser&&) noexcept = default;

void ReplyParser::push(std::string_view piece, std::vector<ReplyPart>& out) {
  if (piece.empty()) return;
  if (state_ == nullptr) {
    ReplyPart part;
    part.text = piece;
    out.push_back(std::move(part));
    return;
  }
  state_->writer.set_out(out);
  if (state_->splitter == nullptr) return state_->text(piece);
  std::string reasoning;
  std::string text;
  state_->splitter->push(piece, reasoning, text);
  state_->writer.reasoning(reasoning);
  if (!text.empty()) state_->text(text);
}

void ReplyParser::finish(std::vector<ReplyPart>& out) {
  if (state_ == nullptr) return;
  state_->writer.set_out(out);
  if (state_->splitter != nullptr) {
    std::string reasoning;
    std::string text;
    state_->splitter->finish(reasoning, text);
    state_->writer.reasoning(reasoning);
    if (!text.empty()) state_->text(text);
  }
  if (state_->parser != nullptr) state_->parser->finish(state_->writer);
  state_->writer.finish();
}

bool ReplyParser::is_in_reasoning() const {
  return state_ != nullptr && state_->splitter != nullptr && state_->splitter->is_in_reasoning();
}

std::int32_t ReplyParser::call_count() const {
  return state_ == nullptr ? 0 : state_->writer.call_count();
}

}  // namespace inferneo::text
