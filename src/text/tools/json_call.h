// One call that a model writes as a JSON object: {"name": ..., "arguments": {...}}, with the
// members in any order, "parameters" for arguments, and members that say nothing. Arguments are
// passed on as they arrive, in the model's own words. Thread: one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "text/reply.h"

namespace inferneo::text {

class JsonCall {
 public:
  enum class Progress : std::uint8_t {
    kMore,
    kDone,    // the object is complete
    kFailed,  // this is no call, and nothing was given to the writer: raw() is text
  };

  // `tools`, when not null: only these names are calls.
  explicit JsonCall(const Value* tools = nullptr) : tools_(tools) {}

  // Reads bytes of `piece` until the object is complete or fails; `used` of them are read.
  Progress push(std::string_view piece, std::size_t& used, ReplyWriter& writer);
  // The text ends within the object. kDone when the call was begun: what came of its arguments was
  // passed on. Otherwise kFailed.
  [[nodiscard]] Progress finish() const { return is_begun_ ? Progress::kDone : Progress::kFailed; }
  // All that was read while the call was not begun.
  [[nodiscard]] const std::string& raw() const { return raw_; }
  [[nodiscard]] bool is_begun() const { return is_begun_; }

 private:
  enum class Place : std::uint8_t { kOpen, kKey, kKeyText, kColon, kValue, kInValue, kNext };
  enum class Member : std::uint8_t { kName, kId, kArguments, kOther };

  Progress take(char c, ReplyWriter& writer);
  Progress begin_value(char c, ReplyWriter& writer);
  Progress take_value(char c, ReplyWriter& writer);
  bool end_value(ReplyWriter& writer);
  bool begin(ReplyWriter& writer);
  Progress end_object(ReplyWriter& writer);
  Progress fail() const { return is_begun_ ? Progress::kDone : Progress::kFailed; }

  const Value* tools_;
  Place place_ = Place::kOpen;
  Member member_ = Member::kOther;
  std::string raw_;
  std::string text_;  // of the key or value that is being read
  std::string name_;
  std::string id_;
  std::string arguments_;  // read before the name was known
  bool has_name_ = false;
  bool has_arguments_ = false;
  bool is_begun_ = false;
  bool is_streaming_ = false;  // arguments go to the writer as they arrive
  bool is_scalar_ = false;     // the value is neither list, object nor string
  bool in_string_ = false;
  bool is_escaped_ = false;
  std::size_t depth_ = 0;  // of lists and objects within the value
};

}  // namespace inferneo::text
