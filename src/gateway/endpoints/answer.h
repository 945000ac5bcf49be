// The answer to a generation request as it grows: deltas of the choices go in, bytes to send come
// out. A streamed answer gives frames at once, a whole one gives its body at the end. Knows the
// shapes of the protocol, and neither sockets nor the engine.
// Spec: OpenAI API reference, chat.completion(.chunk) and text_completion objects.
// Thread: one at a time (the owner locks). Ownership: by value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "request/output.h"
#include "request/token.h"
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
  bool skip_special_tokens = true;
  const text::Tokenizer* tokenizer = nullptr;  // may be null; must outlive the answer
};

class Answer {
 public:
  virtual ~Answer() = default;
  // Takes a delta of one prompt's choices and appends what can be sent now.
  virtual void add(std::size_t prompt, request::OutputDelta&& delta, std::string& out) = 0;
  // All choices have ended; `usage` is summed over the prompts. Appends the rest.
  virtual void finish(const request::Usage& usage, std::string& out) = 0;
};

// "chat.completion": one prompt.
std::unique_ptr<Answer> make_chat_answer(AnswerOptions options);
std::unique_ptr<Answer> make_chat_stream(AnswerOptions options);
// "text_completion": any number of prompts.
std::unique_ptr<Answer> make_completion_answer(AnswerOptions options);
std::unique_ptr<Answer> make_completion_stream(AnswerOptions options);

}  // namespace inferneo::gateway::endpoints
