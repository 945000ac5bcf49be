// The sampling flags that `run` and `chat` share. A flag that is not given takes the value that the
// model's author ships (generation_config.json), then the API's default.
// Thread: main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "request/sampling_params.h"
#include "runtime/runtime.h"

namespace CLI {
class App;
}

namespace inferneo::app {

struct SamplingFlags {
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<std::uint64_t> seed;
  std::optional<std::int32_t> max_tokens;
  std::vector<std::string> stop;
};

void add_sampling_flags(CLI::App& command, SamplingFlags& flags);

// `prompt_tokens` of a context of `context_tokens_max` leave room for the default of max_tokens.
// Failures: invalid_argument when the prompt leaves no room at all.
Result<request::SamplingParams> sampling_params(const SamplingFlags& flags,
                                                const runtime::GenerationDefaults& defaults,
                                                std::size_t prompt_tokens,
                                                std::int32_t context_tokens_max);

}  // namespace inferneo::app
