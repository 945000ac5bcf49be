// One call as Qwen's coder models write it, with every argument in an element of its own:
// <function=name> <parameter=key> value </parameter> ... </function>. An argument is passed on as
// JSON when it is complete; the tool's schema says whether it is a string.
// Thread: one owner.
#pragma once

#include <string>
#include <string_view>

#include "text/reply.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {

class XmlCall {
 public:
  static constexpr std::string_view kBegin = "<function=";

  explicit XmlCall(ToolList tools) : tools_(std::move(tools)) {}

  // Takes what it can from the front of `pending`; true when the call is complete.
  bool push(std::string& pending, ReplyWriter& writer);
  // The text ends within the call. False when it was not begun: raw() and `pending` are text.
  bool finish(std::string& pending, ReplyWriter& writer);

 private:
  enum class Place : std::uint8_t { kName, kBetween, kKey, kValue, kDone };

  bool step(std::string& pending, ReplyWriter& writer);
  void add_argument(std::string_view value, ReplyWriter& writer);
  void end(ReplyWriter& writer);

  const ToolList tools_;
  Place place_ = Place::kName;
  std::string name_;
  std::string key_;
  bool has_arguments_ = false;
};

}  // namespace inferneo::text
