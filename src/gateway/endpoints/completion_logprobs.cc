#include "gateway/endpoints/completion_logprobs.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "gateway/endpoints/answer_json.h"

namespace inferneo::gateway::endpoints {
namespace {

using request::TokenLogprob;

// A token as a name. Bytes that are no characters are spelled out, so that two such tokens of one
// list keep different names.
std::string token_text(std::string_view bytes) {
  if (utf8::is_valid(bytes)) return std::string(bytes);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
  return out;
}

// The likeliest tokens and, when it is not among them, the chosen one.
void write_alternatives(JsonWriter& json, const TokenLogprob& token) {
  if (!token.logprob) {
    json.null();
    return;
  }
  std::vector<std::string> written;
  const auto write = [&](std::string_view bytes, float logprob) {
    std::string text = token_text(bytes);
    if (std::find(written.begin(), written.end(), text) != written.end()) return;
    json.key(text);
    json.number(finite_logprob(logprob));
    written.push_back(std::move(text));
  };
  json.begin_object();
  for (const request::TokenAlternative& other : token.top) write(other.bytes, other.logprob);
  write(token.bytes, *token.logprob);
  json.end_object();
}

template <typename Write>
void write_list(JsonWriter& json,
                std::string_view name,
                std::span<const TokenLogprob> prompt,
                std::span<const TokenLogprob> output,
                Write write) {
  json.key(name);
  json.begin_array();
  for (const TokenLogprob& token : prompt) write(token, true);
  for (const TokenLogprob& token : output) write(token, false);
  json.end_array();
}

}  // namespace

std::size_t TextPlaces::step(std::string_view bytes) {
  const std::size_t place = characters_ + (unfinished_.empty() ? 0 : 1);
  unfinished_ += bytes;
  const std::size_t complete = utf8::complete_prefix_size(unfinished_);
  for (std::size_t at = 0; at < complete; ++characters_) at += utf8::decode(unfinished_, at).size;
  unfinished_.erase(0, complete);
  return place;
}

std::size_t TextPlaces::next_of_prompt(std::string_view prompt, const TokenLogprob& token) {
  const std::string_view rest = prompt.substr(std::min(prompt_bytes_, prompt.size()));
  std::string_view bytes = token.bytes;
  // A SentencePiece token may begin with a space that the text does not have, and a start token
  // that the tokenizer added is no part of the text.
  if (!rest.starts_with(bytes) && bytes.starts_with(' ')) bytes.remove_prefix(1);
  if (!rest.starts_with(bytes)) return characters_;
  prompt_bytes_ += bytes.size();
  return step(bytes);
}

std::size_t TextPlaces::next_of_output(const TokenLogprob& token) {
  const bool hidden = options_->skip_special_tokens && options_->tokenizer != nullptr &&
                      options_->tokenizer->is_special(token.id);
  return hidden ? characters_ : step(token.bytes);
}

void write_completion_logprobs(JsonWriter& json,
                               TextPlaces& places,
                               std::string_view prompt_text,
                               std::span<const TokenLogprob> prompt,
                               std::span<const TokenLogprob> output) {
  json.begin_object();
  write_list(json, "tokens", prompt, output, [&](const TokenLogprob& token, bool) {
    json.string(token_text(token.bytes));
  });
  write_list(json, "token_logprobs", prompt, output, [&](const TokenLogprob& token, bool) {
    if (token.logprob) {
      json.number(finite_logprob(*token.logprob));
    } else {
      json.null();
    }
  });
  write_list(json, "top_logprobs", prompt, output, [&](const TokenLogprob& token, bool) {
    write_alternatives(json, token);
  });
  write_list(json, "text_offset", prompt, output, [&](const TokenLogprob& token, bool of_prompt) {
    json.integer(of_prompt ? places.next_of_prompt(prompt_text, token)
                           : places.next_of_output(token));
  });
  json.end_object();
}

}  // namespace inferneo::gateway::endpoints
