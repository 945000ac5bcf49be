#include "text/reasoning/reasoning_format.h"

#include <gtest/gtest.h>

#include <vector>

#include "text/reply.h"
#include "text/tools/tool_format.h"

namespace inferneo::text {
namespace {

struct Split {
  std::string reasoning;
  std::string text;
  bool operator==(const Split&) const = default;
};

Split split(const ReasoningFormat& format,
            bool begins_inside,
            const std::vector<std::string_view>& pieces) {
  ReasoningSplitter splitter(format, begins_inside);
  Split result;
  for (const std::string_view piece : pieces) {
    splitter.push(piece, result.reasoning, result.text);
  }
  splitter.finish(result.reasoning, result.text);
  return result;
}

TEST(reasoning, is_split_from_the_text_at_every_cut) {
  struct Case {
    std::string text;
    bool begins_inside;
    Split expected;
  };
  for (const ReasoningFormat* format : reasoning_formats()) {
    const std::string begin(format->begin);
    const std::string end(format->end);
    const std::vector<Case> cases{
        {"Hello", false, {"", "Hello"}},
        {" Hello ", false, {"", " Hello "}},
        {"", false, {"", ""}},
        {begin + "I think\n\nso." + end + "\n\nYes. ", false, {"I think\n\nso.", "Yes. "}},
        {"\n" + begin + "\nA " + end, false, {"A", ""}},
        {"I think." + end + "Yes", true, {"I think.", "Yes"}},
        {"\n" + end + "\n\nYes", true, {"", "Yes"}},
        {begin + "cut off ", false, {"cut off", ""}},
        {begin + "x" + end.substr(0, 3), false, {"x" + end.substr(0, 3), ""}},
        {begin.substr(0, 4), false, {"", begin.substr(0, 4)}},
        {"Yes " + begin + "no" + end, false, {"", "Yes " + begin + "no" + end}},
        {begin + "a" + end + "b" + end, false, {"a", "b" + end}},
    };
    for (const Case& c : cases) {
      const std::string_view text = c.text;
      ASSERT_EQ(split(*format, c.begins_inside, {text}), c.expected) << c.text;
      for (std::size_t cut = 1; cut < text.size(); ++cut) {
        ASSERT_EQ(split(*format, c.begins_inside, {text.substr(0, cut), text.substr(cut)}),
                  c.expected)
            << c.text << " cut at " << cut;
      }
    }
  }
}

TEST(reasoning, begins_in_the_prompt) {
  const ReasoningFormat& think = *find_reasoning_format("think");
  EXPECT_TRUE(ends_in_reasoning(think, "<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(ends_in_reasoning(think, "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  EXPECT_FALSE(ends_in_reasoning(think, "user: <think> about it\nassistant:"));
  EXPECT_FALSE(ends_in_reasoning(think, ""));
}

TEST(reasoning, is_chosen_by_the_template) {
  EXPECT_EQ(choose_reasoning_format("x.split('</think>')")->name, "think");
  EXPECT_EQ(choose_reasoning_format("{{ messages }}"), nullptr);
}

TEST(reasoning, comes_before_calls) {
  ReplyOptions options;
  options.reasoning_format = find_reasoning_format("think");
  options.tool_format = find_tool_format("hermes");
  ReplyParser parser(options);
  std::vector<ReplyPart> parts;
  parser.push("<think>A <tool_call> is needed.</think>\n<tool_call>{\"name\":\"f\"}</tool_call>",
              parts);
  parser.finish(parts);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].kind, ReplyPart::Kind::kReasoning);
  EXPECT_EQ(parts[0].text, "A <tool_call> is needed.");
  EXPECT_EQ(parts[1].text, "f");
  EXPECT_EQ(parts[2].text, "{}");
}

}  // namespace
}  // namespace inferneo::text
