#include "gateway/endpoints/anthropic/answer.h"

#include <algorithm>
#include <utility>

#include "gateway/endpoints/anthropic/error.h"
#include "gateway/endpoints/chat_choice.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints::anthropic {
namespace {

using request::FinishReason;
using request::OutputDelta;
using text::ReplyPart;

// How the message ended.
struct Stop {
  std::string reason;    // empty while it goes on
  std::string sequence;  // the stop sequence that ended it
};

Stop stop_of(const OutputDelta& delta, const ChatChoice& choice, const MessageOptions& options) {
  if (*delta.finish == FinishReason::kLength) return {"max_tokens", {}};
  const auto& stops = options.stop_sequences;
  if (std::find(stops.begin(), stops.end(), delta.stop_matched) != stops.end()) {
    return {"stop_sequence", delta.stop_matched};
  }
  return {choice.call_count() > 0 ? "tool_use" : "end_turn", {}};
}

void write_stop(JsonWriter& json, const Stop& stop) {
  if (stop.reason.empty()) {
    json.member_null("stop_reason");
  } else {
    json.member("stop_reason", stop.reason);
  }
  if (stop.sequence.empty()) {
    json.member_null("stop_sequence");
  } else {
    json.member("stop_sequence", stop.sequence);
  }
}

// Tokens that came from the prefix cache are counted apart from the others.
void write_usage(JsonWriter& json, const request::Usage& usage) {
  json.key("usage");
  json.begin_object();
  json.member("input_tokens", usage.prompt_tokens - usage.cached_prompt_tokens);
  json.member("cache_creation_input_tokens", 0);
  json.member("cache_read_input_tokens", usage.cached_prompt_tokens);
  json.member("output_tokens", usage.completion_tokens);
  json.end_object();
}

void write_head(JsonWriter& json, const AnswerIdentity& identity) {
  json.member("id", identity.id);
  json.member("type", "message");
  json.member("role", "assistant");
  json.member("model", identity.model);
}

// What both answers share of a failure.
class MessageAnswer : public Answer {
 public:
  MessageAnswer(AnswerOptions options, MessageOptions message)
      : options_(std::move(options)), message_(std::move(message)), choice_(options_) {}

  void fail(const Status& status, std::string& out) override {
    out += str("event: error\ndata: ", error_json(status, message_.request_id), "\n\n");
  }
  http::Response refuse(const Status& status) override {
    http::Response response = http::error_response(status);
    response.body = error_json(status, message_.request_id);
    return response;
  }
  [[nodiscard]] std::string_view ping() const override {
    return "event: ping\ndata: {\"type\":\"ping\"}\n\n";
  }

 protected:
  const AnswerOptions options_;
  const MessageOptions message_;
  ChatChoice choice_;
  std::vector<ReplyPart> parts_;
  Stop stop_;
};

class WholeMessage final : public MessageAnswer {
 public:
  using MessageAnswer::MessageAnswer;

  void add(std::size_t, OutputDelta&& delta, std::string&) override {
    parts_.clear();
    choice_.add(delta, parts_);
    if (delta.finish) stop_ = stop_of(delta, choice_, message_);
    reply_.add(std::move(parts_));
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    JsonWriter json(out);
    json.begin_object();
    write_head(json, options_.identity);
    json.key("content");
    json.begin_array();
    if (!reply_.reasoning.empty()) {
      json.begin_object();
      json.member("type", "thinking");
      json.member("thinking", reply_.reasoning);
      json.member("signature", "");
      json.end_object();
    }
    if (!reply_.text.empty() || (reply_.calls.empty() && reply_.reasoning.empty())) {
      json.begin_object();
      json.member("type", "text");
      json.member("text", reply_.text);
      json.end_object();
    }
    for (const ChatMessage::Call& call : reply_.calls) write_call(json, call);
    json.end_array();
    write_stop(json, stop_);
    write_usage(json, end.usage);
    json.end_object();
  }

 private:
  // Arguments that are no object, which an unconstrained model may write, are told as they are.
  static void write_call(JsonWriter& json, const ChatMessage::Call& call) {
    json.begin_object();
    json.member("type", "tool_use");
    json.member("id", call.id);
    json.member("name", call.name);
    json.key("input");
    if (parse_json_object(call.arguments).has_value()) {
      json.members(call.arguments);
    } else {
      json.begin_object();
      json.member("unparsed", call.arguments);
      json.end_object();
    }
    json.end_object();
  }

