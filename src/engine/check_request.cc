#include "engine/check_request.h"

#include <cmath>

#include "base/limits.h"
#include "base/result.h"
#include "base/str.h"
#include "kv/kv_cache.h"

namespace inferneo::engine {
namespace {

using request::SamplingParams;

Status refuse(std::string message, std::string where) {
  return invalid_argument(std::move(message)).with_where(std::move(where));
}

Status check_id(TokenId id, const RequestLimits& limits, std::string where) {
  if (id >= 0 && id < limits.vocab_size) return ok_status();
  return refuse(str("token id ", id, " is not in the vocabulary of ", limits.vocab_size, " tokens"),
                std::move(where));
}

Status check_ids(const request::GenerateRequest& request, const RequestLimits& limits) {
  if (request.prompt.empty()) return refuse("the prompt has no tokens", "prompt");
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    const TokenId id = request.prompt[i];
    if (id >= 0 && id < limits.vocab_size) continue;
    return check_id(id, limits, str("prompt[", i, "]"));
  }
  for (const request::LogitBias& bias : request.sampling.logit_bias) {
    RETURN_IF_ERROR(check_id(bias.id, limits, "logit_bias"));
    if (!(bias.bias >= -100.0F && bias.bias <= 100.0F)) {
      return refuse(str("the bias ", bias.bias, " of token ", bias.id, " is not in -100 .. 100"),
                    "logit_bias");
    }
  }
  for (const TokenId id : request.sampling.stop_token_ids) {
    RETURN_IF_ERROR(check_id(id, limits, "stop_token_ids"));
  }
  return ok_status();
}

Status check_counts(const request::GenerateRequest& request, const RequestLimits& limits) {
  const SamplingParams& sampling = request.sampling;
  if (request.pooling) return ok_status();
  if (sampling.max_tokens < 0) {
    return refuse(str("max_tokens must not be negative, but is ", sampling.max_tokens),
                  "max_tokens");
  }
  if (sampling.min_tokens < 0 || sampling.min_tokens > sampling.max_tokens) {
    return refuse(str("min_tokens must be between 0 and max_tokens (",
                      sampling.max_tokens,
                      "), not ",
                      sampling.min_tokens),
                  "min_tokens");
  }
  const auto choice_count_max =
      std::min<std::int64_t>(limits::kChoiceCountMax, limits.running_sequence_count_max);
  if (request.choice_count < 1 || request.choice_count > choice_count_max) {
    return refuse(str("n must be between 1 and ", choice_count_max, ", not ", request.choice_count),
                  "n");
  }
  const auto check_top = [](std::optional<std::int32_t> count, const char* where) {
    if (!count || (*count >= 0 && *count <= limits::kTopLogprobsMax)) return ok_status();
    return refuse(str(where, " must be between 0 and ", limits::kTopLogprobsMax, ", not ", *count),
                  where);
  };
  RETURN_IF_ERROR(check_top(sampling.logprobs, "logprobs"));
  return check_top(sampling.prompt_logprobs, "prompt_logprobs");
}

// A NaN fails every comparison, so ranges are stated as what is allowed.
Status check_range(float value, float low, float high, const char* where) {
  if (value >= low && value <= high) return ok_status();
  return refuse(str(where, " must be between ", low, " and ", high, ", not ", value), where);
}

Status check_sampling(const SamplingParams& sampling) {
  // Why 1e-6 for values above zero: the smallest that scaling of float logits survives.
  RETURN_IF_ERROR(check_range(sampling.temperature, 0.0F, 100.0F, "temperature"));
  RETURN_IF_ERROR(check_range(sampling.top_p, 1e-6F, 1.0F, "top_p"));
  RETURN_IF_ERROR(check_range(sampling.min_p, 0.0F, 1.0F, "min_p"));
  RETURN_IF_ERROR(check_range(sampling.presence_penalty, -100.0F, 100.0F, "presence_penalty"));
  RETURN_IF_ERROR(check_range(sampling.frequency_penalty, -100.0F, 100.0F, "frequency_penalty"));
  RETURN_IF_ERROR(check_range(sampling.repetition_penalty, 1e-6F, 100.0F, "repetition_penalty"));
  if (sampling.top_k < 0) {
    return refuse(str("top_k must be at least 0 (all tokens), not ", sampling.top_k), "top_k");
  }
  return ok_status();
}

// What the model is for.
Status check_kind(const request::GenerateRequest& request, const RequestLimits& limits) {
  if (!request.pooling) {
    if (limits.generates) return ok_status();
    return unsupported("this model computes vectors of texts and generates none")
        .with_where("model")
        .with_hint("use /v1/embeddings or /v1/rerank");
  }
  if (!limits.makes_vectors) {
    return unsupported("this model gives no hidden states to make a vector of").with_where("model");
  }
  const SamplingParams& sampling = request.sampling;
  if (sampling.max_tokens != 0 || request.choice_count != 1 || sampling.prompt_logprobs) {
    return refuse("a request for a vector generates nothing", "max_tokens");
  }
  return ok_status();
}

Status check_vector_lengths(const request::GenerateRequest& request, const RequestLimits& limits) {
  const auto count = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t pool = std::int64_t{limits.kv_block_count} * limits::kKvBlockSizeTokens;
  std::int64_t most = std::min<std::int64_t>(limits.context_tokens_max, pool);
  if (limits.whole_prompt_max > 0) most = std::min<std::int64_t>(most, limits.whole_prompt_max);
  if (count <= most) return ok_status();
  return refuse(str("the text has ", count, " tokens, but this model takes at most ", most),
                "input")
      .with_hint("shorten the text, or cut it into parts");
}

Status check_lengths(const request::GenerateRequest& request, const RequestLimits& limits) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const bool generates_nothing = request.sampling.max_tokens == 0;
  const std::int64_t total = prompt + request.sampling.max_tokens;
  const std::int64_t context = limits.context_tokens_max;
  const std::int64_t prompt_max = generates_nothing ? context : context - 1;
  if (prompt > prompt_max) {
    return refuse(str("the prompt has ",
                      prompt,
                      " tokens, but the context of this model holds ",
                      context,
                      " tokens, prompt and answer together"),
                  "prompt")
        .with_hint("shorten the prompt");
  }
  if (total > context) {
    return refuse(str("the prompt's ",
                      prompt,
                      " tokens and max_tokens ",
                      request.sampling.max_tokens,
                      " make ",
                      total,
                      " tokens, but the context of this model holds ",
                      context),
                  "max_tokens")
        .with_hint(str("ask for at most ", context - prompt, " tokens"));
  }
  // A last token that is sampled has no keys and values that anyone needs.
  const std::int64_t computed = std::max(prompt, total - 1);
  const std::int32_t blocks = kv::KvCache::blocks_for(computed);
  if (blocks > limits.kv_block_count) {
    const std::int64_t pool = std::int64_t{limits.kv_block_count} * limits::kKvBlockSizeTokens;
    return refuse(str("the request needs up to ",
                      computed,
                      " tokens of key/value cache, but the "
                      "whole pool holds ",
                      pool),
                  prompt > pool ? "prompt" : "max_tokens")
        .with_hint("shorten the request, or start the server with a larger pool");
  }
  return ok_status();
}

}  // namespace

Status check_request(const request::GenerateRequest& request,
                     const RequestLimits& limits,
                     bool& too_long) {
  too_long = false;
  RETURN_IF_ERROR(check_kind(request, limits));
  RETURN_IF_ERROR(check_counts(request, limits));
  RETURN_IF_ERROR(check_sampling(request.sampling));
  // Lengths before ids: a prompt that is far too long is not worth a walk over its ids.
  if (!request.prompt.empty()) {
    Status lengths =
        request.pooling ? check_vector_lengths(request, limits) : check_lengths(request, limits);
    too_long = !lengths.ok();
    RETURN_IF_ERROR(std::move(lengths));
  }
  return check_ids(request, limits);
}

}  // namespace inferneo::engine
