#include "gateway/endpoints/generation_params.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/limits.h"
#include "gateway/endpoints/keep_alive.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kNameSizeMax = 256;
constexpr std::int64_t kPriorityMax = 1'000'000;
// Above this a penalty only overflows; below, text is still text.
constexpr double kRepetitionPenaltyMax = 10;

// Assigns what `read` returns or passes its failure on.
template <typename Target, typename T>
Status assign(Target& target, Result<T> read) {
  if (!read.has_value()) return std::move(read).error();
  target = *std::move(read);
  return ok_status();
}

Status bind_logit_bias(Value& value, GenerationParams& params) {
  const Value::Dict* entries = value.as_dict();
  if (entries == nullptr) return wrong_value("an object of token ids and numbers", value);
  if (entries->size() > limits::kLogitBiasCountMax) {
    return invalid_argument(str("has ",
                                entries->size(),
                                " entries, but at most ",
                                limits::kLogitBiasCountMax,
                                " are accepted"));
  }
  for (const auto& [name, bias] : *entries) {
    request::LogitBias entry;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, entry.id);
    if (parsed.ec != std::errc() || parsed.ptr != end || entry.id < 0) {
      return invalid_argument(
          str("has the name '", printable(name), "', but names must be token ids"));
    }
    RETURN_IF_ERROR(assign(entry.bias, read_number(bias, {.min = -100, .max = 100})));
    params.sampling.logit_bias.push_back(entry);
  }
  // One order for one meaning: "1" and "01" must not both pass.
  auto& biases = params.sampling.logit_bias;
  std::sort(biases.begin(), biases.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  const auto twice = std::adjacent_find(
      biases.begin(), biases.end(), [](const auto& a, const auto& b) { return a.id == b.id; });
  if (twice != biases.end()) return invalid_argument(str("names token ", twice->id, " twice"));
  return ok_status();
}

Status add_stop(Value& value, GenerationParams& params) {
  ASSIGN_OR_RETURN(std::string text, take_string(value, limits::kStopSizeMax));
  if (text.empty()) return invalid_argument("must not hold an empty string");
  params.sampling.stop.push_back(std::move(text));
  return ok_status();
}

Status bind_stop(Value& value, GenerationParams& params) {
  if (value.as_string() != nullptr) return add_stop(value, params);
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a string or a list of strings", value);
  if (list->size() > limits::kStopCountMax) {
    return invalid_argument(str(
        "has ", list->size(), " strings, but at most ", limits::kStopCountMax, " are accepted"));
  }
  for (Value& item : *list) RETURN_IF_ERROR(add_stop(item, params));
  return ok_status();
}

Status bind_stop_token_ids(Value& value, GenerationParams& params) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of token ids", value);
  if (list->size() > limits::kStopTokenIdCountMax) {
    return invalid_argument(str(
        "has ", list->size(), " ids, but at most ", limits::kStopTokenIdCountMax, " are accepted"));
  }
  for (const Value& item : *list) {
    ASSIGN_OR_RETURN(const std::int32_t id, read_int32(item, 0, kInt32Max));
    params.sampling.stop_token_ids.push_back(id);
  }
  return ok_status();
}

// Any integer is a seed; negative ones keep their bits.
Status bind_seed(Value& value, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::int64_t seed,
                   read_integer(value,
                                std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max()));
  params.sampling.seed = static_cast<std::uint64_t>(seed);
  return ok_status();
}

// -1 and 0 both mean all, as in other servers.
Status bind_top_k(Value& value, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::int32_t top_k, read_int32(value, -1, kInt32Max));
  params.top_k = std::max(top_k, 0);
  return ok_status();
}

// Clients of other servers expect lower numbers to run earlier; the engine counts the other way.
Status bind_priority(Value& value, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::int32_t priority, read_int32(value, -kPriorityMax, kPriorityMax));
  params.priority = -priority;
  return ok_status();
}