  ChatMessage reply_;
};

class MessageStream final : public MessageAnswer {
 public:
  using MessageAnswer::MessageAnswer;

  void begin(std::string& out) override {
    JsonWriter json = begin_event(out, "message_start");
    json.key("message");
    json.begin_object();
    write_head(json, options_.identity);
    json.key("content");
    json.begin_array();
    json.end_array();
    write_stop(json, {});
    request::Usage usage;
    for (const AnswerPrompt& prompt : options_.prompts) {
      usage.prompt_tokens += static_cast<std::int32_t>(prompt.ids.size());
    }
    write_usage(json, usage);
    json.end_object();
    end_event(json, out);
  }

  void add(std::size_t, OutputDelta&& delta, std::string& out) override {
    parts_.clear();
    choice_.add(delta, parts_);
    for (const ReplyPart& part : parts_) add_part(part, out);
    if (delta.finish) stop_ = stop_of(delta, choice_, message_);
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    // A message without any content still has its empty text.
    if (block_count_ == 0) begin_block({ReplyPart::Kind::kText, -1, {}, {}}, out);
    end_block(out);
    JsonWriter json = begin_event(out, "message_delta");
    json.key("delta");
    json.begin_object();
    write_stop(json, stop_);
    json.end_object();
    write_usage(json, end.usage);
    end_event(json, out);
    JsonWriter last = begin_event(out, "message_stop");
    end_event(last, out);
  }

 private:
  static JsonWriter begin_event(std::string& out, std::string_view name) {
    out += str("event: ", name, "\ndata: ");
    JsonWriter json(out);
    json.begin_object();
    json.member("type", name);
    return json;
  }
  static void end_event(JsonWriter& json, std::string& out) {
    json.end_object();
    out += "\n\n";
  }

  void add_part(const ReplyPart& part, std::string& out) {
    const bool is_call = part.kind == ReplyPart::Kind::kCall;
    const bool is_arguments = part.kind == ReplyPart::Kind::kArguments;
    if (is_call || !open_ || (!is_arguments && open_kind_ != part.kind)) {
      end_block(out);
      begin_block(part, out);
    }
    if (is_call || part.text.empty()) return;
    JsonWriter json = begin_event(out, "content_block_delta");
    json.member("index", block_count_ - 1);
    json.key("delta");
    json.begin_object();
    if (is_arguments) {
      json.member("type", "input_json_delta");
      json.member("partial_json", part.text);
    } else {
      const bool thinks = part.kind == ReplyPart::Kind::kReasoning;
      json.member("type", thinks ? "thinking_delta" : "text_delta");
      json.member(thinks ? "thinking" : "text", part.text);
    }
    json.end_object();
    end_event(json, out);
  }

  void begin_block(const ReplyPart& part, std::string& out) {
    open_ = true;
    open_kind_ = part.kind;
    JsonWriter json = begin_event(out, "content_block_start");
    json.member("index", block_count_++);
    json.key("content_block");
    json.begin_object();
    if (part.kind == ReplyPart::Kind::kCall) {
      json.member("type", "tool_use");
      json.member("id", part.id);
      json.member("name", part.text);
      json.key("input");
      json.begin_object();
      json.end_object();
    } else if (part.kind == ReplyPart::Kind::kReasoning) {
      json.member("type", "thinking");
      json.member("thinking", "");
      json.member("signature", "");
    } else {
      json.member("type", "text");
      json.member("text", "");
    }
    json.end_object();
    end_event(json, out);
  }

  void end_block(std::string& out) {
    if (!std::exchange(open_, false)) return;
    JsonWriter json = begin_event(out, "content_block_stop");
    json.member("index", block_count_ - 1);
    end_event(json, out);
  }

  bool open_ = false;  // a block has begun and not ended
  ReplyPart::Kind open_kind_ = ReplyPart::Kind::kText;
  int block_count_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_message(AnswerOptions options, MessageOptions message) {
  return std::make_unique<WholeMessage>(std::move(options), std::move(message));
}

std::unique_ptr<Answer> make_message_stream(AnswerOptions options, MessageOptions message) {
  return std::make_unique<MessageStream>(std::move(options), std::move(message));
}

}  // namespace inferneo::gateway::endpoints::anthropic
