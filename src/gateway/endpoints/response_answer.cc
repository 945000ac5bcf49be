#include "gateway/endpoints/response_answer.h"

#include <chrono>
#include <optional>
#include <utility>

#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/chat_choice.h"
#include "gateway/endpoints/response_output.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// A member of the response that repeats the request, or what counts without it.
void repeat(JsonWriter& json,
            const Value& repeated,
            std::string_view name,
            std::string_view otherwise) {
  json.key(name);
  const Value* given = repeated.find(name);
  json.members(given != nullptr && !given->is_null() ? text::to_json(*given)
                                                     : std::string(otherwise));
}

void write_usage_of_response(JsonWriter& json,
                             const request::Usage& usage,
                             std::int32_t reasoning_tokens) {
  json.begin_object();
  json.member("input_tokens", usage.prompt_tokens);
  json.key("input_tokens_details");
  json.begin_object();
  json.member("cached_tokens", usage.cached_prompt_tokens);
  json.member("cache_write_tokens", 0);
  json.end_object();
  json.member("output_tokens", usage.completion_tokens);
  json.key("output_tokens_details");
  json.begin_object();
  json.member("reasoning_tokens", reasoning_tokens);
  json.end_object();
  json.member("total_tokens", usage.prompt_tokens + usage.completion_tokens);
  json.end_object();
}

struct State {
  std::string_view status;
  const ResponseOutput* output = nullptr;
  const AnswerEnd* end = nullptr;
  std::int32_t reasoning_tokens = 0;
  bool is_cut = false;  // max_output_tokens
  bool with_timings = false;
  const Status* failure = nullptr;
};

std::string_view failure_code(const Status& status) {
  return http::http_status(status.code()) == 400 ? "invalid_prompt" : "server_error";
}

void write_response(JsonWriter& json, const ResponseFrame& frame, const State& state) {
  json.begin_object();
  json.members(frame.members);
  json.member("status", state.status);
  json.key("error");
  if (state.failure != nullptr) {
    json.begin_object();
    json.member("code", failure_code(*state.failure));
    // As the other endpoints word it: no details of our own faults.
    const Value error = text::parse_json(http::error_json(*state.failure)).value();
    json.member("message", *error.find("error")->find("message")->as_string());
    json.end_object();
  } else {
    json.null();
  }
  json.key("incomplete_details");
  if (state.is_cut) {
    json.begin_object();
    json.member("reason", "max_output_tokens");
    json.end_object();
  } else {
    json.null();
  }
  json.key("output");
  if (state.output != nullptr) {
    state.output->write(json);
  } else {
    json.begin_array();
    json.end_array();
  }
  json.key("completed_at");
  if (state.status == "completed") {
    json.integer(unix_seconds());
  } else {
    json.null();
  }
  json.key("usage");
  if (state.end != nullptr) {
    write_usage_of_response(json, state.end->usage, state.reasoning_tokens);
    if (state.with_timings) write_timings(json, *state.end);
  } else {
    json.null();
  }
  json.end_object();
}

// What the whole and the streamed response share.
class ResponseAnswer : public Answer {
 public:
  ResponseAnswer(AnswerOptions options, ResponseFrame frame, bool is_stream)
      : options_(std::move(options)),
        frame_(std::move(frame)),
        is_stream_(is_stream),
        choice_(options_),
        output_(is_stream ? &events_ : nullptr) {}

  void begin(std::string& out) override {
    for (const char* type : {"response.created", "response.in_progress"}) {
      JsonWriter json = events_.begin(out, type);
      json.key("response");
      write_response(json, frame_, {.status = "in_progress"});
      ResponseEvents::end(json, out);
    }
  }

  void add(std::size_t, request::OutputDelta&& delta, std::string& out) override {
    parts_.clear();
    choice_.add(delta, parts_);
    output_.add(parts_, std::move(delta.logprobs), out);
    if (delta.finish) finish_ = delta.finish;
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    const bool is_cut = finish_ == request::FinishReason::kLength;
    output_.finish(!is_cut, out);
    const State state{.status = is_cut ? "incomplete" : "completed",
                      .output = &output_,
                      .end = &end,
                      .reasoning_tokens = choice_.reasoning_tokens(),
                      .is_cut = is_cut,
                      .with_timings = options_.return_timings};
    end_with(is_cut ? "response.incomplete" : "response.completed", state, out);
    keep(state);
  }

  void fail(const Status& status, std::string& out) override {
    const State state{.status = "failed", .output = &output_, .failure = &status};
    end_with("response.failed", state, out);
    keep(state);
  }

