// The answer to a generation request as it grows: deltas of the choices go in, bytes to send come
// out. A streamed answer gives frames at once, a whole one gives its body at the end. Knows the
// shapes of one protocol, and neither sockets nor the engine: every dialect brings its own.
// Spec: OpenAI API reference, chat.completion(.chunk) and text_completion objects.
// Thread: one at a time (the owner locks). Ownership: by value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/http/message.h"
#include "request/output.h"
#include "request/token.h"
#include "text/reply.h"
#include "text/tokenizer.h"

namespace inferneo::gateway::endpoints {

// The same on every chunk of a stream.
struct AnswerIdentity {
  std::string id;
  std::int64_t created_unix_seconds = 0;
  std::string model;
  std::string fingerprint;
};

struct AnswerPrompt {
  std::string text;  // what echo repeats
  std::vector<TokenId> ids;
};

struct AnswerOptions {
  AnswerIdentity identity;
  std::vector<AnswerPrompt> prompts;
  std::int32_t choice_count = 1;  // per prompt; choice c of prompt p has the index p*n + c
  bool logprobs = false;
  bool prompt_logprobs = false;
  bool echo = false;
  bool return_token_ids = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool return_timings = false;
  bool include_reasoning = true;  // false: reasoning is split off and dropped
  bool skip_special_tokens = true;
  text::ReplyOptions reply;  // how to take a choice's text apart
  // What names the calls of tools that have no id of the model's.
  std::string_view call_id_prefix = "call_";
  std::size_t call_id_size = 24;
  const text::Tokenizer* tokenizer = nullptr;  // may be null; must outlive the answer
};

// What is known when all choices have ended.
struct AnswerEnd {
  request::Usage usage;           // summed over the prompts
  request::RequestTiming timing;  // of the slowest prompt
};

class Answer {
 public:
  virtual ~Answer() = default;
  // The stream opens, before anything was generated. Appends what can be sent now.
  virtual void begin(std::string& /*out*/) {}
  // Takes a delta of one prompt's choices and appends what can be sent now.
  virtual void add(std::size_t prompt, request::OutputDelta&& delta, std::string& out) = 0;
  // All choices have ended well. Appends the rest.
  virtual void finish(const AnswerEnd& end, std::string& out) = 0;
  // The request failed within the stream, which ends behind what is appended here. Without it:
  // "data: {"error":{...}}".
  virtual void fail(const Status& status, std::string& out);
  // The answer to a request that failed before anything was sent.
  virtual http::Response refuse(const Status& status);
  [[nodiscard]] virtual std::string_view stream_content_type() const { return "text/event-stream"; }
  // Keeps a quiet stream alive; empty for formats that have no such thing.
  [[nodiscard]] virtual std::string_view ping() const { return ": ping\n\n"; }
};

// "chat.completion": one prompt.
std::unique_ptr<Answer> make_chat_answer(AnswerOptions options);
std::unique_ptr<Answer> make_chat_stream(AnswerOptions options);
// "text_completion": any number of prompts.
std::unique_ptr<Answer> make_completion_answer(AnswerOptions options);
std::unique_ptr<Answer> make_completion_stream(AnswerOptions options);

}  // namespace inferneo::gateway::endpoints
