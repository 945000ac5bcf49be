#include "gateway/endpoints/answer_json.h"

#include "base/clock.h"
#include "base/str.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::endpoints {
namespace {

void write_token(JsonWriter& json, float logprob, std::string_view bytes) {
  json.member("token", bytes);
  json.key("logprob");
  json.number(finite_logprob(logprob));
  json.key("bytes");
  json.begin_array();
  for (const char byte : bytes) json.integer(int{static_cast<unsigned char>(byte)});
  json.end_array();
}

void write_prompt_alternative(
    JsonWriter& json, TokenId id, float logprob, std::string_view bytes, std::size_t rank) {
  json.key(str(id));
  json.begin_object();
  json.key("logprob");
  json.number(finite_logprob(logprob));
  json.key("rank");
  // A chosen token outside the listed alternatives has no known rank.
  if (rank > 0) {
    json.integer(rank);
  } else {
    json.null();
  }
  json.member("decoded_token", bytes);
  json.end_object();
}

}  // namespace

void Answer::fail(const Status& status, std::string& out) {
  begin_frame(out);
  out += http::error_json(status);
  end_frame(out);
}

http::Response Answer::refuse(const Status& status) { return http::error_response(status); }

void begin_frame(std::string& out) { out += "data: "; }
void end_frame(std::string& out) { out += "\n\n"; }

void write_identity(JsonWriter& json, std::string_view object, const AnswerIdentity& identity) {
  json.member("id", identity.id);
  json.member("object", object);
  json.member("created", identity.created_unix_seconds);
  json.member("model", identity.model);
  json.member("system_fingerprint", identity.fingerprint);
}

std::string identity_members(std::string_view object, const AnswerIdentity& identity) {
  std::string members;
  JsonWriter json(members);
  write_identity(json, object, identity);
  return members;
}

bool is_complete(request::FinishReason reason) {
  return reason == request::FinishReason::kStop || reason == request::FinishReason::kLength;
}

std::string_view finish_reason_name(request::FinishReason reason) {
  return reason == request::FinishReason::kLength ? "length" : "stop";
}

void write_finish_reason(JsonWriter& json, std::optional<request::FinishReason> reason) {
  json.key("finish_reason");
  if (reason && is_complete(*reason)) {
    json.string(finish_reason_name(*reason));
  } else {
    json.null();
  }
}

void write_usage(JsonWriter& json, const request::Usage& usage, std::int32_t reasoning_tokens) {
  json.begin_object();
  json.member("prompt_tokens", usage.prompt_tokens);
  json.member("completion_tokens", usage.completion_tokens);
  json.member("total_tokens", usage.prompt_tokens + usage.completion_tokens);
  json.key("prompt_tokens_details");
  json.begin_object();
  json.member("cached_tokens", usage.cached_prompt_tokens);
  json.end_object();
  json.key("completion_tokens_details");
  json.begin_object();
  json.member("reasoning_tokens", reasoning_tokens);
  json.end_object();
  json.end_object();
}

void write_timings(JsonWriter& json, const AnswerEnd& end) {
  const auto rate = [&](std::string_view name, std::int32_t count, double seconds) {
    json.key(name);
    json.number(seconds > 0 ? count / seconds : 0.0);
  };
  const auto milliseconds = [&](std::string_view name, double seconds) {
    json.key(name);
    json.number(seconds * 1e3);
  };
  const double queue = to_seconds(end.timing.queued);
  const double prompt = to_seconds(end.timing.first_token) - queue;
  const double predicted = to_seconds(end.timing.total - end.timing.first_token);
  const std::int32_t computed = end.usage.prompt_tokens - end.usage.cached_prompt_tokens;
  json.key("timings");
  json.begin_object();
  milliseconds("queue_ms", queue);
  json.member("cache_n", end.usage.cached_prompt_tokens);
  json.member("prompt_n", computed);
  milliseconds("prompt_ms", prompt);
  rate("prompt_per_second", computed, prompt);
  json.member("predicted_n", end.usage.completion_tokens);
  milliseconds("predicted_ms", predicted);
  rate("predicted_per_second", end.usage.completion_tokens, predicted);
  json.end_object();
}

void write_token_ids(JsonWriter& json, std::string_view name, std::span<const TokenId> ids) {
  json.key(name);
  json.begin_array();
  for (const TokenId id : ids) json.integer(id);
  json.end_array();
}

float finite_logprob(float logprob) {
  constexpr float kLogprobMin = -9999.0F;
  return logprob > kLogprobMin ? logprob : kLogprobMin;
}

void write_token_logprobs(JsonWriter& json, std::span<const request::TokenLogprob> logprobs) {
  json.begin_array();
  for (const request::TokenLogprob& token : logprobs) {
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
}

void write_prompt_logprobs(JsonWriter& json, std::span<const request::TokenLogprob> logprobs) {
  json.key("prompt_logprobs");
  json.begin_array();
  for (const request::TokenLogprob& token : logprobs) {
    if (!token.logprob) {
      json.null();
      continue;
    }
    json.begin_object();
    bool chosen_listed = false;
    for (std::size_t i = 0; i < token.top.size(); ++i) {
      const request::TokenAlternative& other = token.top[i];
      chosen_listed = chosen_listed || other.id == token.id;
      write_prompt_alternative(json, other.id, other.logprob, other.bytes, i + 1);
    }
    if (!chosen_listed) write_prompt_alternative(json, token.id, *token.logprob, token.bytes, 0);
    json.end_object();
  }
  json.end_array();
}

}  // namespace inferneo::gateway::endpoints
