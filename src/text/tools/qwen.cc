#include <array>

#include "text/tools/marked_calls.h"

namespace inferneo::text {
namespace {

constexpr std::array<CallMark, 1> kMarks{CallMark{.begin = "<tool_call>", .end = "</tool_call>"}};
constexpr std::array<std::string_view, 2> kMarkNames{"<tool_call>", "</tool_call>"};

// The template of the coder models shows elements; those of the others are Hermes'.
int score(std::string_view template_source) {
  return template_source.find("<function=") != std::string_view::npos &&
                 template_source.find("<parameter=") != std::string_view::npos
             ? 20
             : 0;
}

std::unique_ptr<ToolParser> make_parser(ToolList tools) {
  return std::make_unique<MarkedCalls>(CallMarks{.marks = kMarks, .bare = false, .xml = true},
                                       std::move(tools));
}

}  // namespace

// Qwen 3 and its coder models, which write elements or JSON between the same marks.
extern const ToolFormat kQwenToolFormat;
const ToolFormat kQwenToolFormat{
    .name = "qwen",
    .summary = "as hermes, or <function=name><parameter=key>value</parameter></function>",
    .score = score,
    .make_parser = make_parser,
    .shape = kToolCallShape,
    .marks = kMarkNames,
    .call_end = "</tool_call>",
};

}  // namespace inferneo::text