  http::Response refuse(const Status& status) override {
    if (frame_.in_background) keep({.status = "failed", .failure = &status});
    return Answer::refuse(status);
  }

 private:
  void end_with(std::string_view type, const State& state, std::string& out) {
    if (!is_stream_) {
      JsonWriter json(out);
      write_response(json, frame_, state);
      return;
    }
    JsonWriter json = events_.begin(out, type);
    json.key("response");
    write_response(json, frame_, state);
    ResponseEvents::end(json, out);
  }

  void keep(const State& state) {
    if (frame_.store == nullptr) return;
    StoredResponse stored;
    stored.id = frame_.id;
    JsonWriter json(stored.body);
    write_response(json, frame_, state);
    stored.input_items = std::move(frame_.input_items);
    stored.input_item_ids = std::move(frame_.input_item_ids);
    stored.in_background = frame_.in_background;
    Value::List messages = std::move(frame_.input_messages);
    append_message(messages, output_.message());
    stored.turn = std::make_shared<ResponseTurn>(std::move(frame_.before), std::move(messages));
    frame_.store->put(std::move(stored), frame_.is_stored);
  }

  const AnswerOptions options_;
  ResponseFrame frame_;
  const bool is_stream_;
  ChatChoice choice_;
  ResponseEvents events_;
  ResponseOutput output_;
  std::optional<request::FinishReason> finish_;
  std::vector<text::ReplyPart> parts_;
};

}  // namespace

ResponseFrame make_response_frame(const ResponseRequest& request,
                                  const AnswerIdentity& identity,
                                  const request::SamplingParams& sampling) {
  ResponseFrame frame;
  frame.id = identity.id;
  frame.input_messages = request.input.messages;
  for (const Value& item : request.input.items) {
    frame.input_items.push_back(text::to_json(item));
    frame.input_item_ids.push_back(*item.find("id")->as_string());
  }
  frame.is_stored = request.store;
  frame.in_background = request.background;
  const Value& repeated = request.repeated;
  JsonWriter json(frame.members);
  json.member("id", identity.id);
  json.member("object", "response");
  json.member("created_at", identity.created_unix_seconds);
  json.member("model", identity.model);
  repeat(json, repeated, "background", "false");
  repeat(json, repeated, "instructions", "null");
  repeat(json, repeated, "max_output_tokens", "null");
  repeat(json, repeated, "max_tool_calls", "null");
  repeat(json, repeated, "metadata", "{}");
  repeat(json, repeated, "parallel_tool_calls", "true");
  repeat(json, repeated, "previous_response_id", "null");
  repeat(json, repeated, "prompt_cache_key", "null");
  repeat(json, repeated, "reasoning", R"({"effort":null,"summary":null})");
  repeat(json, repeated, "safety_identifier", "null");
  repeat(json, repeated, "service_tier", "\"default\"");
  repeat(json, repeated, "store", "true");
  repeat(json, repeated, "text", R"({"format":{"type":"text"}})");
  repeat(json, repeated, "tool_choice", "\"auto\"");
  repeat(json, repeated, "tools", "[]");
  repeat(json, repeated, "top_logprobs", "0");
  repeat(json, repeated, "truncation", "\"disabled\"");
  repeat(json, repeated, "user", "null");
  json.key("temperature");
  json.number(sampling.temperature);
  json.key("top_p");
  json.number(sampling.top_p);
  json.key("presence_penalty");
  json.number(sampling.presence_penalty);
  json.key("frequency_penalty");
  json.number(sampling.frequency_penalty);
  return frame;
}

std::string empty_response(const ResponseFrame& frame, std::string_view status) {
  std::string body;
  JsonWriter json(body);
  write_response(json, frame, {.status = status});
  return body;
}

StoredResponse unfinished_response(const ResponseFrame& frame, std::string_view status) {
  StoredResponse stored;
  stored.id = frame.id;
  stored.body = empty_response(frame, status);
  stored.input_items = frame.input_items;
  stored.input_item_ids = frame.input_item_ids;
  stored.in_background = frame.in_background;
  stored.is_final = false;
  return stored;
}

std::unique_ptr<Answer> make_response_answer(AnswerOptions options, ResponseFrame frame) {
  return std::make_unique<ResponseAnswer>(std::move(options), std::move(frame), false);
}

std::unique_ptr<Answer> make_response_stream(AnswerOptions options, ResponseFrame frame) {
  return std::make_unique<ResponseAnswer>(std::move(options), std::move(frame), true);
}

}  // namespace inferneo::gateway::endpoints