Status bind_stream_options(Value& value, GenerationParams& params) {
  Value::Dict* options = value.as_dict();
  if (options == nullptr) return wrong_value("an object", value);
  params.stream_options_given = true;
  constexpr std::array<std::string_view, 3> kKnown{
      "include_usage", "continuous_usage_stats", "include_obfuscation"};
  for (auto& [name, option] : *options) {
    if (option.is_null()) continue;
    Status status = ok_status();
    bool obfuscation = false;
    if (name == "include_usage") {
      status = assign(params.include_usage, read_bool(option));
    } else if (name == "continuous_usage_stats") {
      status = assign(params.continuous_usage, read_bool(option));
    } else if (name == "include_obfuscation") {
      status = assign(obfuscation, read_bool(option));
      if (obfuscation) status = unsupported("is not supported: chunks are never padded");
    } else {
      status = unknown_field(name, kKnown);
    }
    if (status.ok()) continue;
    std::string where = str("stream_options.", printable(name));
    return std::move(status).with_where(std::move(where));
  }
  return ok_status();
}

Status bind_cache_salt(Value& value, GenerationParams& params) {
  RETURN_IF_ERROR(assign(params.cache_salt, take_string(value, kNameSizeMax)));
  return params.cache_salt.empty() ? invalid_argument("must not be empty") : ok_status();
}

Status accept_string(Value& value, GenerationParams&) {
  return take_string(value, std::numeric_limits<std::size_t>::max()).status();
}

Status accept_object(Value& value, GenerationParams&) {
  return value.as_dict() != nullptr ? ok_status() : wrong_value("an object", value);
}

Status accept_only_false(Value& value, GenerationParams&) {
  ASSIGN_OR_RETURN(const bool on, read_bool(value));
  return on ? unsupported("is not supported: nothing is stored") : ok_status();
}

Status accept_only_true(Value& value, GenerationParams&) {
  ASSIGN_OR_RETURN(const bool on, read_bool(value));
  return on ? ok_status()
            : unsupported("cannot be switched off by a request; cache_salt separates caches");
}

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;
constexpr auto kRefused = FieldUse::kRefused;

constexpr std::string_view kNotThisSampler = "this sampler is not available";

#define BIND(expression) [](Value& value, GenerationParams& params) -> Status { return expression; }

