#include "text/tools/json_call.h"

#include <utility>

#include "text/json.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// A name longer than any is no name. Why: it bounds what is held back.
constexpr std::size_t kNameSizeMax = 1024;

}  // namespace

JsonCall::Progress JsonCall::push(std::string_view piece, std::size_t& used, ReplyWriter& writer) {
  for (used = 0; used < piece.size();) {
    const char c = piece[used++];
    if (!is_begun_) raw_ += c;
    const Progress progress = take(c, writer);
    if (progress == Progress::kMore) continue;
    // Behind a call that was begun, the byte that is no part of it is text.
    if (progress == Progress::kDone && c != '}') --used;
    return progress;
  }
  return Progress::kMore;
}

JsonCall::Progress JsonCall::take(char c, ReplyWriter& writer) {
  switch (place_) {
    case Place::kOpen:
      if (is_space(c)) return Progress::kMore;
      place_ = Place::kKey;
      return c == '{' ? Progress::kMore : fail();
    case Place::kKey:
      if (is_space(c)) return Progress::kMore;
      if (c == '}') return end_object(writer);
      text_.clear();
      place_ = Place::kKeyText;
      return c == '"' ? Progress::kMore : fail();
    case Place::kKeyText:
      if (c != '"') {
        text_ += c;
        return text_.size() <= kNameSizeMax && c != '\\' ? Progress::kMore : fail();
      }
      member_ = text_ == "name"                                 ? Member::kName
                : text_ == "arguments" || text_ == "parameters" ? Member::kArguments
                : text_ == "id"                                 ? Member::kId
                                                                : Member::kOther;
      place_ = Place::kColon;
      return Progress::kMore;
    case Place::kColon:
      if (is_space(c)) return Progress::kMore;
      place_ = Place::kValue;
      return c == ':' ? Progress::kMore : fail();
    case Place::kValue:
      return is_space(c) ? Progress::kMore : begin_value(c, writer);
    case Place::kInValue:
      return take_value(c, writer);
    case Place::kNext:
      if (is_space(c)) return Progress::kMore;
      if (c == '}') return end_object(writer);
      place_ = Place::kKey;
      return c == ',' ? Progress::kMore : fail();
  }
  return fail();
}

JsonCall::Progress JsonCall::begin_value(char c, ReplyWriter& writer) {
  text_.clear();
  depth_ = 0;
  in_string_ = is_escaped_ = is_streaming_ = false;
  is_scalar_ = c != '{' && c != '[' && c != '"';
  if (c == ',' || c == '}' || c == ']' || c == ':') return fail();
  place_ = Place::kInValue;
  // Arguments that are a string hold JSON in another coat, which comes off at its end.
  if (member_ == Member::kArguments && !has_arguments_ && has_name_ && c == '{') {
    if (!begin(writer)) return fail();
    is_streaming_ = true;
  }
  return take_value(c, writer);
}

JsonCall::Progress JsonCall::take_value(char c, ReplyWriter& writer) {
  if (is_scalar_ && (c == ',' || c == '}' || is_space(c))) {
    if (!end_value(writer)) return fail();
    place_ = Place::kNext;
    return take(c, writer);
  }
  // No JSON has this byte outside a string: a closing mark follows arguments without their end.
  if (c == '<' && !in_string_) return fail();
  if (is_streaming_) {
    writer.arguments(std::string_view(&c, 1));
  } else {
    text_ += c;
  }
  if (is_scalar_) return Progress::kMore;
  if (in_string_) {
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (c == '\\') {
      is_escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if ((c == '}' || c == ']') && depth_ > 0) {
    --depth_;
  }
  if (in_string_ || depth_ > 0) return Progress::kMore;
  if (!end_value(writer)) return fail();
  place_ = Place::kNext;
  return Progress::kMore;
}

// False when the value shows that this is no call.
bool JsonCall::end_value(ReplyWriter& writer) {
  if (member_ == Member::kOther) return true;
  if (member_ == Member::kArguments) {
    if (std::exchange(has_arguments_, true) || is_streaming_) return true;
    if (text_ == "null") text_ = "{}";
    if (text_.starts_with('"')) {
      const Result<Value> inner = parse_json(text_);
      if (inner.has_value() && inner->as_string() != nullptr) text_ = *inner->as_string();
    }
    arguments_ = std::move(text_);
  } else {
    const Result<Value> value = parse_json(text_);
    if (!value.has_value()) return false;
    const std::string* text = value->as_string();
    if (member_ == Member::kId) {
      if (text != nullptr) id_ = *text;
      return true;
    }
    if (text == nullptr || text->empty() || text->size() > kNameSizeMax) return false;
    name_ = *text;
    has_name_ = true;
  }
  return !has_name_ || !has_arguments_ || begin(writer);
}

bool JsonCall::begin(ReplyWriter& writer) {
  if (is_begun_) return true;
  if (tools_ != nullptr && find_tool_function(tools_, name_) == nullptr) return false;
  is_begun_ = true;
  raw_.clear();
  writer.begin_call(name_, id_);
  if (has_arguments_) writer.arguments(arguments_);
  return true;
}

JsonCall::Progress JsonCall::end_object(ReplyWriter& writer) {
  if (is_begun_) return Progress::kDone;
  if (!has_name_) return Progress::kFailed;
  if (!begin(writer)) return Progress::kFailed;
  if (!has_arguments_) writer.arguments("{}");
  return Progress::kDone;
}

}  // namespace inferneo::text
