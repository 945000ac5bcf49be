// The log probabilities of a text completion: four parallel lists, with the place of every token in
// the choice's text.
// Thread: one owner.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/json_writer.h"
#include "request/output.h"

namespace inferneo::gateway::endpoints {

// Counts characters (code points) of one choice's text, token by token, with U+FFFD for what is no
// character, as the text has it. A token that begins inside a character has the place after that
// character's start; a token without text adds nothing.
class TextPlaces {
 public:
  explicit TextPlaces(const AnswerOptions& options) : options_(&options) {}

  // The place of the next token of the prompt whose text is `prompt`, and steps over it.
  std::size_t next_of_prompt(std::string_view prompt, const request::TokenLogprob& token);
  std::size_t next_of_output(const request::TokenLogprob& token);

 private:
  std::size_t step(std::string_view bytes);

  const AnswerOptions* options_;
  std::size_t characters_ = 0;
  std::string unfinished_;  // bytes of a character that further tokens may complete
  std::size_t prompt_bytes_ = 0;
};

// The member logprobs of a choice: tokens, token_logprobs, top_logprobs, text_offset.
void write_completion_logprobs(JsonWriter& json,
                               TextPlaces& places,
                               std::string_view prompt_text,
                               std::span<const request::TokenLogprob> prompt,
                               std::span<const request::TokenLogprob> output);

}  // namespace inferneo::gateway::endpoints