constexpr Field<GenerationParams> kFields[] = {
    {{"model", kWorks, "name of a served model; may be left out when one is served"},
     BIND(assign(params.model, take_string(value, kNameSizeMax)))},
    {{"keep_alive",
      kWorks,
      "how long the model stays in memory after this request: seconds, or \"5m\"; 0 unloads it, -1 "
      "keeps it; default as configured"},
     BIND(assign(params.keep_alive, read_keep_alive(value)))},
    {{"max_tokens",
      kWorks,
      "1 or more generated tokens, 0 with echo or prompt_logprobs; default 16 for completions, the "
      "rest of the context for chat"},
     BIND(assign(params.max_tokens, read_int32(value, 0, kInt32Max)))},
    {{"temperature", kWorks, "0 to 2; 0 is greedy; default from the model, else 1"},
     BIND(assign(params.temperature, read_number(value, {.min = 0, .max = 2})))},
    {{"top_p", kWorks, "above 0, up to 1; default from the model, else 1"},
     BIND(assign(params.top_p, read_number(value, {.min = 0, .max = 1, .min_excluded = true})))},
    {{"top_k", kWorks, "1 or more; 0 and -1 mean all; default from the model, else all"},
     bind_top_k},
    {{"min_p", kWorks, "0 to 1, relative to the likeliest token; default from the model, else 0"},
     BIND(assign(params.min_p, read_number(value, {.min = 0, .max = 1})))},
    {{"presence_penalty", kWorks, "-2 to 2; default 0"},
     BIND(assign(params.sampling.presence_penalty, read_number(value, {.min = -2, .max = 2})))},
    {{"frequency_penalty", kWorks, "-2 to 2; default 0"},
     BIND(assign(params.sampling.frequency_penalty, read_number(value, {.min = -2, .max = 2})))},
    {{"repetition_penalty", kWorks, "above 0, up to 10; default from the model, else 1"},
     BIND(assign(
         params.repetition_penalty,
         read_number(value, {.min = 0, .max = kRepetitionPenaltyMax, .min_excluded = true})))},
    {{"logit_bias", kWorks, "object of token ids and numbers from -100 to 100; at most 1024"},
     bind_logit_bias},
    {{"seed", kWorks, "any integer of 64 bits; the same seed gives the same text"}, bind_seed},
    {{"n", kWorks, "1 to 16 choices; default 1"},
     BIND(assign(params.choice_count, read_int32(value, 1, limits::kChoiceCountMax)))},
    {{"stop", kWorks, "a string or up to 16, each 1 to 256 bytes"}, bind_stop},
    {{"stop_token_ids", kWorks, "up to 64 token ids that end a choice"}, bind_stop_token_ids},
    {{"include_stop_str_in_output", kWorks, "keep the stop string in the text; default false"},
     BIND(assign(params.sampling.include_stop, read_bool(value)))},
    {{"ignore_eos", kWorks, "go on after the model's end token; default false"},
     BIND(assign(params.sampling.ignore_eos, read_bool(value)))},
    {{"min_tokens", kWorks, "0 or more; stop conditions wait for this many; default 0"},
     BIND(assign(params.sampling.min_tokens, read_int32(value, 0, kInt32Max)))},
    {{"prompt_logprobs", kWorks, "0 to 20 alternatives per prompt token; not with stream"},
     BIND(assign(params.prompt_logprobs, read_int32(value, 0, limits::kTopLogprobsMax)))},
    {{"stream", kWorks, "send server-sent events; default false"},
     BIND(assign(params.stream, read_bool(value)))},
    {{"stream_options",
      kWorks,
      "{include_usage, continuous_usage_stats}, with stream; include_obfuscation only as false"},
     bind_stream_options},
    {{"skip_special_tokens", kWorks, "leave special tokens out of the text; default true"},
     BIND(assign(params.skip_special_tokens, read_bool(value)))},
    {{"add_special_tokens",
      kWorks,
      "let the tokenizer add its start token; default true for completions, false for chat"},
     BIND(assign(params.add_special_tokens, read_bool(value)))},
    {{"truncate_prompt_tokens", kWorks, "1 or more; keep only that many tokens at the end"},
     BIND(assign(params.truncate_prompt_tokens, read_int32(value, 1, kInt32Max)))},
    {{"return_timings", kWorks, "add timings of queue, prompt and generation; default false"},
     BIND(assign(params.return_timings, read_bool(value)))},
    {{"return_token_ids", kWorks, "add token_ids and prompt_token_ids to the answer"},
     BIND(assign(params.return_token_ids, read_bool(value)))},
    {{"priority", kWorks, "-1000000 to 1000000; lower runs earlier; default 0"}, bind_priority},
    {{"cache_salt", kWorks, "requests share cached prefixes only with requests of the same salt"},
     bind_cache_salt},
    {{"response_format",
      kWorks,
      "{\"type\": \"text\" | \"json_object\" | \"json_schema\"}; a schema is kept whether strict "
      "or not"},
     BIND(bind_response_format(value, params.structured, "response_format"))},
    {{"structured_outputs",
      kWorks,
      "one of json, regex, choice, grammar and json_object; disable_any_whitespace"},
     BIND(bind_structured_outputs(value, params.structured))},
    {{"guided_json", kWorks, "a JSON schema that the text must satisfy"},
     BIND(bind_guided_json(value, params.structured))},
    {{"guided_regex", kWorks, "a regular expression that the whole text must match"},
     BIND(bind_guided_regex(value, params.structured))},
    {{"guided_choice", kWorks, "a list of texts, one of which is the answer"},
     BIND(bind_guided_choice(value, params.structured))},
    {{"guided_grammar", kWorks, "a grammar (GBNF or Lark) of the text"},
     BIND(bind_guided_grammar(value, params.structured, "guided_grammar"))},
    {{"grammar", kWorks, "the same as guided_grammar"},
     BIND(bind_guided_grammar(value, params.structured, "grammar"))},

    {{"user", kNoEffect, "an identifier for abuse reports; no use is made of it"}, accept_string},
    {{"safety_identifier", kNoEffect, "an identifier for abuse reports; no use is made of it"},
     accept_string},
    {{"prompt_cache_key", kNoEffect, "the prefix cache finds shared prefixes by itself"},
     accept_string},
    {{"prompt_cache_retention", kNoEffect, "the prefix cache keeps what fits"}, accept_string},
    {{"prompt_cache_options", kNoEffect, "the prefix cache keeps what fits"}, accept_object},
    {{"cache_prompt", kNoEffect, "prefixes are always cached; only true is accepted"},
     accept_only_true},
    {{"metadata", kNoEffect, "labels for stored answers; nothing is stored"}, accept_object},
    {{"store", kNoEffect, "nothing is stored; only false is accepted"}, accept_only_false},
    {{"service_tier", kNoEffect, "there is one tier"}, accept_string},

    {{"use_beam_search", kRefused, "beam search is not available"}, nullptr},
    {{"length_penalty", kRefused, "beam search is not available"}, nullptr},
    {{"bad_words", kRefused, "use logit_bias with the ids of the words' tokens"}, nullptr},
    {{"allowed_token_ids", kRefused, "use logit_bias"}, nullptr},
    {{"typical_p", kRefused, kNotThisSampler}, nullptr},
    {{"mirostat", kRefused, kNotThisSampler}, nullptr},
    {{"dry_multiplier", kRefused, kNotThisSampler}, nullptr},
    {{"xtc_probability", kRefused, kNotThisSampler}, nullptr},
    {{"moderation", kRefused, "there is no moderation model"}, nullptr},
};
#undef BIND

}  // namespace

