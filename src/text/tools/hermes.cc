#include <array>

#include "text/tools/marked_calls.h"

namespace inferneo::text {
namespace {

constexpr std::array<CallMark, 1> kMarks{CallMark{.begin = "<tool_call>", .end = "</tool_call>"}};
constexpr std::array<std::string_view, 2> kMarkNames{"<tool_call>", "</tool_call>"};

int score(std::string_view template_source) {
  return template_source.find("<tool_call>") != std::string_view::npos ? 10 : 0;
}

std::unique_ptr<ToolParser> make_parser(ToolList tools) {
  return std::make_unique<MarkedCalls>(CallMarks{.marks = kMarks}, std::move(tools));
}

}  // namespace

// Hermes 2 Pro and later, Qwen 2.5, and many that follow them.
extern const ToolFormat kHermesToolFormat;
const ToolFormat kHermesToolFormat{
    .name = "hermes",
    .summary = "<tool_call>{\"name\": ..., \"arguments\": {...}}</tool_call>",
    .score = score,
    .make_parser = make_parser,
    .shape = kToolCallShape,
    .marks = kMarkNames,
    .call_end = "</tool_call>",
};

}  // namespace inferneo::text
