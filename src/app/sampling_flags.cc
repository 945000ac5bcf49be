#include "app/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

// Long enough for an answer, short enough that a model that never stops does not annoy.
constexpr std::int64_t kMaxTokensDefault = 1024;

}  // namespace

void add_sampling_flags(CLI::App& command, SamplingFlags& flags) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->group("Sampling");
  };
  add("--temperature",
      flags.temperature,
      "0 always takes the most likely token; higher is more varied (0 .. 2, default: the model's, "
      "else 1)")
      ->check(CLI::Range(0.0F, 2.0F));
  add("--top-k", flags.top_k, "Choose among the K most likely tokens; 0 means all")
      ->check(CLI::Range(0, std::numeric_limits<std::int32_t>::max()));
  add("--top-p", flags.top_p, "Choose among the likeliest tokens that add up to this probability")
      ->check(CLI::Range(1e-6F, 1.0F));
  add("--min-p", flags.min_p, "Leave out tokens less likely than this share of the likeliest")
      ->check(CLI::Range(0.0F, 1.0F));
  add("--repetition-penalty",
      flags.repetition_penalty,
      "Above 1 makes tokens that have occurred less likely")
      ->check(CLI::Range(1e-3F, kLargest));
  add("--seed", flags.seed, "The same seed gives the same answer");
  add("--max-tokens",
      flags.max_tokens,
      "Longest answer (default 1024 tokens, or what the context leaves)")
      ->check(CLI::Range(1, std::numeric_limits<std::int32_t>::max()));
  add("--stop", flags.stop, "End the answer before this text (repeat for several)")
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
