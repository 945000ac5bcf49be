#include <array>

#include "text/tools/marked_calls.h"

namespace inferneo::text {
namespace {

constexpr std::array<CallMark, 1> kMarks{
    CallMark{.begin = "<|python_tag|>", .end = {}, .known_names_only = true}};
constexpr std::array<std::string_view, 1> kMarkNames{"<|python_tag|>"};

int score(std::string_view template_source) {
  if (template_source.find("<|python_tag|>") != std::string_view::npos) return 15;
  const bool has_headers = template_source.find("<|start_header_id|>") != std::string_view::npos;
  return has_headers && template_source.find("\"parameters\"") != std::string_view::npos ? 14 : 0;
}

std::unique_ptr<ToolParser> make_parser(ToolList tools) {
  return std::make_unique<MarkedCalls>(CallMarks{.marks = kMarks, .bare = true}, std::move(tools));
}

}  // namespace

// Llama 3.1 and later: the reply is the object, or several joined by semicolons.
extern const ToolFormat kLlama3JsonToolFormat;
const ToolFormat kLlama3JsonToolFormat{
    .name = "llama3_json",
    .summary = "{\"name\": ..., \"parameters\": {...}} as the whole reply",
    .score = score,
    .make_parser = make_parser,
    .shape = {.open = {},
              .begin = "{\"name\": \"",
              .middle = "\", \"parameters\": ",
              .end = "}",
              .between = "; ",
              .close = {}},
    .marks = kMarkNames,
    .call_end = {},
};

}  // namespace inferneo::text
