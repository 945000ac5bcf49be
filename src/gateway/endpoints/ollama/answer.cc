#include "gateway/endpoints/ollama/answer.h"

#include <algorithm>
#include <utility>

#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/chat_choice.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints::ollama {
namespace {

using request::OutputDelta;
using text::ReplyPart;

void write_head(JsonWriter& json, std::string_view model) {
  json.member("model", model);
  json.member("created_at", timestamp_now());
}

void write_call(JsonWriter& json, const ChatMessage::Call& call) {
  json.begin_object();
  json.key("function");
  json.begin_object();
  json.member("name", call.name);
  json.key("arguments");
  // Arguments that are no object, which an unconstrained model may write, are told as they are.
  if (parse_json_object(call.arguments).has_value()) {
    json.members(call.arguments);
  } else {
    json.begin_object();
    json.member("unparsed", call.arguments);
    json.end_object();
  }
  json.end_object();
  json.end_object();
}

void write_message(JsonWriter& json, AnswerKind kind, const ChatMessage& message) {
  if (kind == AnswerKind::kGenerate) {
    json.member("response", message.text);
    if (!message.reasoning.empty()) json.member("thinking", message.reasoning);
    return;
  }
  json.key("message");
  json.begin_object();
  json.member("role", "assistant");
  json.member("content", message.text);
  if (!message.reasoning.empty()) json.member("thinking", message.reasoning);
  if (!message.calls.empty()) {
    json.key("tool_calls");
    json.begin_array();
    for (const ChatMessage::Call& call : message.calls) write_call(json, call);
    json.end_array();
  }
  json.end_object();
}

std::int64_t nanoseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

// What is not known apart: the time before the first step counts as loading.
void write_durations(JsonWriter& json, const AnswerEnd& end) {
  const request::RequestTiming& timing = end.timing;
  const Duration prompt = std::max(timing.first_token - timing.queued, Duration::zero());
  json.member("total_duration", nanoseconds(timing.total));
  json.member("load_duration", nanoseconds(timing.queued));
  json.member("prompt_eval_count", end.usage.prompt_tokens);
  json.member("prompt_eval_duration", nanoseconds(prompt));
  json.member("eval_count", end.usage.completion_tokens);
  json.member("eval_duration",
              nanoseconds(std::max(timing.total - timing.first_token, Duration::zero())));
}

class OllamaAnswer final : public Answer {
 public:
  OllamaAnswer(AnswerOptions options, AnswerKind kind, bool stream)
      : options_(std::move(options)), kind_(kind), stream_(stream), choice_(options_) {}

  void add(std::size_t, OutputDelta&& delta, std::string& out) override {
    parts_.clear();
    choice_.add(delta, parts_);
    if (delta.finish) finish_ = delta.finish;
    if (!stream_) {
      message_.add(std::move(parts_));
      parts_.clear();
      return;
    }
    for (ReplyPart& part : parts_) add_part(std::move(part), out);
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    if (stream_) end_call(out);
    JsonWriter json(out);
    json.begin_object();
    write_head(json, options_.identity.model);
    write_message(json, kind_, message_);
    json.key("done");
    json.boolean(true);
    json.member("done_reason", finish_reason_name(finish_.value_or(request::FinishReason::kStop)));
    write_durations(json, end);
    json.end_object();
    if (stream_) out += '\n';
  }

  void fail(const Status& status, std::string& out) override { out += error_json(status) + '\n'; }
  http::Response refuse(const Status& status) override { return error_response(status); }
  [[nodiscard]] std::string_view stream_content_type() const override {
    return "application/x-ndjson";
  }
  // Lines of JSON have no comments.
  [[nodiscard]] std::string_view ping() const override { return {}; }

 private:
  // A call is told at once, when all of its arguments are there.
  void add_part(ReplyPart&& part, std::string& out) {
    const bool is_call = part.kind == ReplyPart::Kind::kCall;
    if (is_call || part.kind != ReplyPart::Kind::kArguments) end_call(out);
    if (is_call || part.kind == ReplyPart::Kind::kArguments) {
      std::vector<ReplyPart> parts;
      parts.push_back(std::move(part));
      call_.add(std::move(parts));
      return;
    }
    ChatMessage piece;
    (part.kind == ReplyPart::Kind::kReasoning ? piece.reasoning : piece.text) =
        std::move(part.text);
    write_line(piece, out);
  }

  void end_call(std::string& out) {
    if (call_.calls.empty()) return;
    write_line(call_, out);
    call_ = {};
  }

  void write_line(const ChatMessage& piece, std::string& out) const {
    JsonWriter json(out);
    json.begin_object();
    write_head(json, options_.identity.model);
    write_message(json, kind_, piece);
    json.key("done");
    json.boolean(false);
    json.end_object();
    out += '\n';
  }

  const AnswerOptions options_;
  const AnswerKind kind_;
  const bool stream_;
  ChatChoice choice_;
  std::vector<ReplyPart> parts_;
  ChatMessage message_;  // of a whole answer
  ChatMessage call_;     // of a stream: the call whose arguments are still coming
  std::optional<request::FinishReason> finish_;
};

}  // namespace

std::unique_ptr<Answer> make_answer(AnswerOptions options, AnswerKind kind, bool stream) {
  return std::make_unique<OllamaAnswer>(std::move(options), kind, stream);
}

std::string load_answer(AnswerKind kind, std::string_view model, std::string_view done_reason) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  write_head(json, model);
  write_message(json, kind, {});
  json.key("done");
  json.boolean(true);
  json.member("done_reason", done_reason);
  json.end_object();
  return out;
}

}  // namespace inferneo::gateway::endpoints::ollama
