// What chat and text completions have in common: the sampling fields, how many choices, streaming,
// and the de-facto extensions of other servers.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "gateway/endpoints/field.h"
#include "gateway/endpoints/structured_output.h"
#include "manager/manager.h"
#include "request/sampling_params.h"

namespace inferneo::gateway::endpoints {

struct GenerationParams {
  std::string model;  // empty: the only one served
  std::optional<Duration> keep_alive;
  // What the request says; the members below are filled in by resolve_sampling.
  request::SamplingParams sampling;
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<std::int32_t> max_tokens;
  std::optional<std::int32_t> prompt_logprobs;  // to be shown in an own member of the answer
  std::int32_t choice_count = 1;
  std::int32_t priority = 0;  // as the engine counts: higher runs first
  std::string cache_salt;
  bool stream = false;
  bool stream_options_given = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool skip_special_tokens = true;
  bool return_token_ids = false;
  bool return_timings = false;
  StructuredOutput structured;  // the form that the answer must have
  std::optional<bool> add_special_tokens;
  std::optional<std::int32_t> truncate_prompt_tokens;  // keep this many at the end
};

// The shared rows, in the order of the reference.
std::span<const Field<GenerationParams>> generation_fields();

// Rules that join several fields. `shows_prompt`: the answer repeats the prompt, so that nothing
// has to be generated. Failures: invalid_argument naming one of them.
Status check_generation(const GenerationParams& params, bool shows_prompt = false);

// The sampling parameters of a request: its own, else what the model's author ships
// (generation_config.json), else neutral ones. An author's do_sample=false makes a request that
// names no temperature greedy.
request::SamplingParams resolve_sampling(const GenerationParams& params,
                                         const runtime::GenerationDefaults& defaults);

}  // namespace inferneo::gateway::endpoints
