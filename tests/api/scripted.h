// Answers fed with text by hand, as if a model had written it: what a fake model cannot be made to
// say.
// Thread: the test's.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/endpoints/answer.h"
#include "text/json.h"
#include "text/reasoning/reasoning_format.h"
#include "text/tools/tool_format.h"

namespace inferneo::api_test {

using nlohmann::json;

inline gateway::endpoints::AnswerOptions scripted_options(std::string_view format = "hermes") {
  gateway::endpoints::AnswerOptions options;
  options.identity = {.id = "id", .created_unix_seconds = 1, .model = "m", .fingerprint = "fp"};
  options.prompts.push_back({.text = "", .ids = {1, 2, 3}});
  options.include_usage = true;
  options.reply.tool_format = text::find_tool_format(format);
  options.reply.tools =
      std::make_shared<const text::Value>(text::parse_json(
                                              R"([{"type":"function","function":{"name":"weather"}},
              {"type":"function","function":{"name":"now"}}])")
                                              .value());
  options.reply.reasoning_format = text::find_reasoning_format("think");
  return options;
}

// Feeds one choice, `piece_size` bytes a delta with one token each.
inline std::string run_whole(gateway::endpoints::Answer& answer,
                             const std::string& text,
                             std::size_t piece_size,
                             request::FinishReason finish = request::FinishReason::kStop) {
  std::string out;
  std::int32_t tokens = 0;
  for (std::size_t at = 0; at < text.size(); at += piece_size) {
    request::OutputDelta delta;
    delta.text = text.substr(at, piece_size);
    delta.token_ids = {7};
    ++tokens;
    answer.add(0, std::move(delta), out);
  }
  request::OutputDelta last;
  last.finish = finish;
  answer.add(0, std::move(last), out);
  gateway::endpoints::AnswerEnd end;
  end.usage.prompt_tokens = 3;
  end.usage.completion_tokens = tokens;
  answer.finish(end, out);
  return out;
}

// The same for an answer that opens its stream first.
inline std::string run_script(gateway::endpoints::Answer& answer,
                              const std::string& text,
                              std::size_t piece_size,
                              request::FinishReason finish = request::FinishReason::kStop) {
  std::string out;
  answer.begin(out);
  return out + run_whole(answer, text, piece_size, finish);
}

}  // namespace inferneo::api_test
