#include "gateway/endpoints/field_types.h"

#include <algorithm>
#include <iterator>
#include <span>

namespace inferneo::gateway::endpoints {
namespace {

struct TypeRow {
  std::string_view json;  // the member's value; empty: any
  std::span<const std::string_view> names;
};

constexpr std::string_view kStrings[] = {"model",
                                         "user",
                                         "safety_identifier",
                                         "prompt_cache_key",
                                         "prompt_cache_retention",
                                         "service_tier",
                                         "cache_salt",
                                         "query",
                                         "id",
                                         "name",
                                         "purpose",
                                         "file",
                                         "endpoint",
                                         "input_file_id",
                                         "completion_window",
                                         "encoding_format",
                                         "pooling",
                                         "text_input",
                                         "suffix",
                                         "inference_geo",
                                         "expires_after[anchor]",
                                         "expires_after[seconds]",
                                         "reasoning_effort",
                                         "guided_regex",
                                         "guided_grammar",
                                         "grammar",
                                         "instructions",
                                         "previous_response_id",
                                         "truncation",
                                         "verbosity",
                                         "template",
                                         "guided_backend",
                                         "guided_decoding_backend",
                                         "guided_whitespace_pattern",
                                         "model_id",
                                         "version",
                                         "new_version",
                                         "path",
                                         "alias",
                                         "reason",
                                         "strategy"};
constexpr std::string_view kIntegers[] = {"max_tokens",
                                          "max_completion_tokens",
                                          "max_output_tokens",
                                          "top_k",
                                          "seed",
                                          "random_seed",
                                          "n",
                                          "best_of",
                                          "min_tokens",
                                          "prompt_logprobs",
                                          "top_logprobs",
                                          "priority",
                                          "dimensions",
                                          "top_n",
                                          "truncate_prompt_tokens",
                                          "max_tool_calls",
                                          "reasoning_budget",
                                          "thinking_budget",
                                          "thinking_token_budget"};
constexpr std::string_view kNumbers[] = {
    "temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"};
constexpr std::string_view kBooleans[] = {"stream",
                                          "echo",
                                          "ignore_eos",
                                          "include_stop_str_in_output",
                                          "skip_special_tokens",
                                          "add_special_tokens",
                                          "return_token_ids",
                                          "return_token_strs",
                                          "return_timings",
                                          "timings_per_token",
                                          "store",
                                          "cache_prompt",
                                          "parallel_tool_calls",
                                          "add_generation_prompt",
                                          "continue_final_message",
                                          "normalize",
                                          "truncate",
                                          "return_documents",
                                          "raw",
                                          "verbose",
                                          "exclude_input_in_output",
                                          "include_reasoning",
                                          "enable_thinking",
                                          "separate_reasoning",
                                          "background",
                                          "force",
                                          "pinned",
                                          "preload",
                                          "digests",
                                          "force_reload",
                                          "rollback_on_failure",
                                          "wait",
                                          "dry_run",
                                          "fully"};
constexpr std::string_view kObjects[] = {"logit_bias",
                                         "stream_options",
                                         "prompt_cache_options",
                                         "metadata",
                                         "chat_template_kwargs",
                                         "structured_outputs",
                                         "prediction",
                                         "options",
                                         "thinking",
                                         "cache_control",
                                         "output_config",
                                         "output_format",
                                         "reasoning",
                                         "config",
                                         "policy"};
constexpr std::string_view kLists[] = {"messages",
                                       "tools",
                                       "documents",
                                       "stop_token_ids",
                                       "stop_sequences",
                                       "tokens",
                                       "requests",
                                       "modalities",
                                       "guided_choice",
                                       "images",
                                       "context",
                                       "include",
                                       "tags",
                                       "aliases"};
constexpr std::string_view kTextOrList[] = {
    "stop", "stop_words", "input", "text_1", "text_2", "betas"};
// Several types, or one in each dialect.
constexpr std::string_view kAny[] = {"prompt",
                                     "logprobs",
                                     "system",
                                     "tool_choice",
                                     "response_format",
                                     "guided_json",
                                     "keep_alive",
                                     "think",
                                     "format",
                                     "parameters",
                                     "sampling_parameters",
                                     "text",
                                     "conversation"};

constexpr TypeRow kRows[] = {{R"("string")", kStrings},
                             {R"("integer")", kIntegers},
                             {R"("number")", kNumbers},
                             {R"("boolean")", kBooleans},
                             {R"("object")", kObjects},
                             {R"("array")", kLists},
                             {R"(["string","array"])", kTextOrList},
                             {"", kAny}};

const TypeRow* find_row(std::string_view name) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const TypeRow& r) {
    return std::find(r.names.begin(), r.names.end(), name) != r.names.end();
  });
  return row == std::end(kRows) ? nullptr : row;
}

}  // namespace

void write_field_type(JsonWriter& json, std::string_view name) {
  const TypeRow* row = find_row(name);
  if (row == nullptr || row->json.empty()) return;
  json.key("type");
  json.members(row->json);
}

bool has_field_type(std::string_view name) { return find_row(name) != nullptr; }

}  // namespace inferneo::gateway::endpoints
