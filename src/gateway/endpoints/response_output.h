// The output items of a response while they grow: reasoning, messages, calls. Events of a stream
// are appended as they become due; without a stream only the items are kept.
// Thread: one owner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/endpoints/json_writer.h"
#include "request/output.h"
#include "text/reply.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// Frames of the stream: "event: <type>", and data with type and a growing sequence_number.
class ResponseEvents {
 public:
  // Appends the beginning of an event; the caller adds members and calls end().
  JsonWriter begin(std::string& out, std::string_view type);
  static void end(JsonWriter& json, std::string& out);

 private:
  std::int64_t sequence_ = 0;
};

class ResponseOutput {
 public:
  // `events` may be null; must outlive this object.
  explicit ResponseOutput(ResponseEvents* events) : events_(events) {}

  // `logprobs` belong to the text among the parts.
  void add(const std::vector<text::ReplyPart>& parts,
           std::vector<request::TokenLogprob>&& logprobs,
           std::string& out);
  // Ends the open item. A response without any item gets an empty message.
  void finish(bool is_complete, std::string& out);

  // The items as a JSON list, joined texts included.
  void write(JsonWriter& json) const;
  // The message that this output adds to the conversation.
  [[nodiscard]] text::Value message() const;

 private:
  struct Item {
    enum class Kind : std::uint8_t { kReasoning, kMessage, kCall };
    Kind kind = Kind::kMessage;
    std::string id;
    std::string text;  // or the arguments
    std::string name;
    std::string call_id;
    std::vector<request::TokenLogprob> logprobs;
    std::string_view status = "in_progress";
  };

  void open(Item::Kind kind, std::string& out);
  void close(std::string_view status, std::string& out);
  void add_text(std::string_view piece, std::string& out);
  void write_delta(std::string_view type, std::string_view piece, std::string& out);
  void write_part_event(std::string_view type, std::string& out);
  void write_item_event(std::string_view type, std::string& out);
  void write_place(JsonWriter& json, bool with_content) const;
  static void write_item(JsonWriter& json, const Item& item, bool is_empty);
  static void write_part(JsonWriter& json, const Item& item);

  ResponseEvents* events_;
  std::vector<Item> items_;
  bool is_open_ = false;
  std::vector<request::TokenLogprob> waiting_logprobs_;
};

}  // namespace inferneo::gateway::endpoints
