// chat.completion and chat.completion.chunk objects.
#include <utility>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

using request::OutputDelta;
using request::TokenLogprob;

void write_token(JsonWriter& json, float logprob, std::string_view bytes) {
  json.member("token", bytes);
  json.key("logprob");
  json.number(finite_logprob(logprob));
  json.key("bytes");
  json.begin_array();
  for (const char byte : bytes) json.integer(int{static_cast<unsigned char>(byte)});
  json.end_array();
}

// The member logprobs: null, or {content: [...], refusal: null}.
void write_logprobs(JsonWriter& json, bool wanted, std::span<const TokenLogprob> tokens) {
  json.key("logprobs");
  if (!wanted) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("content");
  json.begin_array();
  for (const TokenLogprob& token : tokens) {
    json.begin_object();
    write_token(json, token.logprob.value_or(0), token.bytes);
    json.key("top_logprobs");
    json.begin_array();
    for (const request::TokenAlternative& other : token.top) {
      json.begin_object();
      write_token(json, other.logprob, other.bytes);
      json.end_object();
    }
    json.end_array();
    json.end_object();
  }
  json.end_array();
  json.member_null("refusal");
  json.end_object();
}

class ChatAnswer final : public Answer {
 public:
  explicit ChatAnswer(AnswerOptions options)
      : options_(std::move(options)), choices_(static_cast<std::size_t>(options_.choice_count)) {}

  void add(std::size_t, OutputDelta&& delta, std::string&) override {
    Choice& choice = choices_.at(static_cast<std::size_t>(delta.choice));
    choice.text += delta.text;
    if (options_.return_token_ids) {
      choice.ids.insert(choice.ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    }
    std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(choice.logprobs));
    if (!delta.prompt_logprobs.empty()) prompt_logprobs_ = std::move(delta.prompt_logprobs);
    if (delta.finish) choice.finish = delta.finish;
  }

  void finish(const request::Usage& usage, std::string& out) override {
    JsonWriter json(out);
    json.begin_object();
    write_identity(json, "chat.completion", options_.identity);
    json.key("choices");
    json.begin_array();
    for (std::size_t i = 0; i < choices_.size(); ++i) write_choice(json, i, choices_[i]);
    json.end_array();
    json.key("usage");
    write_usage(json, usage);
    if (options_.prompt_logprobs) write_prompt_logprobs(json, prompt_logprobs_);
    if (options_.return_token_ids) {
      write_token_ids(json, "prompt_token_ids", options_.prompts.front().ids);
    }
    json.end_object();
  }

 private:
  struct Choice {
    std::string text;
    std::vector<TokenId> ids;
    std::vector<TokenLogprob> logprobs;
    std::optional<request::FinishReason> finish;
  };

  void write_choice(JsonWriter& json, std::size_t index, const Choice& choice) const {
    json.begin_object();
    json.member("index", index);
    json.key("message");
    json.begin_object();
    json.member("role", "assistant");
    json.member("content", choice.text);
    json.member_null("refusal");
    json.end_object();
    write_logprobs(json, options_.logprobs, choice.logprobs);
    write_finish_reason(json, choice.finish);
    if (options_.return_token_ids) write_token_ids(json, "token_ids", choice.ids);
    json.end_object();
  }

  const AnswerOptions options_;
  std::vector<Choice> choices_;
  std::vector<TokenLogprob> prompt_logprobs_;
};

class ChatStream final : public Answer {
 public:
  explicit ChatStream(AnswerOptions options)
      : options_(std::move(options)),
        identity_(identity_members("chat.completion.chunk", options_.identity)),
        usage_(options_),
        begun_(static_cast<std::size_t>(options_.choice_count)) {}

  void add(std::size_t, OutputDelta&& delta, std::string& out) override {
    usage_.count(delta);
    const bool has_content = !delta.text.empty() || !delta.logprobs.empty() ||
                             (options_.return_token_ids && !delta.token_ids.empty());
    const bool finishes = delta.finish && is_complete(*delta.finish);
    if (!has_content && !finishes) return;
    // Why with the first delta: a role sent ahead would look like a first token to those who
    // measure latency.
    if (!begun_.at(static_cast<std::size_t>(delta.choice))) {
      begun_[static_cast<std::size_t>(delta.choice)] = true;
      write_chunk(out, Part::kRole, delta);
    }
    if (has_content) write_chunk(out, Part::kContent, delta);
    if (finishes) write_chunk(out, Part::kFinish, delta);
  }

  void finish(const request::Usage& usage, std::string& out) override {
    if (options_.include_usage) {
      begin_frame(out);
      JsonWriter json(out);
      json.begin_object();
      json.members(identity_);
      json.key("choices");
      json.begin_array();
      json.end_array();
      json.key("usage");
      write_usage(json, usage);
      json.end_object();
      end_frame(out);
    }
    out += kDoneFrame;
  }

 private:
  enum class Part { kRole, kContent, kFinish };

  void write_chunk(std::string& out, Part part, const OutputDelta& delta) {
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
    if (part == Part::kRole) {
      json.member("role", "assistant");
      json.member("content", "");
    } else if (part == Part::kContent) {
      json.member("content", delta.text);
    }
    json.end_object();
    write_logprobs(json, options_.logprobs && part == Part::kContent, delta.logprobs);
    write_finish_reason(json, part == Part::kFinish ? delta.finish : std::nullopt);
    if (options_.return_token_ids && part == Part::kContent) {
      write_token_ids(json, "token_ids", delta.token_ids);
    }
    json.end_object();
    json.end_array();
    usage_.write(json, options_);
    if (options_.return_token_ids && part == Part::kRole) {
      write_token_ids(json, "prompt_token_ids", options_.prompts.front().ids);
    }
    json.end_object();
    end_frame(out);
  }

  const AnswerOptions options_;
  const std::string identity_;  // members that begin every chunk
  UsageCounter usage_;
  std::vector<bool> begun_;
};

}  // namespace

std::unique_ptr<Answer> make_chat_answer(AnswerOptions options) {
  return std::make_unique<ChatAnswer>(std::move(options));
}

std::unique_ptr<Answer> make_chat_stream(AnswerOptions options) {
  return std::make_unique<ChatStream>(std::move(options));
}

}  // namespace inferneo::gateway::endpoints