std::span<const Field<GenerationParams>> generation_fields() { return kFields; }

Status check_generation(const GenerationParams& params, bool shows_prompt) {
  const auto fail = [](std::string message, std::string field) {
    return invalid_argument(std::move(message)).with_where(std::move(field));
  };
  if (params.stream_options_given && !params.stream) {
    return fail("'stream_options' needs 'stream' to be true", "stream_options");
  }
  if (params.stream && params.prompt_logprobs) {
    return fail("'prompt_logprobs' cannot be combined with 'stream'", "prompt_logprobs");
  }
  if (params.max_tokens == 0 && !shows_prompt && !params.prompt_logprobs) {
    return fail("'max_tokens' must be at least 1 where the answer does not show the prompt",
                "max_tokens");
  }
  if (params.max_tokens && params.sampling.min_tokens > *params.max_tokens) {
    return fail(str("'min_tokens' (",
                    params.sampling.min_tokens,
                    ") is above 'max_tokens' (",
                    *params.max_tokens,
                    ")"),
                "min_tokens");
  }
  return ok_status();
}

request::SamplingParams resolve_sampling(const GenerationParams& params,
                                         const runtime::GenerationDefaults& defaults) {
  request::SamplingParams sampling = params.sampling;
  const float temperature_default = defaults.greedy ? 0.0F : defaults.temperature.value_or(1.0F);
  sampling.temperature = params.temperature.value_or(temperature_default);
  sampling.top_k = params.top_k.value_or(defaults.top_k.value_or(0));
  sampling.top_p = params.top_p.value_or(defaults.top_p.value_or(1.0F));
  sampling.min_p = params.min_p.value_or(defaults.min_p.value_or(0.0F));
  sampling.repetition_penalty =
      params.repetition_penalty.value_or(defaults.repetition_penalty.value_or(1.0F));
  // An echoed prompt may have asked for these already.
  if (params.prompt_logprobs) {
    sampling.prompt_logprobs =
        std::max(*params.prompt_logprobs, sampling.prompt_logprobs.value_or(0));
  }
  return sampling;
}

}  // namespace inferneo::gateway::endpoints
