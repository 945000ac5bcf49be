// chat.completion and chat.completion.chunk objects.
#include <utility>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/chat_choice.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

using request::OutputDelta;
using request::TokenLogprob;
using text::ReplyPart;

// The member logprobs: null, or {content: [...], refusal: null}.
void write_logprobs(JsonWriter& json, bool wanted, std::span<const TokenLogprob> tokens) {
  json.key("logprobs");
  if (!wanted) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("content");
  write_token_logprobs(json, tokens);
  json.member_null("refusal");
  json.end_object();
}

void write_finish(JsonWriter& json,
                  const ChatChoice& choice,
                  std::optional<request::FinishReason> reason) {
  json.key("finish_reason");
  if (reason && is_complete(*reason)) {
    json.string(choice.finish_name(*reason));
  } else {
    json.null();
  }
}

std::int32_t reasoning_tokens_of(const std::vector<ChatChoice>& choices) {
  std::int32_t sum = 0;
  for (const ChatChoice& choice : choices) sum += choice.reasoning_tokens();
  return sum;
}

// Both names that clients read it by.
void write_reasoning(JsonWriter& json, std::string_view text) {
  json.member("reasoning_content", text);
  json.member("reasoning", text);
}

class ChatAnswer final : public Answer {
 public:
  explicit ChatAnswer(AnswerOptions options) : options_(std::move(options)) {
    for (std::int32_t i = 0; i < options_.choice_count; ++i) choices_.emplace_back(options_);
  }

  void add(std::size_t, OutputDelta&& delta, std::string&) override {
    ChoiceState& state = choices_.at(static_cast<std::size_t>(delta.choice));
    parts_.clear();
    state.choice.add(delta, parts_);
    state.message.add(std::move(parts_));
    if (options_.return_token_ids) {
      state.ids.insert(state.ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    }
    std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(state.logprobs));
    if (!delta.prompt_logprobs.empty()) prompt_logprobs_ = std::move(delta.prompt_logprobs);
    if (delta.finish) state.finish = delta.finish;
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    JsonWriter json(out);
    json.begin_object();
    write_identity(json, "chat.completion", options_.identity);
    json.key("choices");
    json.begin_array();
    std::int32_t reasoning_tokens = 0;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      write_choice(json, i, choices_[i]);
      reasoning_tokens += choices_[i].choice.reasoning_tokens();
    }
    json.end_array();
    json.key("usage");
    write_usage(json, end.usage, reasoning_tokens);
    if (options_.return_timings) write_timings(json, end);
    if (options_.prompt_logprobs) write_prompt_logprobs(json, prompt_logprobs_);
    if (options_.return_token_ids) {
      write_token_ids(json, "prompt_token_ids", options_.prompts.front().ids);
    }
    json.end_object();
  }

 private:
  struct ChoiceState {
    explicit ChoiceState(const AnswerOptions& options) : choice(options) {}
    ChatChoice choice;
    ChatMessage message;
    std::vector<TokenId> ids;
    std::vector<TokenLogprob> logprobs;
    std::optional<request::FinishReason> finish;
  };

  static void write_calls(JsonWriter& json, const ChatMessage& message) {
    json.key("tool_calls");
    json.begin_array();
    for (const ChatMessage::Call& call : message.calls) {
      json.begin_object();
      json.member("id", call.id);
      json.member("type", "function");
      json.key("function");
      json.begin_object();
      json.member("name", call.name);
      json.member("arguments", call.arguments);
      json.end_object();
      json.end_object();
    }
    json.end_array();
  }

  void write_choice(JsonWriter& json, std::size_t index, const ChoiceState& state) const {
    const ChatMessage& message = state.message;
    json.begin_object();
    json.member("index", index);
    json.key("message");
    json.begin_object();
    json.member("role", "assistant");
    if (message.text.empty() && !message.calls.empty()) {
      json.member_null("content");
    } else {
      json.member("content", message.text);
    }
    json.member_null("refusal");
    if (!message.reasoning.empty()) write_reasoning(json, message.reasoning);
    if (!message.calls.empty()) write_calls(json, message);
    json.end_object();
    write_logprobs(json, options_.logprobs, state.logprobs);
    write_finish(json, state.choice, state.finish);
    if (options_.return_token_ids) write_token_ids(json, "token_ids", state.ids);
    json.end_object();
  }

  const AnswerOptions options_;
  std::vector<ChoiceState> choices_;
  std::vector<TokenLogprob> prompt_logprobs_;
  std::vector<ReplyPart> parts_;
};

class ChatStream final : public Answer {
 public:
  explicit ChatStream(AnswerOptions options)
      : options_(std::move(options)),
        identity_(identity_members("chat.completion.chunk", options_.identity)),
        usage_(options_),
        begun_(static_cast<std::size_t>(options_.choice_count)) {
    for (std::int32_t i = 0; i < options_.choice_count; ++i) choices_.emplace_back(options_);
  }

