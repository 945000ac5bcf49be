// text_completion objects, whole and streamed.
#include <utility>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/completion_logprobs.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

using request::OutputDelta;
using request::TokenLogprob;

std::size_t choice_index(const AnswerOptions& options, std::size_t prompt, std::int32_t choice) {
  return prompt * static_cast<std::size_t>(options.choice_count) + static_cast<std::size_t>(choice);
}

std::size_t choices_of(const AnswerOptions& options) {
  return options.prompts.size() * static_cast<std::size_t>(options.choice_count);
}

class CompletionAnswer final : public Answer {
 public:
  explicit CompletionAnswer(AnswerOptions options)
      : options_(std::move(options)),
        choices_(choices_of(options_)),
        prompt_logprobs_(options_.prompts.size()) {}

  void add(std::size_t prompt, OutputDelta&& delta, std::string&) override {
    Choice& choice = choices_.at(choice_index(options_, prompt, delta.choice));
    choice.text += delta.text;
    if (options_.return_token_ids) {
      choice.ids.insert(choice.ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    }
    std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(choice.logprobs));
    if (!delta.prompt_logprobs.empty()) {
      prompt_logprobs_.at(prompt) = std::move(delta.prompt_logprobs);
    }
    if (delta.finish) choice.finish = delta.finish;
  }

  void finish(const AnswerEnd& end, std::string& out) override {
    JsonWriter json(out);
    json.begin_object();
    write_identity(json, "text_completion", options_.identity);
    json.key("choices");
    json.begin_array();
    for (std::size_t i = 0; i < choices_.size(); ++i) write_choice(json, i);
    json.end_array();
    json.key("usage");
    write_usage(json, end.usage);
    if (options_.return_timings) write_timings(json, end);
    json.end_object();
  }

 private:
  struct Choice {
    std::string text;
    std::vector<TokenId> ids;
    std::vector<TokenLogprob> logprobs;
    std::optional<request::FinishReason> finish;
  };

  void write_choice(JsonWriter& json, std::size_t index) const {
    const Choice& choice = choices_[index];
    const std::size_t prompt_index = index / static_cast<std::size_t>(options_.choice_count);
    const AnswerPrompt& prompt = options_.prompts[prompt_index];
    const std::vector<TokenLogprob>& prompt_logprobs = prompt_logprobs_[prompt_index];
    json.begin_object();
    json.member("index", index);
    json.member("text", options_.echo ? prompt.text + choice.text : choice.text);
    json.key("logprobs");
    if (options_.logprobs) {
      TextPlaces places(options_);
      write_completion_logprobs(
          json,
          places,
          prompt.text,
          options_.echo ? std::span(prompt_logprobs) : std::span<const TokenLogprob>(),
          choice.logprobs);
    } else {
      json.null();
    }
    write_finish_reason(json, choice.finish);
    if (options_.prompt_logprobs) write_prompt_logprobs(json, prompt_logprobs);
    if (options_.return_token_ids) {
      write_token_ids(json, "token_ids", choice.ids);
      write_token_ids(json, "prompt_token_ids", prompt.ids);
    }
    json.end_object();
  }

  const AnswerOptions options_;
  std::vector<Choice> choices_;
  std::vector<std::vector<TokenLogprob>> prompt_logprobs_;
};

class CompletionStream final : public Answer {
 public:
  explicit CompletionStream(AnswerOptions options)
      : options_(std::move(options)),
        identity_(identity_members("text_completion", options_.identity)),
        usage_(options_),
        prompts_(options_.prompts.size()),
        begun_(choices_of(options_)),
        places_(choices_of(options_), TextPlaces(options_)) {}

  void add(std::size_t prompt, OutputDelta&& delta, std::string& out) override {
    PromptState& state = prompts_.at(prompt);
    if (!delta.prompt_logprobs.empty()) state.logprobs = std::move(delta.prompt_logprobs);
    // The prompt's log probabilities come with the first delta of choice 0, and every choice that
    // echoes begins with them.
    if (options_.echo && options_.logprobs && state.logprobs.empty()) {
      state.held.push_back(std::move(delta));
      return;
    }
    write_delta(prompt, delta, out);
    for (const OutputDelta& held : std::exchange(state.held, {})) write_delta(prompt, held, out);
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
        write_usage(json, end.usage);
      }
      if (options_.return_timings) write_timings(json, end);
      json.end_object();
      end_frame(out);
    }
    out += kDoneFrame;
  }

 private:
  struct PromptState {
    std::vector<TokenLogprob> logprobs;
    std::vector<OutputDelta> held;
  };

  void write_delta(std::size_t prompt, const OutputDelta& delta, std::string& out) {
    usage_.count(delta);
    const std::size_t index = choice_index(options_, prompt, delta.choice);
    const bool finishes = delta.finish && is_complete(*delta.finish);
    const bool has_content = !delta.text.empty() || !delta.logprobs.empty() ||
                             (options_.return_token_ids && !delta.token_ids.empty());
    if (!has_content && !finishes) return;
    const bool first = !begun_.at(index);
    begun_[index] = true;
    if (first && options_.echo) write_echo(out, index, prompt);
    write_chunk(out, index, prompt, delta, first);
  }

  void write_echo(std::string& out, std::size_t index, std::size_t prompt) {
    OutputDelta echo;
    write_frame(
        out, index, options_.prompts[prompt].text, prompts_[prompt].logprobs, echo, prompt, false);
  }

  void write_chunk(std::string& out,
                   std::size_t index,
                   std::size_t prompt,
                   const OutputDelta& delta,
                   bool first) {
    write_frame(out, index, delta.text, {}, delta, prompt, first);
  }

  void write_frame(std::string& out,
                   std::size_t index,
                   std::string_view text,
                   std::span<const TokenLogprob> prompt_logprobs,
                   const OutputDelta& delta,
                   std::size_t prompt,
                   bool first) {
    begin_frame(out);
    JsonWriter json(out);
    json.begin_object();
    json.members(identity_);
    json.key("choices");
    json.begin_array();
    json.begin_object();
    json.member("index", index);
    json.member("text", text);
    json.key("logprobs");
    if (options_.logprobs) {
      write_completion_logprobs(
          json, places_[index], options_.prompts[prompt].text, prompt_logprobs, delta.logprobs);
    } else {
      json.null();
    }
    write_finish_reason(json, delta.finish);
    if (options_.return_token_ids) {
      write_token_ids(json, "token_ids", delta.token_ids);
      if (first) write_token_ids(json, "prompt_token_ids", options_.prompts[prompt].ids);
    }
    json.end_object();
    json.end_array();
    usage_.write(json, options_);
    json.end_object();
    end_frame(out);
  }

  const AnswerOptions options_;
  const std::string identity_;  // members that begin every chunk
  UsageCounter usage_;
  std::vector<PromptState> prompts_;
  std::vector<bool> begun_;
  std::vector<TextPlaces> places_;
};

}  // namespace

std::unique_ptr<Answer> make_completion_answer(AnswerOptions options) {
  return std::make_unique<CompletionAnswer>(std::move(options));
}

std::unique_ptr<Answer> make_completion_stream(AnswerOptions options) {
  return std::make_unique<CompletionStream>(std::move(options));
}

}  // namespace inferneo::gateway::endpoints
