// The parser of formats that put calls between marks, as <tool_call>{...}</tool_call>, or begin a
// reply with a bare JSON object. What turns out to be no call stays text, marks included.
// Thread: one owner.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/tools/json_call.h"
#include "text/tools/tool_format.h"
#include "text/tools/xml_call.h"

namespace inferneo::text {

struct CallMark {
  std::string_view begin;
  std::string_view end;           // empty: the call's own end is the end
  bool known_names_only = false;  // the mark is used for other things too
};

struct CallMarks {
  std::span<const CallMark> marks;
  bool bare = false;  // a reply may begin with the object of a tool's call, without a mark
  bool xml = false;   // calls may be elements: <function=...>, with or without a mark
};

class MarkedCalls final : public ToolParser {
 public:
  MarkedCalls(CallMarks syntax, ToolList tools);

  void push(std::string_view piece, ReplyWriter& writer) override;
  void finish(ReplyWriter& writer) override;

 private:
  enum class Stage { kStart, kText, kOpen, kJson, kXml, kClose };

  bool step(ReplyWriter& writer);
  bool step_start();
  bool step_text(ReplyWriter& writer);
  bool step_open(ReplyWriter& writer);
  bool step_json(ReplyWriter& writer);
  bool step_close(ReplyWriter& writer);
  void open(const CallMark& mark);
  void begin_json();
  void restore(ReplyWriter& writer);

  const CallMarks syntax_;
  const ToolList tools_;
  Stage stage_;
  std::string pending_;  // not yet decided
  CallMark mark_;        // of the current call
  std::string opened_;   // the mark and what followed it, should it all be text
  std::optional<JsonCall> json_;
  std::optional<XmlCall> xml_;
};

}  // namespace inferneo::text
