#include "app/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "app/help_text.h"
#include "base/limits.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

// Long enough for an answer, short enough that a model that never stops does not annoy.
constexpr std::int64_t kMaxTokensDefault = 1024;

}  // namespace

void add_sampling_flags(CLI::App& command, SamplingFlags& flags) {
  constexpr double kCountMax = std::numeric_limits<std::int32_t>::max();
  const auto add = [&](const char* name, auto& value, const char* type, const char* help) {
    return command.add_option(name, value, help)->group("Sampling")->type_name(type);
  };
  add("--temperature",
      flags.temperature,
      "X",
      "0 always takes the most likely token; higher is more varied (0 .. 2, default: the model's, "
      "else 1)")
      ->check(number_in(0, 2, "0 to 2"));
  add("--top-k", flags.top_k, "N", "Choose among the N most likely tokens; 0 means all")
      ->check(integer_in(0, kCountMax, "0 or more"));
  add("--top-p",
      flags.top_p,
      "X",
      "Choose among the likeliest tokens that add up to this probability (above 0, up to 1)")
      ->check(number_in(1e-6, 1, "above 0 and at most 1"));
  add("--min-p",
      flags.min_p,
      "X",
      "Leave out tokens less likely than this share of the likeliest (0 .. 1)")
      ->check(number_in(0, 1, "0 to 1"));
  add("--repetition-penalty",
      flags.repetition_penalty,
      "X",
      "Above 1 makes tokens that have occurred less likely (above 0, up to 10)")
      ->check(number_in(1e-3, 10, "above 0 and at most 10"));
  add("--seed", flags.seed, "N", "The same seed gives the same answer");
  add("--max-tokens",
      flags.max_tokens,
      "N",
      "Longest answer (default 1024 tokens, or what the context leaves)")
      ->check(integer_in(1, kCountMax, "1 or more"));
  add("--stop", flags.stop, "TEXT", "End the answer before this text (repeat for several)")
      ->allow_extra_args(false);
}

Result<request::SamplingParams> sampling_params(const SamplingFlags& flags,
                                                const runtime::GenerationDefaults& defaults,
                                                std::size_t prompt_tokens,
                                                std::int32_t context_tokens_max) {
  const std::int64_t room = context_tokens_max - static_cast<std::int64_t>(prompt_tokens);
  if (room < 1) {
    return invalid_argument(str("the prompt has ",
                                prompt_tokens,
                                " tokens; the context holds ",
                                context_tokens_max,
                                " and must leave room for an answer"));
  }
  request::SamplingParams params;
  const float default_temperature = defaults.greedy ? 0.0F : defaults.temperature.value_or(1.0F);
  params.temperature = flags.temperature.value_or(default_temperature);
  params.top_k = flags.top_k.value_or(defaults.top_k.value_or(params.top_k));
  params.top_p = flags.top_p.value_or(defaults.top_p.value_or(params.top_p));
  params.min_p = flags.min_p.value_or(defaults.min_p.value_or(params.min_p));
  params.repetition_penalty = flags.repetition_penalty.value_or(
      defaults.repetition_penalty.value_or(params.repetition_penalty));
  params.seed = flags.seed;
  params.stop = flags.stop;
  params.max_tokens =
      flags.max_tokens.value_or(static_cast<std::int32_t>(std::min(room, kMaxTokensDefault)));
  return params;
}

}  // namespace inferneo::app
