// links: inferneo_text
// Compiles arbitrary bytes as a chat template and renders it. Input: template, a zero byte, and
// JSON variables (or nothing).
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/chat_template.h"
#include "text/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo::text;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const auto compiled = ChatTemplate::compile(input.substr(0, end), "<s>", "</s>");
  if (!compiled.has_value()) return 0;
  Value variables;
  if (end != input.npos) {
    auto parsed = parse_json(input.substr(end + 1));
    if (parsed.has_value()) variables = *std::move(parsed);
  }
  (void)(*compiled)->render_variables(variables);
  ChatInput chat;
  if (const Value* messages = variables.find("messages")) chat.messages = *messages;
  if (const Value* tools = variables.find("tools")) chat.tools = *tools;
  (void)(*compiled)->render(chat);
  return 0;
}