  void add(std::size_t, OutputDelta&& delta, std::string& out) override {
    usage_.count(delta);
    ChatChoice& choice = choices_.at(static_cast<std::size_t>(delta.choice));
    parts_.clear();
    choice.add(delta, parts_);
    // What tokens carry besides text goes with the first part, or alone while text is held back.
    const bool has_more =
        !delta.logprobs.empty() || (options_.return_token_ids && !delta.token_ids.empty());
    if (parts_.empty() && has_more) parts_.emplace_back();
    const bool finishes = delta.finish && is_complete(*delta.finish);
    if (parts_.empty() && !finishes) return;
    // Why with the first delta: a role sent ahead would look like a first token to those who
    // measure latency.
    if (!begun_[static_cast<std::size_t>(delta.choice)]) {
      begun_[static_cast<std::size_t>(delta.choice)] = true;
      write_chunk(out, {.delta = delta, .is_role = true});
    }
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      write_chunk(out, {.delta = delta, .part = &parts_[i], .carries_tokens = i == 0});
    }
    if (finishes) write_chunk(out, {.delta = delta, .finish = delta.finish});
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    if (options_.include_usage || options_.return_timings) {
      begin_frame(out);
      JsonWriter json(out);
      json.begin_object();
      json.members(identity_);
      json.key("choices");
      json.begin_array();
      json.end_array();
      if (options_.include_usage) {
        json.key("usage");
        write_usage(json, end.usage, reasoning_tokens_of(choices_));
      }
      if (options_.return_timings) write_timings(json, end);
      json.end_object();
      end_frame(out);
    }
    out += kDoneFrame;
  }

 private:
  struct Chunk {
    const OutputDelta& delta;
    bool is_role = false;
    const ReplyPart* part = nullptr;
    bool carries_tokens = false;
    std::optional<request::FinishReason> finish = std::nullopt;
  };

  static void write_part(JsonWriter& json, const ReplyPart& part) {
    switch (part.kind) {
      case ReplyPart::Kind::kText:
        json.member("content", part.text);
        return;
      case ReplyPart::Kind::kReasoning:
        write_reasoning(json, part.text);
        return;
      case ReplyPart::Kind::kCall:
      case ReplyPart::Kind::kArguments:
        break;
    }
    // The first delta of a call names it, later ones only carry pieces of its arguments.
    const bool is_first = part.kind == ReplyPart::Kind::kCall;
    json.key("tool_calls");
    json.begin_array();
    json.begin_object();
    json.member("index", part.call);
    if (is_first) {
      json.member("id", part.id);
      json.member("type", "function");
    }
    json.key("function");
    json.begin_object();
    if (is_first) json.member("name", part.text);
    json.member("arguments", is_first ? std::string_view() : std::string_view(part.text));
    json.end_object();
    json.end_object();
    json.end_array();
  }

  void write_chunk(std::string& out, const Chunk& chunk) {
    const OutputDelta& delta = chunk.delta;
    begin_frame(out);
    JsonWriter json(out);
    json.begin_object();
    json.members(identity_);
    json.key("choices");
    json.begin_array();
    json.begin_object();
    json.member("index", delta.choice);
    json.key("delta");
    json.begin_object();
    if (chunk.is_role) {
      json.member("role", "assistant");
      json.member("content", "");
    } else if (chunk.part != nullptr) {
      write_part(json, *chunk.part);
    }
    json.end_object();
    write_logprobs(json, options_.logprobs && chunk.carries_tokens, delta.logprobs);
    write_finish(json, choices_[static_cast<std::size_t>(delta.choice)], chunk.finish);
    if (options_.return_token_ids && chunk.carries_tokens) {
      write_token_ids(json, "token_ids", delta.token_ids);
    }
    json.end_object();
    json.end_array();
    usage_.write(json, options_);
    if (options_.return_token_ids && chunk.is_role) {
      write_token_ids(json, "prompt_token_ids", options_.prompts.front().ids);
    }
    json.end_object();
    end_frame(out);
  }

  const AnswerOptions options_;
  const std::string identity_;  // members that begin every chunk
  UsageCounter usage_;
  std::vector<ChatChoice> choices_;
  std::vector<bool> begun_;
  std::vector<ReplyPart> parts_;
};

}  // namespace

std::unique_ptr<Answer> make_chat_answer(AnswerOptions options) {
  return std::make_unique<ChatAnswer>(std::move(options));
}

std::unique_ptr<Answer> make_chat_stream(AnswerOptions options) {
  return std::make_unique<ChatStream>(std::move(options));
}

}  // namespace inferneo::gateway::endpoints
