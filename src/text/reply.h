// What a model writes, taken apart: the text for the reader, the reasoning before it, and calls of
// tools. Works on text as it arrives; what may still become a mark of a format is held back, never
// lost. The parts depend on the text only, never on how it was cut into pieces.
// Thread: one owner. Ownership: borrows formats (constants) and the tools of ReplyOptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/value.h"

namespace inferneo::text {

struct ToolFormat;
struct ReasoningFormat;
class ToolParser;
class ReasoningSplitter;

struct ReplyPart {
  enum class Kind : std::uint8_t {
    kText,       // for the reader
    kReasoning,  // what the model thinks before it answers
    kCall,       // a call begins: `text` is the function's name, `id` what the model called it
    kArguments,  // a piece of the JSON text of the call's arguments
  };
  Kind kind = Kind::kText;
  std::int32_t call = -1;  // of kCall and kArguments: 0, 1, ... in the order of the calls
  std::string text;
  std::string id;  // empty unless the format has ids of its own
};

struct ReplyOptions {
  const ToolFormat* tool_format = nullptr;  // null: calls are not looked for
  // The request's tools (a list as ChatInput::tools). Shared by the choices of a request.
  std::shared_ptr<const Value> tools;
  bool one_call = false;  // what follows the first call is not part of the reply
  const ReasoningFormat* reasoning_format = nullptr;  // null: reasoning is not looked for
  bool begins_in_reasoning = false;                   // the prompt ends behind the opening mark
};

// Collects parts for their receiver: joins neighbours, numbers the calls, and drops white space
// around calls, which belongs to the format.
class ReplyWriter {
 public:
  explicit ReplyWriter(bool one_call) : one_call_(one_call) {}

  // Where the parts go until the next call; they are appended.
  void set_out(std::vector<ReplyPart>& out) { out_ = &out; }
  void text(std::string_view piece);
  void reasoning(std::string_view piece);
  void begin_call(std::string_view name, std::string_view id = {});
  void arguments(std::string_view piece);
  // The text ends. White space that was held back is text when no call was made.
  void finish();

  [[nodiscard]] std::int32_t call_count() const { return call_count_; }

 private:
  void append(ReplyPart::Kind kind, std::string_view piece, std::int32_t call);
  // Whether parts of the current call, or text behind it, are dropped.
  [[nodiscard]] bool is_over() const { return one_call_ && call_count_ > 1; }

  std::vector<ReplyPart>* out_ = nullptr;
  const bool one_call_;
  std::int32_t call_count_ = 0;
  bool is_behind_call_ = false;
  std::string held_space_;
};

class ReplyParser {
 public:
  explicit ReplyParser(const ReplyOptions& options);
  ~ReplyParser();
  ReplyParser(ReplyParser&&) noexcept;
  ReplyParser& operator=(ReplyParser&&) noexcept;

  // Appends what is certain.
  void push(std::string_view piece, std::vector<ReplyPart>& out);
  // The text ends here: appends what was held back.
  void finish(std::vector<ReplyPart>& out);

  [[nodiscard]] bool is_in_reasoning() const;
  [[nodiscard]] std::int32_t call_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;  // null: everything is text
};

}  // namespace inferneo::text
