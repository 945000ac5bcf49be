#include <array>

#include "text/tools/marked_calls.h"

namespace inferneo::text {
namespace {

constexpr std::array<CallMark, 3> kMarks{
    CallMark{.begin = "<tool_call>", .end = "</tool_call>"},
    CallMark{.begin = "```json", .end = "```", .known_names_only = true},
    CallMark{.begin = "```tool_call", .end = "```", .known_names_only = true}};
constexpr std::array<std::string_view, 2> kMarkNames{"<tool_call>", "</tool_call>"};

int score(std::string_view) { return 1; }

std::unique_ptr<ToolParser> make_parser(ToolList tools) {
  return std::make_unique<MarkedCalls>(CallMarks{.marks = kMarks, .bare = true}, std::move(tools));
}

}  // namespace

// For models that were trained with no format, or one that is not known: what describe_tools() asks
// for, and the ways in which models usually miss it.
extern const ToolFormat kGenericToolFormat;
const ToolFormat kGenericToolFormat{
    .name = "generic",
    .summary = "as hermes, or the object alone or in a JSON code block",
    .score = score,
    .make_parser = make_parser,
    .shape = kToolCallShape,
    .marks = kMarkNames,
    .call_end = "</tool_call>",
};

}  // namespace inferneo::text
